"""Two processes that took turns step by step: how much slower one is, from each step and the one that ran beside it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from bench.records.record import AFTER, OPTIMIZER, PLAIN, Steps

LEFT_OUT = 0.25
"""Share of the plain steps that is left out at either end."""


def paired_log_ratio(base: Steps, head: Steps) -> float | None:
    """``ln(head / base)`` from steps that ran one beside the other.

    The first step of one process ran right before or after the first one of the other, and did the same: what disturbs
    the machine for longer than a step is in both, and their difference is rid of it. What disturbs a single step is
    not, and such steps are few and far out: of the plain steps, of which there are many, the interquartile mean of the
    differences counts. Of steps that run the optimizer, and those right after it, all do. On a busy host with two cores
    pairs scattered by 1.04 % and not by 1.39 % (351 pairs of 32 comparisons; standard deviation within them, pooled).

    With nothing different the differences are as likely above 0 as below, so that it is right whatever they look like;
    the sides exchanged, it is the same with the other sign. It does not see what makes fewer than a quarter of the
    plain steps slower: that is what the ratio of the mean steps is looked at for.

    Args:
        base: steps of one process.
        head: of the other one; both ran their windows in turns of a step.

    Returns:
        None where the windows are not of the same kinds of steps, or one takes no time beside the other.
    """
    kinds = base.kinds
    if kinds != head.kinds or base.shares != head.shares:
        return None
    difference = middle = 0.0
    for kind, share in zip((PLAIN, OPTIMIZER, AFTER), base.shares, strict=True):
        steps = [(a, b) for a, b, of in zip(base.window, head.window, kinds, strict=True) if of == kind]
        if steps:
            mean = interquartile_mean if kind == PLAIN else statistics.fmean
            difference += share * mean([b - a for a, b in steps])
            middle += share * mean([(a + b) / 2 for a, b in steps])
    after, before = middle + difference / 2, middle - difference / 2
    return math.log(after / before) if min(after, before) > 0 else None


def interquartile_mean(figures: Sequence[float]) -> float:
    """The mean without the lowest and the highest quarter, each rounded down; at least one figure."""
    cut = int(len(figures) * LEFT_OUT)
    return statistics.fmean(sorted(figures)[cut : len(figures) - cut])
