"""Describe the measured interpreter: packages, their identity, environment variables, memory layout."""
