"""Compatibility of versions: the smoke profile in several environments, as one table."""
