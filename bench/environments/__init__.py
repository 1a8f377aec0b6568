"""Interpreters and virtual environments: what they hold, how they are resolved, built and reused."""
