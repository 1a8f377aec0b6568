"""Changes as texts: ratios, intervals and shares, for all comparisons."""

from __future__ import annotations

import math

from bench.analysis.noise import LOOKS
from bench.compare.verdict import Estimate
from bench.formatting import MINUS, format_change, format_share

ARROW = "\N{RIGHTWARDS ARROW}"

NO_INTERVAL = "one pair gives no interval"


def format_tick(percent: float) -> str:
    """Format the label of a tick, with all its digits: ``+2.5 %``."""
    return f"{MINUS if percent < 0 else '+' if percent else ''}{abs(percent):,.10g} %"


def format_estimate(estimate: Estimate) -> str:
    """Format the change of time or memory: ``+4.9 %``."""
    return format_change(estimate.ratio - 1)


def format_interval(estimate: Estimate) -> str:
    """Format an interval: ``+4.1 to +5.7 %``; empty for one pair, and words where all pairs are equal (memory)."""
    if round(estimate.half, 6) == 0:
        return "alike in all pairs"
    if not math.isfinite(estimate.half):
        return ""
    return f"{without_sign(format_change(estimate.low - 1))} to {format_change(estimate.high - 1)}"


def format_takes(estimate: Estimate) -> str:
    """``takes 4.9 % longer (4.1 to 5.7 %)``, ``takes 3.2 % less time (2.5 to 3.9 %)``, ``takes as long (...)``."""
    value = estimate.ratio - 1
    ends = format_interval(estimate) or NO_INTERVAL
    if format_share(value) == format_share(0):
        return f"takes as long ({ends})"
    if not estimate.includes_zero:
        low, high = sorted((abs(estimate.low - 1), abs(estimate.high - 1)))
        ends = f"{without_sign(format_share(low))} to {format_share(high)}"
    return f"takes {format_share(value)} {'longer' if value > 0 else 'less time'} ({ends})"


def format_advice(estimate: Estimate, margin: float) -> str:
    """Say what would decide an inconclusive case: so many more pairs, or a quieter machine."""
    if estimate.pairs < LOOKS[0]:
        return f"A verdict takes at least {LOOKS[0]} pairs."
    pairs = estimate.pairs_needed(margin)
    if pairs is None:
        return f"More pairs are unlikely to decide it at a margin of {format_share(margin)}; a quieter machine may."
    if pairs > LOOKS[-1]:
        return (
            f"A verdict at a margin of {format_share(margin)} would take about {pairs} pairs, and {LOOKS[-1]} are the "
            "most: use a quieter machine."
        )
    look = next(look for look in LOOKS if look >= pairs)
    return (
        f"About {look - estimate.pairs} more pairs or a quieter machine would decide it at a margin of "
        f"{format_share(margin)}."
    )


def without_sign(percent: str) -> str:
    """A percentage without its percent sign, for the first end of a range."""
    return percent.removesuffix(" %")


def format_milliseconds(seconds: float, sign: bool = False) -> str:
    """Format milliseconds with two decimals, so that the parts of a step align: ``+4.82 ms``."""
    text = f"{abs(seconds) * 1e3:,.2f} ms"
    if not sign:
        return text
    return f"{MINUS if seconds < 0 else '+'}{text}"
