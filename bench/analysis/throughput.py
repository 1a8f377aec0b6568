"""From raw step times to images per second and seconds per epoch, with an interval."""

from __future__ import annotations

import math

import msgspec
import numpy as np
from scipy import stats

from bench.records.record import Steps

COCO_TRAIN_IMAGES = 118_287
"""Images of COCO train2017, the epoch that everyone quotes."""

CONFIDENCE = 0.95


class Interval(msgspec.Struct, frozen=True):
    """A point with its interval; ``low`` and ``high`` are None where there are too few steps for one."""

    point: float
    low: float | None = None
    high: float | None = None


def positions(steps: Steps) -> np.ndarray:
    """What each step of the window is: 1 for an optimizer step, 2 for the one after it, 0 for a plain one.

    The step after an optimizer step allocates its gradients anew. With a cycle of one step all steps are alike.
    """
    kinds = np.zeros(len(steps.seconds), dtype=int)
    if steps.cycle > 1:
        ran = np.array(steps.optimizer, dtype=int)
        kinds[ran] = 1
        kinds[(ran + 1)[ran + 1 < len(kinds)]] = 2
    return kinds[steps.warmup :]


def relative_half_width(steps: Steps) -> float | None:
    """Half the width of the 95 % interval of the mean step time, over the mean; within this one process.

    Steps are compared with others of their own kind (:func:`positions`), since optimizer steps are no noise; what is
    left is correlated from step to step, so the number of independent steps is ``n (1 - r) / (1 + r)`` with the lag-1
    autocorrelation ``r``; then Student's t. Another process may differ by more: only repeated processes show that.

    Returns:
        None with fewer than three steps beyond the kinds of step.
    """
    images = np.array(steps.images[steps.warmup :] if isinstance(steps.images, list) else [1] * len(steps.window))
    times = np.array(steps.window) / images * images.mean()
    kinds = positions(steps)
    groups = np.unique(kinds)
    free = len(times) - len(groups)
    if free < 2:
        return None
    residual = times.copy()
    for group in groups:
        residual[kinds == group] -= times[kinds == group].mean()
    energy = float(residual @ residual)
    if energy == 0:
        return 0.0
    lag = min(max(float(residual[1:] @ residual[:-1]) / energy, 0.0), 0.9)
    independent = len(times) * (1 - lag) / (1 + lag)
    error = math.sqrt(energy / free / independent)
    return float(stats.t.ppf(0.5 + CONFIDENCE / 2, max(independent - 1, 1.0))) * error / float(times.mean())


def images_per_second(steps: Steps) -> Interval:
    """The rate of the window, with its interval."""
    rate = steps.images_per_second
    width = relative_half_width(steps)
    if width is None:
        return Interval(rate)
    # A rate is the reciprocal of a time, so its interval is too; a time's lower end never goes below a tenth.
    return Interval(rate, rate / (1 + width), rate / max(1 - width, 0.1))


def seconds_per_epoch(rate: Interval, images: int) -> Interval:
    """Seconds for ``images`` images at a rate, so that seconds x rate = images; validation and checkpoints apart."""
    return Interval(
        images / rate.point,
        images / rate.high if rate.high else None,
        images / rate.low if rate.low else None,
    )
