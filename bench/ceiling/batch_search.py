"""The largest batch that fits: which one to try next, and when enough is known. Pure numbers; nothing is started here.

Peak memory of training grows by the same amount with every image, nearly, so a line through a few small batches tells
where memory ends. The search goes there at once, and looks on both sides of the edge; beyond it only where the next
batch is not clearly too large.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

FIRST = 8
"""The batch that is tried first, rounded to the granularity: large enough that the next guess is near."""

CAUTION = 0.6
"""Share of the way to the edge that the second try goes, where the line rests on one batch and what was there before:
one that is known to fit tells more than one that does not."""


TIGHT = 0.02
"""Share of the limit by which no peak may lie beside the line for it to be trusted with a batch."""

CLEAR = 1.15
"""Share of the limit that a batch has to be foretold to take, by a line that is tight, for it not to be tried. On a
CPU, whose allocator makes peaks of neighbouring batches jump, a line that lies close to three of them was up to 10 %
off at the next (``tests/analysis/exhaustive.json``)."""

WRONG = 0.05
"""Share of a batch by which an edge that was found may lie beside the one that was foretold, before nothing is expected
of the line any more: the limit is not what was thought, or something else ends it."""


class Attempt(NamedTuple):
    """A batch that was tried.

    Attributes:
        batch: images a step.
        fits: whether it trained.
        peak: bytes at its peak; None where that is not known, as where it was killed.
        base: bytes that it had before its first step; None where that is not known.
    """

    batch: int
    fits: bool
    peak: float | None = None
    baseline_bytes: float | None = None


class Fit(NamedTuple):
    """Peak memory as a line over the batch, in bytes.

    Attributes:
        base: of a batch of no images.
        slope: of an image.
        residual: the largest distance of a point from the line.
        points: that it goes through or by.
    """

    base: float
    slope: float
    residual: float
    points: int

    def peak(self, batch: int) -> float:
        """Bytes at the peak of a batch."""
        return self.base + self.slope * batch

    def largest(self, limit: float) -> float:
        """The batch, not rounded, whose peak is just the limit."""
        return (limit - self.base) / self.slope


def fit(tried: Sequence[Attempt]) -> Fit | None:
    """The least-squares line through the peaks of what fits; None with fewer than two batches or a falling line."""
    points = sorted({(one.batch, one.peak) for one in tried if one.fits and one.peak is not None})
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
    """What is asked: the largest multiple of ``granularity`` up to ``most`` that fits into ``limit`` bytes.

    Attributes:
        granularity: batches are multiples of it.
        most: the largest batch that is tried.
        limit: bytes; None where only trying tells.
        firm: whether nothing that takes more than the limit trains; else it only guides the search.
    """

    granularity: int
    max_batch: int
    limit: float | None = None
    firm: bool = True

    def rounded(self, batch: float) -> int:
        """The largest multiple of the granularity that is not above a batch."""
        return int(batch // self.granularity) * self.granularity

    def edges(self, tried: Sequence[Attempt]) -> tuple[int, int | None]:
        """The largest batch that fits below all that do not, 0 for none; and the smallest one that does not."""
        fails = min((one.batch for one in tried if not one.fits), default=None)
        fits = max((one.batch for one in tried if one.fits and (fails is None or one.batch < fails)), default=0)
        return fits, fails

    def next(self, tried: Sequence[Attempt]) -> int | None:
        """The batch to try next; None where the largest one is known."""
        low, high = self.edges(tried)
        top = self.rounded(self.max_batch)
        if not tried:
            return min(max(self.rounded(FIRST), self.granularity), top)
        if (high is not None and high - low <= self.granularity) or low >= top or self.foretold(tried):
            return None
        least = low + self.granularity
        most = top if high is None else high - self.granularity
        return min(max(self._guess(tried, low, high), least), most)

    def foretold(self, tried: Sequence[Attempt]) -> bool:
        """Whether the batch after the largest one that fits is so far above the limit that it need not be tried."""
        line = fit(tried)
        if line is None or line.points < 3 or self.limit is None or not self.firm:
            return False
        low, _ = self.edges(tried)
        peak = next((one.peak for one in tried if one.batch == low and one.fits), None)
        if peak is None or peak > self.limit or line.residual > TIGHT * self.limit:
            return False
        return peak + line.slope * self.granularity > CLEAR * self.limit

    def _guess(self, tried: Sequence[Attempt], low: int, high: int | None) -> int:
        """The batch at which memory should end; a step beside an edge that was found there; else halfway."""
        line = fit(tried)
        edge = self._edge(tried, line, low)
        if high is None:
            if edge is None:  # nothing is known of the limit, or of how memory grows
                return 2 * low
            if line is None:
                return self.rounded(low + CAUTION * (edge - low))
            return max(self.rounded(edge), low + self._stride(tried))
        middle = self.rounded((low + high) / 2)
        if edge is None or line is None:
            return middle
        guess, step = self.rounded(edge), self.granularity
        if low < guess < high:
            return guess
        # What was foretold is an edge already: one step beyond it. Where that was taken, or the line is wrong: halfway.
        known = {one.batch for one in tried}
        if guess <= low:
            return middle if low - step in known or edge < low * (1 - WRONG) else low + step
        return middle if high + step in known or edge > high * (1 + WRONG) else high - step

    def _stride(self, tried: Sequence[Attempt]) -> int:
        """How far to step up where what should not fit does: the granularity, then twice as far each time."""
        fits = sorted({one.batch for one in tried if one.fits}, reverse=True)
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
        """The batch, not rounded, whose peak should be the limit, from the largest one that fits on."""
        if self.limit is None:
            return None
        known = {one.batch: one for one in tried if one.fits}
        if low not in known or (peak := known[low].peak) is None:
            return None
        if line is not None:
            return low + (self.limit - peak) / line.slope
        base = known[low].baseline_bytes
        if base is None or peak <= base:
            return None
        return low + (self.limit - peak) * low / (peak - base)
