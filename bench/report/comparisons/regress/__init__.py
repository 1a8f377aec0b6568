"""A live comparison of two environments: its context, its words and its plots."""
