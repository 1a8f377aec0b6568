"""How precise the mean step of a window is: kinds and weights of its steps, and its interval."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence

PLAIN, OPTIMIZER, AFTER = range(3)
"""Kinds of steps: a plain step, one that runs the optimizer, and the step after that, which reallocates gradients."""

AUTOCORRELATION = 0.4
"""Lag-1 autocorrelation of step times that is assumed before any were seen.

Long windows on CPUs had a median of 0.28, half of them between 0.12 and 0.46. This is above the median, so that
intervals of short windows are too wide rather than too narrow."""

AUTOCORRELATION_STEPS = 20
"""Number of steps that this assumption counts for."""


def kinds_of(count: int, optimizer: Sequence[int], accumulation_steps: int) -> list[int]:
    """Return the kind of each of ``count`` steps; ``optimizer`` has the indices of steps that ran the optimizer."""
    kinds = [PLAIN] * count
    if accumulation_steps > 1:
        for index in optimizer:
            kinds[index] = OPTIMIZER
        for index in optimizer:
            if index + 1 < count and kinds[index + 1] == PLAIN:
                kinds[index + 1] = AFTER
    return kinds


def weights_of(kinds: Sequence[int], accumulation_steps: int, modelled: bool) -> list[float]:
    """Return the weight of each step of a window in the mean step; they sum to 1.

    In a window with all accumulation steps, all weights are equal. In a modelled window the optimizer step and the
    step after it each have the weight ``1 / accumulation_steps``, together with others of their kind. The plain
    steps have the rest.
    """
    if not modelled:
        return [1 / len(kinds)] * len(kinds)
    share = {PLAIN: 1 - 2 / accumulation_steps, OPTIMIZER: 1 / accumulation_steps, AFTER: 1 / accumulation_steps}
    return [share[kind] / kinds.count(kind) for kind in kinds]


def relative_half_width(
    times: Sequence[float],
    kinds: Sequence[int],
    weights: Sequence[float],
    *,
    quantile: Callable[[float], float],
    block_steps: int = 0,
    window_steps: int = 0,
) -> float | None:
    """Half the width of the 95 % interval of the mean step time, over the mean; within one process.

    Steps are compared with others of their own kind, since optimizer steps are no noise. What is left
    is correlated from step to step: with a lag-1 autocorrelation ``r`` the variance of a mean of ``n`` steps is
    ``(1 + r) / (1 - r)`` times as large as that of independent steps. A dozen steps say little of ``r``, so their
    estimate is corrected for its bias of ``(1 + 3 r) / n`` (Marriott and Pope, 1954), and shrunk to
    :data:`AUTOCORRELATION` as if another :data:`AUTOCORRELATION_STEPS` steps had shown that. The variance has
    ``(1 - r^2) / (1 + r^2)`` degrees of freedom per step (Bayley and Hammersley, 1946); then Student's t.

    Where only blocks of a window are stored, they say how much its steps differ, and all its steps count for the error
    of their mean.

    The mean is that of the weights: where few steps stand for many, its error is larger by the sum of their
    squares. Another process may differ by more: only repeated processes show that.

    Args:
        times: seconds of each step.
        kinds: kind of each step.
        weights: weight of each step in the mean; they sum to 1.
        quantile: two-sided 95 % quantile of Student's t, from the degrees of freedom.
        block_steps: number of successive steps that are stored together; 0: all.
        window_steps: steps of the whole window; 0: these.

    Returns:
        None with fewer than three steps beyond the kinds of step.
    """
    groups: dict[int, list[float]] = {}  # lists: for so few numbers numpy costs more than it saves
    for kind, seconds in zip(kinds, times, strict=True):
        groups.setdefault(kind, []).append(seconds)
    count = len(times)
    free = count - len(groups)
    if free < 2:
        return None
    means = {kind: math.fsum(group) / len(group) for kind, group in groups.items()}
    residual = [seconds - means[kind] for kind, seconds in zip(kinds, times, strict=True)]
    energy = _product(residual, residual)
    if energy == 0:
        return 0.0
    block = block_steps or count
    apart = range(block, count, block)  # first steps of blocks, which follow no stored step
    successive = _product(residual[1:], residual[:-1]) - sum(residual[first] * residual[first - 1] for first in apart)
    lag = shrunk_autocorrelation(successive / energy, count)
    lengthened = (1 + lag) / (1 - lag)
    # Correlated steps lie nearer to their own mean than to the true one, which the sum of squares has to make up for.
    variance = energy / max(free - lengthened + 1, free / 5)
    error = math.sqrt(variance * _product(weights, weights) * lengthened * count / (window_steps or count))
    degrees = max(free * (1 - lag**2) / (1 + lag**2), 1.0)
    return quantile(degrees) * error / _product(weights, times)


def shrunk_autocorrelation(lag: float, count: int) -> float:
    """Return the lag-1 autocorrelation to count with, between 0 and 0.9, from that of so many steps."""
    unbiased = lag + (1 + 3 * min(max(lag, 0.0), 1.0)) / count
    shrunk = (count * unbiased + AUTOCORRELATION_STEPS * AUTOCORRELATION) / (count + AUTOCORRELATION_STEPS)
    return min(max(shrunk, 0.0), 0.9)


def approximate_quantile(degrees: float) -> float:
    """Return the two-sided 95 % quantile of Student's t, without scipy, which a measured environment may lack.

    The expansion of Cornish and Fisher around the normal quantile (Abramowitz and Stegun, 1964, 26.7.5). It is within
    1 % of the quantile from three degrees of freedom on, and too small below.
    """
    z = 1.959964
    return (
        z
        + (z**3 + z) / (4 * degrees)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * degrees**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * degrees**3)
    )


def _product(left: Sequence[float], right: Sequence[float]) -> float:
    """The scalar product of two lists."""
    return float(sum(map(operator.mul, left, right)))
