"""Where it was seen: a machine's stable identity, and what it is like at the moment."""
