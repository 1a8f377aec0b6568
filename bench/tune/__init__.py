"""The fastest settings for a model, its data and this machine: a search, and the proof of its winner."""
