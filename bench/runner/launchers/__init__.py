"""How workers start: forked from a preloaded server, spawned, or by torchrun."""
