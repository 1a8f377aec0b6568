"""Shorten the steps of a record: blocks of a long window are kept, with totals and percentiles of the whole window."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from bench.records.steps import PERCENTILES, Steps, WholeWindow

KEPT_STEPS = 156
"""Maximum number of steps in a record, warm-up included; they take 25 bytes each, where a record has 12 kB."""

KEPT_WINDOW = 140
"""Maximum number of steps of a window that is shortened."""

BLOCK = 20
"""Minimum number of steps of a block: long enough for a lag-1 autocorrelation."""


def thinned(steps: Steps) -> Steps:
    """Return the steps with fewer of them, where there are more than :data:`KEPT_STEPS`.

    Of the window, blocks of successive steps are kept, at equal distances from its first step to its last. Each is a
    multiple of the accumulation steps, so that kinds of steps keep their proportion. Of the steps before the window,
    the last ones are kept.

    A modelled window, and one with few multiples of its accumulation steps, keeps all its steps.
    """
    count = len(steps.window)
    cycle = steps.timed_accumulation_steps or steps.accumulation_steps
    length = math.ceil(BLOCK / cycle) * cycle
    blocks = KEPT_WINDOW // length
    if len(steps.seconds) <= KEPT_STEPS or steps.modelled:
        return steps
    starts: list[int] = []
    if count > KEPT_WINDOW and blocks > 1:
        last = (count - length) // cycle
        starts = [round(block * last / (blocks - 1)) * cycle for block in range(blocks)]
    window = [start + index for start in starts for index in range(length)] if starts else list(range(count))
    before = min(steps.warmup, max(KEPT_STEPS - len(window), 0))
    kept = [*range(steps.warmup - before, steps.warmup), *(steps.warmup + index for index in window)]
    optimizer = set(steps.optimizer)
    shorter = {
        "warmup": before,
        "warmup_discarded": steps.warmup_discarded + steps.warmup - before,
        "seconds": [steps.seconds[index] for index in kept],
        "data_wait": [steps.data_wait[index] for index in kept],
        "images": [steps.images[index] for index in kept] if isinstance(steps.images, list) else steps.images,
        "optimizer": [place for place, index in enumerate(kept) if index in optimizer],
    }
    if starts:
        shorter["whole"] = WholeWindow(
            steps=count,
            seconds=round(sum(steps.window), 6),
            images=steps.window_images,
            optimizer_steps=sum(index >= steps.warmup for index in steps.optimizer),
            blocks=starts,
            percentiles=percentiles(steps.window),
        )
    return msgspec.structs.replace(steps, **shorter)


def percentiles(seconds: Sequence[float]) -> list[float]:
    """Return :data:`~bench.records.steps.PERCENTILES` of steps, between which values are interpolated."""
    ordered = sorted(seconds)
    values = []
    for percent in PERCENTILES:
        place = percent / 100 * (len(ordered) - 1)
        low = math.floor(place)
        high = min(low + 1, len(ordered) - 1)
        values.append(round(ordered[low] + (place - low) * (ordered[high] - ordered[low]), 6))
    return values
