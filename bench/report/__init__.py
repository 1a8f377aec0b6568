"""Reports: tables, plots and the page. Frames and records become text and files; nothing is measured here."""
