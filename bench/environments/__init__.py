"""Interpreters and virtual environments: their packages, and how they are resolved, built and reused."""
