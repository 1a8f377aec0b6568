"""What ``regress``, ``sweep`` and ``bisect`` share, and the course of each."""
