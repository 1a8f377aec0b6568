"""Several machines: one coordinator moves plans and records, and each machine's own runner measures."""
