"""Monitor the machine during a window: load, memory, energy, interference."""
