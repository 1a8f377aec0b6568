"""Contexts of live comparisons and of recorded runs, and their renderings: terminal, Markdown, JSON, page."""
