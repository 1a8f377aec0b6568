"""The head of a machine's page: reference figures, warnings, recommended settings and training time."""
