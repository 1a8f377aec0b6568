"""A metric: the spread of the steps of a window over their mean."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.records.record import Record

KEY = "toy_step_spread"


def step_spread(record: Record) -> float | None:
    """Read the metric from the record of one process."""
    steps = record.steps
    return statistics.pstdev(steps.window) / statistics.fmean(steps.window) if steps and steps.window else None


def register() -> None:
    """Add the metric: the table gets a column for it."""
    from bench.analysis.metrics import SHARE, Metric, register

    register(Metric(KEY, "Toy: spread of the steps", SHARE, "lower", step_spread))
