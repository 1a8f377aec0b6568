"""What else happened on the machine during a window: load, memory, energy, interference."""
