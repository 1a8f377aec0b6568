"""Numeric axes: units, ticks, and the choice of a logarithmic scale."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from matplotlib.axis import Axis
from matplotlib.ticker import FixedFormatter, FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from bench.analysis.metrics import BYTES, SHARE, Metric
from bench.report import labels

WIDE = 15.0
"""Minimum ratio of largest to smallest value for a logarithmic scale: small values would look alike on a linear one."""


def unit(metric: Metric, values: Sequence[float]) -> tuple[float, str]:
    """Return the divisor of values on an axis, and the symbol of their unit."""
    if metric.unit == BYTES:
        return (2.0**30, "GiB") if max(values) >= labels.LEAST_GIB else (2.0**20, "MiB")
    if metric.unit == SHARE:
        return 0.01, metric.unit.symbol
    return 1.0, metric.unit.symbol


def shower(metric: Metric, values: Sequence[float]) -> Callable[[float], str]:
    """Return a function that formats values of one plot, in the unit of its axis."""
    if metric.unit == BYTES:
        return labels.bytes_alike(values)
    return lambda value: labels.quantity(metric.unit, value)


def title(metric: Metric, symbol: str, logarithmic: bool = False) -> str:
    """Format the title of an axis: ``Throughput (images/s)``."""
    return f"{metric.title} ({symbol}{', log scale' if logarithmic else ''})"


def is_wide(values: Sequence[float]) -> bool:
    """Whether values need a logarithmic scale."""
    return min(values) > 0 and max(values) / min(values) >= WIDE


def set_ticks(axis: Axis, places: Sequence[float], texts: Sequence[str]) -> None:
    """Set exactly these ticks."""
    axis.set_major_locator(FixedLocator(list(places)))
    axis.set_major_formatter(FixedFormatter(list(texts)))
    axis.set_minor_locator(NullLocator())


def decades(low: float, high: float) -> list[float]:
    """Return ticks 1, 2, 5, 10 ... within a range; 1, 10, 100 ... if those would be too many."""
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [factor * 10.0**exponent for exponent in exponents for factor in (1, 2, 5)]
    inside = [tick for tick in ticks if low * 0.999 <= tick <= high * 1.001]
    return inside if len(inside) <= 7 else [10.0**e for e in exponents if low * 0.999 <= 10.0**e <= high * 1.001]


def ratios(low: float, high: float) -> list[float]:
    """Return ticks of a logarithmic axis of ratios, including 1."""
    if high / low < 3:
        return sorted({1.0, *(t for t in MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(low, high) if t > 0)})
    doublings = range(math.floor(math.log2(low)), math.ceil(math.log2(high)) + 1)
    every = max(1, math.ceil(len(doublings) / 7))
    return [2.0**power for power in doublings if power % every == 0]


def thinned(values: Sequence[int], most: int = 8) -> list[int]:
    """Thin out values so that their labels do not touch on a logarithmic axis; the largest value stays."""
    ordered = sorted(set(values))
    gap = math.log2(ordered[-1] / ordered[0]) / most if len(ordered) > 1 else 0.0
    kept = [ordered[-1]]
    for value in reversed(ordered[:-1]):
        if math.log2(kept[-1] / value) >= gap:
            kept.append(value)
    return kept[::-1]


def tick(value: float) -> str:
    """Format a tick with all its digits: ``0.5``, ``1.05``, ``2,000``."""
    return f"{value:,.10g}"


def round_ticks(axis: Axis) -> None:
    """Set about six round ticks on a linear axis, with thousands separated."""
    axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: tick(value)))
