"""Result of one check of the suite by itself."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

import msgspec

from bench.analysis.intervals import half_width
from bench.compare.lockstep import WorkerFailed
from bench.records.outcome import Status


class Check(msgspec.Struct, frozen=True):
    """One figure, its goal, and how it was measured."""

    name: str
    figure: str
    goal: str
    how: str


def heard(event: dict[str, Any]) -> dict[str, Any]:
    """Return a worker's event; raise :class:`WorkerFailed` where it says that the worker failed."""
    if event["event"] == "ended" and event["status"] != "measured":
        status, reason = event["status"], event["reason"]
        raise WorkerFailed(f"a worker ended as {status}: {reason}", Status(status), reason)
    return event


class Mean(msgspec.Struct, frozen=True):
    """Mean of logarithms of ratios of pairs with its 95 % interval by Student's t, all as shares."""

    mean: float
    half: float
    pairs: int

    def __str__(self) -> str:
        return f"{self.mean * 100:+.2f} % ± {self.half * 100:.2f} %"


def mean_of(logs: Sequence[float]) -> Mean:
    """Return the mean of at least two logarithms, with its interval."""
    return Mean(statistics.mean(logs), half_width(logs), len(logs))
