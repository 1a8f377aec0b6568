"""How a row of releases is shown: lines for the terminal, Markdown, JSON, and a page. All say the same words."""
