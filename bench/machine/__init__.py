"""The machine: its stable identity, its limits and its current conditions."""
