"""How live comparisons and comparisons of recorded runs are shown: terminal, Markdown, JSON, page."""
