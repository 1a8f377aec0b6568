"""Estimate how settings differ in speed, from measurements in blocks between which the machine may change its speed."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence

import msgspec
import numpy as np
import numpy.typing as npt
from scipy.sparse.csgraph import connected_components

from bench.analysis.intervals import t_quantile
from bench.cases import Case

Array = npt.NDArray[np.float64]

PRIOR_DEGREES = 4
"""Number of measurements that the noise of a machine counts for, before any setting was measured twice."""

PAIR_WEIGHT = 4.0
"""Variance of a process alone over that of one of a pair: other work on the machine slows down both sides of a pair.

Of 1, 4 and 9, the search came closest to the best with 4, on simulated machines with phases of other work."""

SHIFTS = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Sizes of the shifts of blocks among which the likelihood chooses: standard deviations, over that of processes."""


class Observation(msgspec.Struct, frozen=True):
    """One measured process.

    Attributes:
        case: with its settings.
        block: measurements of one block followed each other within a short time.
        log: logarithm of the seconds per image.
        paired: whether it ran in a pair.
    """

    case: Case
    block: Hashable
    log: float
    paired: bool = False


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
    """One mean per case and one random shift per block; the noise is pooled over all cases.

    How much blocks shift is estimated too, by restricted maximum likelihood (Patterson and Thompson, 1971). On a steady
    machine a case counts by all its processes, so that a block whose reference was slow by chance misleads little. On
    one that drifts, it counts by what was measured in the same block.

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
        of_case = _indicators([observation.case for observation in observations], self.cases)
        of_block = _indicators([observation.block for observation in observations], blocks)
        logs = np.array([observation.log for observation in observations])
        variances = np.array([1 / PAIR_WEIGHT if observation.paired else 1.0 for observation in observations])
        self._fit = max(
            (_Fit(logs, variances, of_case, of_block, noise, shift) for shift in SHIFTS), key=lambda fit: fit.likelihood
        )
        # Where no case ran in both of two blocks, the shift between them is a guess, so their cases are not compared.
        self._linked = connected_components(of_case.T @ of_block @ of_block.T @ of_case)[1]
        self._quantile = t_quantile(self._fit.degrees)
        self._shifts = dict(zip(blocks, self._fit.shifts.tolist(), strict=True))

    def drift(self, blocks: Iterable[Hashable]) -> float:
        """Return the range of the machine's speed over some blocks, a share."""
        shifts = [self._shifts[block] for block in blocks if block in self._shifts]
        return math.expm1(max(shifts) - min(shifts)) if shifts else 0.0

    def difference(self, case: Case, other: Case) -> Difference:
        """Return ``ln(time of case / time of other)``; unknown where no block links the two."""
        contrast = np.zeros(len(self.cases))
        contrast[first := self.cases.index(case)] += 1
        contrast[second := self.cases.index(other)] -= 1
        if self._linked[first] != self._linked[second]:
            return UNKNOWN
        variance = self._fit.variance * float(contrast @ self._fit.inverse @ contrast)
        return Difference(float(contrast @ self._fit.means), self._quantile * math.sqrt(max(variance, 0.0)))

    def fastest(self, cases: Iterable[Case], reference: Case) -> Case:
        """Return the case with the lowest estimate; a case that is not linked to ``reference`` never is."""

        def rank(case: Case) -> float:
            difference = self.difference(case, reference)
            return difference.log if math.isfinite(difference.half) else math.inf

        return min(cases, key=rank)


class _Fit:
    """Weighted least squares of the means of cases, for one size of the shifts of blocks.

    Attributes:
        means: by case.
        shifts: by block.
        inverse: covariance of the means over ``variance``.
        variance: of a process alone.
        degrees: of freedom of the variance, those of the noise known beforehand included.
        likelihood: logarithm of the restricted likelihood, but for a constant.
    """

    def __init__(
        self, logs: Array, variances: Array, of_case: Array, of_block: Array, noise: float, shift: float
    ) -> None:
        covariance = np.diag(variances) + shift**2 * of_block @ of_block.T
        precision = np.linalg.inv(covariance)
        information = of_case.T @ precision @ of_case
        self.inverse = np.linalg.inv(information)
        self.means = self.inverse @ of_case.T @ precision @ logs
        rest = logs - of_case @ self.means
        self.shifts = shift**2 * of_block.T @ precision @ rest
        squares = PRIOR_DEGREES * noise**2 + float(rest @ precision @ rest)
        self.degrees = PRIOR_DEGREES + len(logs) - len(self.means)
        self.variance = squares / self.degrees
        logs_of_determinants = np.linalg.slogdet(covariance)[1] + np.linalg.slogdet(information)[1]
        self.likelihood = -0.5 * (float(logs_of_determinants) + self.degrees * math.log(squares))


def _indicators(values: Sequence[Hashable], levels: Sequence[Hashable]) -> Array:
    """Return a matrix with a row per value and a column per level: 1 where they are the same."""
    return np.array([[float(value == level) for level in levels] for value in values]).reshape(len(values), len(levels))
