"""A sweep over releases: its context, its words and its plots."""
