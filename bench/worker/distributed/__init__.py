"""Several processes that train together: process group, ranks, aggregation."""
