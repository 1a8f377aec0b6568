"""Model of peak memory over the batch: a parabola within the batches that were tried, a line beyond. Pure numbers.

A line through the peaks is enough to search for the edge. Between the batches that were tried it is off where memory
per image falls with the batch, as on a CPU, whose allocator returns large blocks at once. There are also two kinds
of batches: small ones accumulate gradients over several steps, large ones run the optimizer in every step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from bench.ceiling.batch_search import Attempt, Fit, fit

ROUNDING = 1e-6
"""Rounding error, as a share of the granularity, by which a batch that just fits may seem not to."""

ACCUMULATION_STEPS = 1.5
"""Ratio of ``nbs`` to the batch from which Ultralytics accumulates over several steps: ``round(nbs / batch)``."""


class Curve(NamedTuple):
    """Peak memory in bytes as a polynomial of the batch."""

    constant: float
    linear: float
    square: float = 0.0

    def peak(self, batch: float) -> float:
        """Predict the peak of a batch, in bytes."""
        return self.constant + self.linear * batch + self.square * batch**2

    def largest(self, limit: float) -> float:
        """Return the batch, not rounded, whose predicted peak is the limit; negative where not even batch 0 fits."""
        # The root of a rising parabola that is 0 at the constant, in the form that holds for a straight line too.
        inside = max(self.linear**2 + 4 * self.square * (limit - self.constant), 0.0)
        return 2 * (limit - self.constant) / (self.linear + math.sqrt(inside))


class MemoryModel(NamedTuple):
    """Predicted peak memory over the batch, in bytes.

    Attributes:
        curve: peaks up to ``reach``, of batches that run the optimizer in every step, or of all batches.
        reach: the largest batch that was tried.
        slope: bytes per image beyond ``reach``.
        accumulating: peaks of batches that accumulate gradients; None where ``curve`` holds for all batches.
        accumulation_threshold: the largest batch, not rounded, that accumulates gradients.
    """

    curve: Curve
    reach: int
    slope: float
    accumulating: Curve | None = None
    accumulation_threshold: float = 0.0

    def peak(self, batch: float) -> float:
        """Predict the peak of a batch, in bytes."""
        if self.accumulating is not None and batch <= self.accumulation_threshold:
            return self.accumulating.peak(batch)
        within = min(batch, self.reach)
        return self.curve.peak(within) + self.slope * (batch - within)

    def largest(self, limit: float, granularity: int) -> int:
        """Predict the largest multiple of the granularity that fits the limit; 0 if even the smallest does not."""

        def rounded(batch: float) -> int:
            return max(int(batch / granularity + ROUNDING) * granularity, 0)

        top = self.curve.peak(self.reach)
        beyond = self.reach + (limit - top) / self.slope
        largest = rounded(beyond if limit >= top else self.curve.largest(limit))
        if self.accumulating is None or largest > self.accumulation_threshold:
            return largest
        return rounded(min(self.accumulating.largest(limit), self.accumulation_threshold))


def linear_model(line: Fit, reach: int) -> MemoryModel:
    """Return the model of a straight line."""
    return MemoryModel(Curve(line.base, line.slope), reach, line.slope)


def fit_model(tried: Sequence[Attempt], nominal: int | None = None) -> MemoryModel | None:
    """Fit parabolas to the peaks of batches that fit and to the memory before training; None where :func:`fit` fails.

    Args:
        tried: all attempts.
        nominal: batch to which Ultralytics accumulates gradients (``nbs``): smaller batches get a separate parabola.
            None for one parabola of all batches.
    """
    line = fit(tried)
    if line is None:
        return None
    points = sorted({(attempt.batch, attempt.peak) for attempt in tried if attempt.fits and attempt.peak})
    reach = points[-1][0]
    before = [attempt.baseline_bytes for attempt in tried if attempt.fits and attempt.baseline_bytes]
    if not before:
        return linear_model(line, reach)
    base, threshold = (0, min(before)), (nominal or 0) / ACCUMULATION_STEPS
    few, many = (
        [point for point in points if point[0] <= threshold],
        [point for point in points if point[0] > threshold],
    )
    curve = _parabola([base, *(many or few)], reach)
    accumulating = _parabola([base, *few], threshold) if few and many else None
    if curve is None or (few and many and accumulating is None):
        return linear_model(line, reach)
    return MemoryModel(curve, reach, line.slope, accumulating, threshold if accumulating is not None else 0.0)


def _parabola(points: Sequence[tuple[int, float]], reach: float) -> Curve | None:
    """Fit a parabola to points, a line to two of them; None where it falls somewhere up to ``reach``.

    Relative distances are minimised, so that small and large batches count alike.
    """
    import numpy as np

    batches, peaks = np.array(points, dtype=float).T
    coefficients = np.polyfit(batches / reach, peaks, min(2, len(points) - 1), w=1 / peaks)
    constant, linear, *rest = (float(value) / reach**power for power, value in enumerate(reversed(coefficients)))
    square = rest[0] if rest else 0.0
    if linear <= 0 or linear + 2 * square * reach <= 0:
        return None
    return Curve(constant, linear, square)
