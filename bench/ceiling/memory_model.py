"""How peak memory grows with the batch: bent a little where batches were tried, straight beyond. Pure numbers.

A line through the peaks tells where to look for the edge. Between the batches that were tried it is off where an image
takes less the more there are, as on a CPU, whose allocator hands large blocks back at once. Nor are all batches of one
kind: of small ones gradients wait for the optimizer, large ones run it in every step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from bench.ceiling.batch_search import Attempt, Fit, fit

ROUNDING = 1e-6
"""Share of a step of batches by which one that just fits may seem not to, as numbers are rounded."""

WAITING = 1.5
"""Steps for one of the optimizer, not rounded, from which Ultralytics takes several: ``round(nbs / batch)``."""


class Curve(NamedTuple):
    """Bytes of a batch of no images, of an image, and of the square of images."""

    constant: float
    linear: float
    square: float = 0.0

    def peak(self, batch: float) -> float:
        """Bytes at the peak of a batch."""
        return self.constant + self.linear * batch + self.square * batch**2

    def largest(self, limit: float) -> float:
        """The batch, not rounded, whose peak is just the limit; negative where not even none fits."""
        # The root of a rising parabola that is 0 at the constant, in the form that holds for a straight line too.
        inside = max(self.linear**2 + 4 * self.square * (limit - self.constant), 0.0)
        return 2 * (limit - self.constant) / (self.linear + math.sqrt(inside))


class MemoryModel(NamedTuple):
    """Peak memory over the batch, in bytes.

    Attributes:
        curve: up to ``reach``, of batches that run the optimizer in every step, or of all.
        reach: the largest batch that it goes by.
        slope: of an image beyond that.
        waiting: of batches up to ``turn``, whose gradients wait for the optimizer; None where ``curve`` is of all.
        turn: the batch, not whole, up to which they do.
    """

    curve: Curve
    reach: int
    slope: float
    waiting: Curve | None = None
    turn: float = 0.0

    def peak(self, batch: float) -> float:
        """Bytes at the peak of a batch."""
        if self.waiting is not None and batch <= self.turn:
            return self.waiting.peak(batch)
        within = min(batch, self.reach)
        return self.curve.peak(within) + self.slope * (batch - within)

    def largest(self, limit: float, granularity: int) -> int:
        """The largest multiple of the granularity whose peak is not above the limit; 0 where none is."""

        def rounded(batch: float) -> int:
            return max(int(batch / granularity + ROUNDING) * granularity, 0)

        top = self.curve.peak(self.reach)
        beyond = self.reach + (limit - top) / self.slope
        found = rounded(beyond if limit >= top else self.curve.largest(limit))
        if self.waiting is None or found > self.turn:
            return found
        return rounded(min(self.waiting.largest(limit), self.turn))


def linear_model(line: Fit, reach: int) -> MemoryModel:
    """A line alone."""
    return MemoryModel(Curve(line.base, line.slope), reach, line.slope)


def fit_model(tried: Sequence[Attempt], nominal: int | None = None) -> MemoryModel | None:
    """Parabolas by the peaks of what fits and by what there was before; None where :func:`fit` is none.

    Args:
        tried: all of it.
        nominal: the batch to which Ultralytics accumulates gradients (``nbs``): smaller batches have a parabola of
            their own. None for one of all.
    """
    line = fit(tried)
    if line is None:
        return None
    points = sorted({(one.batch, one.peak) for one in tried if one.fits and one.peak})
    reach = points[-1][0]
    before = [one.baseline_bytes for one in tried if one.fits and one.baseline_bytes]
    if not before:
        return linear_model(line, reach)
    base, turn = (0, min(before)), (nominal or 0) / WAITING
    few, many = [one for one in points if one[0] <= turn], [one for one in points if one[0] > turn]
    curve = _parabola([base, *(many or few)], reach)
    waiting = _parabola([base, *few], turn) if few and many else None
    if curve is None or (few and many and waiting is None):
        return linear_model(line, reach)
    return MemoryModel(curve, reach, line.slope, waiting, turn if waiting is not None else 0.0)


def _parabola(points: Sequence[tuple[int, float]], reach: float) -> Curve | None:
    """The curve by some points, a line by two; None where it would fall somewhere up to ``reach``.

    Least squares of relative distances, so that a small batch counts as a large one does.
    """
    import numpy as np

    batches, peaks = np.array(points, dtype=float).T
    found = np.polyfit(batches / reach, peaks, min(2, len(points) - 1), w=1 / peaks)
    constant, linear, *rest = (float(one) / reach**power for power, one in enumerate(reversed(found)))
    square = rest[0] if rest else 0.0
    if linear <= 0 or linear + 2 * square * reach <= 0:
        return None
    return Curve(constant, linear, square)
