"""How peak memory grows with the batch: bent a little where batches were tried, straight beyond. Pure numbers.

A line through the peaks tells where to look for the edge. Between the batches that were tried it is off where an image
takes less the more there are, as on a CPU, whose allocator hands large blocks back at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from bench.analysis.ceiling import Fit, Tried, fit

ROUNDING = 1e-6
"""Share of a step of batches by which one that just fits may seem not to, as numbers are rounded."""


class Growth(NamedTuple):
    """Peak memory over the batch, in bytes.

    Attributes:
        bend: of a batch of no images, of an image, and of the square of images, up to ``reach``.
        reach: the largest batch that it goes by.
        slope: of an image beyond that.
    """

    bend: tuple[float, float, float]
    reach: int
    slope: float

    def peak(self, batch: float) -> float:
        """Bytes at the peak of a batch."""
        constant, linear, square = self.bend
        within = min(batch, self.reach)
        return constant + linear * within + square * within**2 + self.slope * (batch - within)

    def largest(self, limit: float) -> float:
        """The batch, not rounded, whose peak is just the limit; negative where not even none fits."""
        constant, linear, square = self.bend
        if limit >= (top := self.peak(self.reach)):
            return self.reach + (limit - top) / self.slope
        # The root of a rising parabola that is 0 at the constant, in the form that holds for a straight line too.
        inside = max(linear**2 + 4 * square * (limit - constant), 0.0)
        return 2 * (limit - constant) / (linear + math.sqrt(inside))


def straight(line: Fit, reach: int) -> Growth:
    """A line alone."""
    return Growth((line.base, line.slope, 0.0), reach, line.slope)


def growth(tried: Sequence[Tried]) -> Growth | None:
    """The parabola by the peaks of what fits and by what there was before; None where :func:`fit` is none.

    Least squares of relative distances, so that a small batch counts as a large one does. What would fall somewhere, or
    does not know what there was before, is the line of :func:`fit`.
    """
    import numpy as np

    line = fit(tried)
    if line is None:
        return None
    points = sorted({(one.batch, one.peak) for one in tried if one.fits and one.peak})
    reach = points[-1][0]
    before = [one.base for one in tried if one.fits and one.base]
    if not before:
        return straight(line, reach)
    batches, peaks = np.array([(0, min(before)), *points], dtype=float).T
    square, linear, constant = (float(one) for one in np.polyfit(batches / reach, peaks, 2, w=1 / peaks))
    square, linear = square / reach**2, linear / reach
    if linear <= 0 or linear + 2 * square * reach <= 0:
        return straight(line, reach)
    return Growth((constant, linear, square), reach, line.slope)


def card_sizes(grows: Growth, sizes: Sequence[float], granularity: int) -> list[int]:
    """The largest batch for cards of so many bytes; 0 where not even the smallest one fits."""
    return [max(int(grows.largest(size) / granularity + ROUNDING) * granularity, 0) for size in sizes]
