"""How it is shown: tables, plots, the page. Frames and records come in, text and files go out; nothing is measured."""
