"""The largest batch that trains: the search, its memory limits and the memory model."""
