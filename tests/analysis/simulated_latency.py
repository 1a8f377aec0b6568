"""Coverage of the intervals of percentiles in simulated calls.

    python -m tests.analysis.simulated_latency

prints the shares of 10,000 series each, which ``docs/validation.md`` has.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.signal import lfilter
from scipy.special import ndtri

from bench.analysis.latency import percentile

SPREAD = 0.2
"""Standard deviation of the logarithm of a call."""

CELLS = (
    *((0.5, calls, lag) for calls in (32, 64, 400) for lag in (0.0, 0.3, 0.6)),
    *((0.9, calls, lag) for calls in (64, 200, 400) for lag in (0.0, 0.3, 0.6)),
    *((0.99, calls, lag) for calls in (662, 1500) for lag in (0.0, 0.3, 0.6)),
)
"""Percentile, calls of a series, and lag-1 correlation."""


def series(count: int, calls: int, lag: float, seed: int = 0) -> np.ndarray:
    """Lognormal calls whose logarithms are an autoregressive process, one row per series."""
    shocks = np.random.default_rng(seed).standard_normal((count, calls))
    shocks[:, 1:] *= math.sqrt(1 - lag * lag)
    return np.exp(SPREAD * lfilter([1], [1, -lag], shocks, axis=1))


def coverage(level: float, calls: int, lag: float, count: int = 10_000) -> tuple[float, float]:
    """Share of series that have an interval, and of those the share whose interval includes the true percentile."""
    truth = math.exp(SPREAD * ndtri(level))
    intervals = [percentile(row, level) for row in series(count, calls, lag)]
    known = [(interval.low, interval.high) for interval in intervals if interval.low is not None and interval.high]
    return len(known) / count, sum(low <= truth <= high for low, high in known) / max(len(known), 1)


if __name__ == "__main__":
    for level, calls, lag in CELLS:
        known, covered = coverage(level, calls, lag)
        print(f"p{level * 100:g}, {calls} calls, lag-1 {lag}: {known:.1%} have an interval, {covered:.2%} cover")
