"""Percentiles of the latency of a call, with distribution-free intervals, and MLPerf's numbers of calls."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import betainc, ndtr, ndtri
from scipy.stats import rankdata

from bench.analysis.intervals import CONFIDENCE, Interval, ci_between_processes, t_quantile
from bench.records.record import Record

LEVELS = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
"""Percentiles of the table, by their names in its columns."""

MLPERF_CONFIDENCE = 0.99
"""Confidence of MLPerf's early stopping."""

MOST_CORRELATION = 0.95
"""Maximum lag-1 correlation of calls that is counted with; a longer memory leaves no independent calls."""

LEAST_CORRELATION = -0.5
"""Minimum lag-1 correlation of calls that is counted with; more calls than these are independent ones then."""

CORRECTION = 9
"""By how much a short series looks less correlated than it is: chosen so that simulated intervals cover 95 %."""

LEAST_CALLS = 32
"""Least number of calls for which any percentile has an interval."""

LEAST_DOUBT = 0.05
"""Least share of the doubt about the correlation that Student's t allows for."""

NEGLIGIBLE = 1e-4
"""Correlation below which calls count as independent."""

LEAST_TAIL = 1e-6
"""Least chance of an end to miss, for a few calls that have no interval anyway."""

NODES, WEIGHTS = np.polynomial.legendre.leggauss(24)

MODELLED_CALLS = 20_000
"""Requests of a modelled queue."""


# MLPerf's early stopping


def allowed_over(calls: int, level: float, confidence: float = MLPERF_CONFIDENCE) -> int:
    """Return how many calls may take longer than a bound that holds for a share ``level`` of all calls.

    With more of them, fewer calls than that share may meet the bound; -1 where no number of calls over it is allowed.
    """
    low, high = -1, calls
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _chance(calls, middle, level) <= 1 - confidence else (low, middle)
    return low


def calls_to_prove(level: float, over: int = 1, confidence: float = MLPERF_CONFIDENCE) -> int:
    """Return the least number of calls that prove a bound when ``over`` of them take longer.

    With ``over=1`` these are MLPerf's least numbers of queries: 64 for 90 %, 219 for 97 % and 662 for 99 %.
    """
    low, high = over, over + 1
    while _chance(high, over, level) > 1 - confidence:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _chance(middle, over, level) <= 1 - confidence else (middle, high)
    return high


def _chance(calls: int, over: int, level: float) -> float:
    """Return the chance that at most ``over`` calls exceed the percentile ``level``: a binomial distribution."""
    return float(betainc(calls - over, over + 1, level)) if over < calls else 1.0


# Percentiles of calls


def percentile(calls: Sequence[float], level: float) -> Interval:
    """Return a percentile of calls in their order, with its 95 % interval; without ends where there are too few calls.

    The ends are order statistics, interpolated between two calls, so no distribution is assumed. Calls that follow
    each other are alike: only the effective number of them counts, and Student's t allows for that estimate. An end
    beyond the fastest or the slowest call is that call.
    """
    count, ordered = len(calls), np.sort(np.asarray(calls, dtype=float))
    ranks = np.arange(1, count + 1)
    point = float(np.interp(level * (count + 1), ranks, ordered))
    if count < calls_needed(level):
        return Interval(point)
    lag = correlation(calls)
    effective = _effective(count, lag, level)
    low, high = (rank * (count + 1) / (effective + 1) for rank in _end_ranks(effective, level, _tail(effective, lag)))
    return Interval(point, float(np.interp(low, ranks, ordered)), float(np.interp(high, ranks, ordered)))


@functools.lru_cache(32)
def calls_needed(level: float) -> int:
    """Return the least number of calls for which a percentile has an interval: MLPerf's, and at least 32.

    The number does not depend on how correlated the calls look. Intervals of those series alone that look least
    correlated would cover too little.
    """
    return max(LEAST_CALLS, calls_to_prove(level))


def _tail(effective: float, lag: float) -> float:
    """Return the chance of an end to miss: Student's t, whose degrees of freedom fall with the correlation."""
    freedom = max((effective - 1) / min(1.0, max(2 * abs(lag), LEAST_DOUBT)), 1.0)
    return max(float(ndtr(-t_quantile(float(f"{freedom:.3g}"), CONFIDENCE))), LEAST_TAIL)


@functools.lru_cache(4096)
def _end_ranks(calls: float, level: float, tail: float) -> tuple[float, float]:
    """Return the ranks, with fractions, of the ends of a percentile's interval among so many independent calls.

    The order statistic of rank ``r`` lies below the percentile with the probability ``I(level; r, calls + 1 - r)``,
    the regularized incomplete beta function.
    """

    def solve(probability: float) -> float:
        edge = 1e-9
        return float(brentq(lambda r: betainc(r, calls + 1 - r, level) - probability, edge, calls + 1 - edge))

    return solve(1 - tail), solve(tail)


def effective_calls(calls: Sequence[float], level: float) -> float:
    """Return how many independent calls would say as much of a percentile, with three significant digits.

    What counts is whether neighbours lie on the same side of the percentile. That correlation follows from the lag-1
    correlation of the normal scores of the calls, as if these came from a Gaussian process with one lag.
    """
    return _effective(len(calls), correlation(calls), level)


def _effective(count: int, lag: float, level: float) -> float:
    return float(f"{count / _lengthened(round(lag, 2), level):.3g}")


def correlation(calls: Sequence[float]) -> float:
    """Return the lag-1 correlation of the normal scores of calls, corrected for the length of the series."""
    values = np.asarray(calls, dtype=float)
    if not len(values):
        return LEAST_CORRELATION
    lag = _lag(values.tobytes())
    lag += (1 + CORRECTION * max(lag, 0.0)) / len(values)
    return min(max(lag, LEAST_CORRELATION), MOST_CORRELATION)


@functools.lru_cache(8)
def _lag(calls: bytes) -> float:
    """Return the lag-1 correlation of the normal scores of calls, given as 64-bit floats: all levels need the same."""
    values = np.frombuffer(calls)
    scores = ndtri((rankdata(values) - 0.5) / len(values))
    energy = float(scores @ scores)
    return float(scores[1:] @ scores[:-1]) / energy if energy else 0.0


@functools.lru_cache(1024)
def _lengthened(lag: float, level: float) -> float:
    """Return by what factor correlation makes a percentile need more calls."""
    total, correlation = 1.0, lag
    while abs(correlation) > NEGLIGIBLE:
        total += 2 * _same_side(correlation, level)
        correlation *= lag
    return total


def _same_side(correlation: float, level: float) -> float:
    """Return the correlation of "longer than the percentile" between two normal scores with a correlation."""
    bound = float(ndtri(level))
    points = (NODES + 1) / 2 * correlation
    density = np.exp(-bound * bound / (1 + points)) / np.sqrt(1 - points * points)
    return float(WEIGHTS @ density) * correlation / 2 / (2 * math.pi) / (level * (1 - level))


# Records


def latencies(record: Record) -> list[float]:
    """Return the seconds of each call of a record's window; empty where a step is not a call.

    A call in a queue counts from its arrival. Under ``scenario=offline`` batches of one long call follow each other.
    """
    steps = record.steps
    if record.case.mode != "predict" or steps is None or record.case.value("scenario") == "offline":
        return []
    return steps.latency[steps.warmup :] if steps.latency else steps.window


def percentiles(processes: Sequence[Record]) -> dict[str, Interval | None]:
    """Return the percentiles of a case by their names; None where a process has too few calls.

    With several processes the interval is between them, from the percentile of each.
    """
    series = [calls for record in processes if (calls := latencies(record))]
    by_name: dict[str, Interval | None] = {}
    for name, level in LEVELS.items():
        each = [percentile(calls, level) for calls in series]
        enough = bool(each) and all(interval.low is not None for interval in each)
        by_name[name] = None if not enough else between(each)
    return by_name


def between(each: Sequence[Interval]) -> Interval:
    """Return the percentile of a case from those of its processes: the interval of the only one, or between them."""
    return each[0] if len(each) == 1 else ci_between_processes([interval.point for interval in each])


def cells(processes: Sequence[Record]) -> dict[str, Any]:
    """Return the columns of a case's latency."""
    counted = sum(map(len, map(latencies, processes)))
    columns: dict[str, Any] = {"latency_calls": counted or None}
    for name, interval in (percentiles(processes) if counted else {}).items():
        ends = (interval.point, interval.low, interval.high) if interval else (None, None, None)
        columns |= {
            f"latency_{name}_seconds{end}": value for end, value in zip(("", "_low", "_high"), ends, strict=True)
        }
    return columns


def number_in_extra(name: str, record: Record) -> float | None:
    """Return a positive number of a record's ``extra``; None without one."""
    value = record.extra.get(name)
    return float(value) if isinstance(value, int | float) and 0 < value < 2**53 else None


# A queue, modelled


def queue_latencies(service: Sequence[float], gaps: Sequence[float]) -> list[float]:
    """Return the latency of each request to one server, from its service time and the gap before its arrival.

    Lindley's recursion: a request waits for as long as the one before it is still waiting or served.
    """
    waits, wait, last = [], 0.0, 0.0
    for seconds, gap in zip(service, gaps, strict=True):
        wait = max(0.0, wait + last - gap)
        waits.append(wait + seconds)
        last = seconds
    return waits


def modelled_p99(service: Sequence[float], load: float, seed: int = 0) -> float:
    """Return the 99th percentile of latency of a modelled server at a load, from recorded service times.

    Requests arrive at random (Poisson), and each takes one of the recorded times, as if these were independent.
    """
    draw = np.random.default_rng(seed)
    times: NDArray[np.float64] = draw.choice(np.asarray(service, dtype=float), MODELLED_CALLS)
    gaps = draw.exponential(float(times.mean()) / load, MODELLED_CALLS)
    return float(np.quantile(queue_latencies(times.tolist(), gaps.tolist()), 0.99))
