"""Search for the largest batch that fits: the batch to try next, and when the answer is known. Pure numbers.

Peak memory of training grows nearly linearly with the batch, so a line through a few small batches predicts where
memory ends. The search goes there at once and tries both sides of the edge; it tries a batch above the edge only where
that is not clearly too large.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

FIRST_BATCH = 8
"""The first batch to try, rounded to the granularity: large enough that the next guess is near."""

CAUTIOUS_SHARE = 0.6
"""Share of the way to the predicted edge that the second try goes, where the prediction rests on one batch and the
memory before it. A batch that fits is more informative than one that does not."""


FIT_TOLERANCE = 0.02
"""Largest distance of a peak from the line, as a share of the limit, at which the line is trusted."""

CLEARLY_TOO_LARGE = 1.15
"""Predicted peak, as a share of the limit, from which a batch is not tried. On a CPU, whose allocator makes peaks of
neighbouring batches jump, a line that lies close to three of them was up to 10 % off at the next
(``tests/ceiling/exhaustive.json``)."""

EDGE_TOLERANCE = 0.05
"""Largest relative distance between the predicted edge and the edge found at which the line is still used. Beyond it
the limit is not the assumed one, or something else ends the search."""


class Attempt(NamedTuple):
    """A batch that was tried.

    Attributes:
        batch: images per step.
        fits: whether it trained.
        peak: bytes at its peak; None where unknown, as where it was killed.
        baseline_bytes: bytes before its first step; None where unknown.
    """

    batch: int
    fits: bool
    peak: float | None = None
    baseline_bytes: float | None = None


class Fit(NamedTuple):
    """A straight line of peak memory, in bytes, over the batch.

    Attributes:
        base: bytes at batch 0.
        slope: bytes per image.
        residual: largest distance of a point from the line.
        points: number of points fitted.
    """

    base: float
    slope: float
    residual: float
    points: int

    def peak(self, batch: int) -> float:
        """Predict the peak of a batch, in bytes."""
        return self.base + self.slope * batch

    def largest(self, limit: float) -> float:
        """Return the batch, not rounded, whose predicted peak is the limit."""
        return (limit - self.base) / self.slope


def fit(tried: Sequence[Attempt]) -> Fit | None:
    """Fit a least-squares line to the peaks of batches that fit; None with fewer than two batches or a falling line."""
    points = sorted({(attempt.batch, attempt.peak) for attempt in tried if attempt.fits and attempt.peak is not None})
    if len({batch for batch, _ in points}) < 2:
        return None
    count = len(points)
    mean_x, mean_y = sum(x for x, _ in points) / count, sum(y for _, y in points) / count
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / spread
    if slope <= 0:
        return None
    base = mean_y - slope * mean_x
    return Fit(base, slope, max(abs(y - base - slope * x) for x, y in points), count)


class Search(NamedTuple):
    """A search for the largest multiple of ``granularity`` up to ``max_batch`` that fits into ``limit`` bytes.

    Attributes:
        granularity: batches are multiples of it.
        max_batch: the largest batch that is tried.
        limit: bytes; None where unknown.
        hard_limit: whether no batch above the limit trains; otherwise the limit only guides the search.
    """

    granularity: int
    max_batch: int
    limit: float | None = None
    hard_limit: bool = True

    def rounded(self, batch: float) -> int:
        """Round a batch down to a multiple of the granularity."""
        return int(batch // self.granularity) * self.granularity

    def edges(self, tried: Sequence[Attempt]) -> tuple[int, int | None]:
        """Return the largest batch that fits below all that do not (0 without one), and the smallest that does not."""
        fails = min((attempt.batch for attempt in tried if not attempt.fits), default=None)
        fits = max((a.batch for a in tried if a.fits and (fails is None or a.batch < fails)), default=0)
        return fits, fails

    def next(self, tried: Sequence[Attempt]) -> int | None:
        """Return the batch to try next; None once the largest is known."""
        low, high = self.edges(tried)
        top = self.rounded(self.max_batch)
        if not tried:
            return min(max(self.rounded(FIRST_BATCH), self.granularity), top)
        if (high is not None and high - low <= self.granularity) or low >= top or self.predicted_not_to_fit(tried):
            return None
        least = low + self.granularity
        most = top if high is None else high - self.granularity
        return min(max(self._guess(tried, low, high), least), most)

    def predicted_not_to_fit(self, tried: Sequence[Attempt]) -> bool:
        """Whether the batch after the largest that fits is predicted far enough above the limit to skip it."""
        line = fit(tried)
        if line is None or line.points < 3 or self.limit is None or not self.hard_limit:
            return False
        low, _ = self.edges(tried)
        peak = next((attempt.peak for attempt in tried if attempt.batch == low and attempt.fits), None)
        if peak is None or peak > self.limit or line.residual > FIT_TOLERANCE * self.limit:
            return False
        return peak + line.slope * self.granularity > CLEARLY_TOO_LARGE * self.limit

    def _guess(self, tried: Sequence[Attempt], low: int, high: int | None) -> int:
        """Guess the batch at which memory ends; a step from a predicted edge that was tried; else halfway."""
        line = fit(tried)
        edge = self._edge(tried, line, low)
        if high is None:
            if edge is None:  # the limit or the growth of memory is unknown
                return 2 * low
            if line is None:
                return self.rounded(low + CAUTIOUS_SHARE * (edge - low))
            return max(self.rounded(edge), low + self._stride(tried))
        middle = self.rounded((low + high) / 2)
        if edge is None or line is None:
            return middle
        guess, step = self.rounded(edge), self.granularity
        if low < guess < high:
            return guess
        # The predicted edge was tried: go one step beyond it. Where that was tried too, or the line is wrong: halfway.
        known = {attempt.batch for attempt in tried}
        if guess <= low:
            return middle if low - step in known or edge < low * (1 - EDGE_TOLERANCE) else low + step
        return middle if high + step in known or edge > high * (1 + EDGE_TOLERANCE) else high - step

    def _stride(self, tried: Sequence[Attempt]) -> int:
        """Return the step up after a batch that fits against the prediction: the granularity, then doubling."""
        fits = sorted({attempt.batch for attempt in tried if attempt.fits}, reverse=True)
        gaps = [later - earlier for later, earlier in pairwise(fits)]
        expected = gaps[0] if gaps else 0
        for gap in gaps:
            if gap != expected:
                break
            if gap == self.granularity:
                return 2 * gaps[0]
            expected = gap // 2
        return self.granularity

    def _edge(self, tried: Sequence[Attempt], line: Fit | None, low: int) -> float | None:
        """Predict the batch, not rounded, whose peak is the limit, from the largest that fits."""
        if self.limit is None:
            return None
        known = {attempt.batch: attempt for attempt in tried if attempt.fits}
        if low not in known or (peak := known[low].peak) is None:
            return None
        if line is not None:
            return low + (self.limit - peak) / line.slope
        base = known[low].baseline_bytes
        if base is None or peak <= base:
            return None
        return low + (self.limit - peak) * low / (peak - base)
