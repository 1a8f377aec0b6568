"""Code that ``regress``, ``sweep`` and ``bisect`` share, and the course of each."""
