"""Estimate how settings differ in speed, from measurements in blocks between which the machine may change its speed."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence

import msgspec
import numpy as np

from bench.analysis.intervals import t_quantile
from bench.cases import Case

PRIOR_DEGREES = 4
"""Number of measurements that the noise of a machine counts for, before any setting was measured twice."""


class Observation(msgspec.Struct, frozen=True):
    """One measured process.

    Attributes:
        case: with its settings.
        block: measurements of one block followed each other within a short time.
        log: logarithm of the seconds per image.
    """

    case: Case
    block: Hashable
    log: float


class Difference(msgspec.Struct, frozen=True):
    """Difference of two logarithms with half the width of its 95 % interval; infinite where it is unknown."""

    log: float
    half: float

    @property
    def low(self) -> float:
        """Lower end of the interval."""
        return self.log - self.half

    @property
    def high(self) -> float:
        """Upper end of the interval."""
        return self.log + self.half


UNKNOWN = Difference(0.0, math.inf)


class Estimates:
    """Least squares with one mean per case and one shift per block; the noise is pooled over all cases.

    Pooling is for ranking alone: the winner is judged by pairs of its own.
    """

    def __init__(self, observations: Sequence[Observation], noise: float) -> None:
        """Fit.

        Args:
            observations: all measured processes.
            noise: standard deviation of a logarithm between processes, as far as it is known beforehand.
        """
        self.cases = list(dict.fromkeys(observation.case for observation in observations))
        blocks = list(dict.fromkeys(observation.block for observation in observations))
        matrix = np.zeros((len(observations), len(self.cases) + len(blocks)))
        for row, observation in enumerate(observations):
            matrix[row, self.cases.index(observation.case)] = 1
            matrix[row, len(self.cases) + blocks.index(observation.block)] = 1
        logs = np.array([observation.log for observation in observations])
        self._inverse = np.linalg.pinv(matrix)
        self._row_space = self._inverse @ matrix
        self._means = self._inverse @ logs
        rest = logs - matrix @ self._means
        degrees = len(observations) - int(np.linalg.matrix_rank(matrix)) if len(observations) else 0
        self.stdev = math.sqrt((PRIOR_DEGREES * noise**2 + float(rest @ rest)) / (PRIOR_DEGREES + degrees))
        self._quantile = t_quantile(PRIOR_DEGREES + degrees)
        self._shifts = dict(zip(blocks, self._means[len(self.cases) :].tolist(), strict=True))

    def drift(self, blocks: Iterable[Hashable]) -> float:
        """Return the range of the machine's speed over some blocks, a share."""
        shifts = [self._shifts[block] for block in blocks if block in self._shifts]
        return math.expm1(max(shifts) - min(shifts)) if shifts else 0.0

    def difference(self, case: Case, other: Case) -> Difference:
        """Return ``ln(time of case / time of other)``; unknown where no block links the two."""
        if case == other:
            return Difference(0.0, 0.0)
        contrast = np.zeros(len(self._means))
        contrast[self.cases.index(case)], contrast[self.cases.index(other)] = 1, -1
        if not np.allclose(contrast @ self._row_space, contrast, atol=1e-6):
            return UNKNOWN
        error = self.stdev * math.sqrt(float(np.sum((contrast @ self._inverse) ** 2)))
        return Difference(float(contrast @ self._means), self._quantile * error)

    def fastest(self, cases: Iterable[Case], reference: Case) -> Case:
        """Return the case with the lowest estimate; a case that is not linked to ``reference`` never is."""

        def rank(case: Case) -> float:
            difference = self.difference(case, reference)
            return difference.log if math.isfinite(difference.half) else math.inf

        return min(cases, key=rank)
