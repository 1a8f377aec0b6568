"""Which versions run: the smoke profile in several environments, as one table."""
