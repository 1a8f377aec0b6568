"""From images per second to seconds per epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.analysis.intervals import Interval

COCO_TRAIN_IMAGES = 118_287
"""Images of COCO train2017, the epoch that everyone quotes."""


def seconds_per_epoch(rate: Interval, images: int) -> Interval:
    """Seconds for ``images`` images at a rate, so that seconds x rate = images; without validation and checkpoints."""
    from bench.analysis.intervals import Interval  # it takes numpy and scipy, which the number above does without

    return Interval(
        images / rate.point,
        images / rate.high if rate.high else None,
        images / rate.low if rate.low else None,
    )
