"""Judge whether one environment is slower than another: pairs of processes, interim looks, an interval, a verdict.

A pair is one number: ``ln(head / base)`` of the steps of two processes that took turns. The interval comes from
pairs alone (Student's t), never from steps. There are three interim looks, each at a level at which all of them
together are wrong in one of twenty cases (Pocock, 1977). An alarm is confirmed by fresh pairs, so that the reported
figure is not the one that raised it. Where there are many cases, Holm's rule (1979) keeps the chance that any alarm at
all is false.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from enum import StrEnum

import msgspec
from scipy.special import stdtr  # scipy.stats has the whole test, and takes half a second to import

from bench.analysis.intervals import CONFIDENCE, half_width, t_quantile
from bench.analysis.noise import LOOK_CONFIDENCE, LOOKS
from bench.records.comparison import Pair

FRESH_LOOKS = (4, 8)
"""Numbers of fresh pairs, none of which raised the alarm, after which a look checks whether they confirm it."""

FRESH_CONFIDENCE = 1 - 0.0275
"""Confidence of one such look, so that both together are wrong in one of twenty cases. In 2,000,000 simulations of
eight pairs without a difference, the interval of one look or the other excluded 0 in 5.0 %."""

MOST = 700.0
"""Largest logarithm that is shown: with two pairs an interval may reach beyond any number."""

MOST_PAIRS = 200
"""Largest number of pairs that is estimated; more are out of reach."""

LEVEL = 1 - CONFIDENCE
"""Chance that any of the cases of a comparison raises a false alarm."""


class Verdict(StrEnum):
    """Verdict of a comparison on head against base."""

    SLOWER = "slower"
    FASTER = "faster"
    SAME = "same"
    INCONCLUSIVE = "inconclusive"

    @property
    def alarm(self) -> bool:
        """Whether the verdict is a difference."""
        return self in (Verdict.SLOWER, Verdict.FASTER)


class Estimate(msgspec.Struct, frozen=True):
    """A mean of logarithms of ratios with its interval.

    Attributes:
        log: the mean of ``ln(head / base)``; above 0 head is slower.
        half: half the width of its interval; infinite with fewer than two pairs.
        pairs: how many pairs it comes from.
        confidence: of the interval.
    """

    log: float
    half: float
    pairs: int
    confidence: float = CONFIDENCE

    @property
    def low(self) -> float:
        """Lower end of the ratio head / base."""
        return math.exp(self.log - self.half)

    @property
    def high(self) -> float:
        """Upper end of the ratio head / base."""
        return math.exp(min(self.log + self.half, MOST))

    @property
    def ratio(self) -> float:
        """Head / base: seconds over seconds, above 1 where head is slower."""
        return math.exp(self.log)

    @property
    def includes_zero(self) -> bool:
        """Whether the interval includes no difference at all."""
        return abs(self.log) <= self.half

    @property
    def decidable(self) -> float:
        """The smallest margin at which this would be ``same``, as a share."""
        return math.expm1(min(abs(self.log) + self.half, MOST))

    def pairs_needed(self, margin: float) -> int | None:
        """Estimate how many pairs a verdict would take, if they scatter as before; None where it is far too many.

        Args:
            margin: equivalence margin, a share.
        """
        least, change = math.log1p(margin), abs(self.log)
        room = max(least - change, change if change >= least else 0.0)
        if not math.isfinite(self.half) or room * math.sqrt(MOST_PAIRS / self.pairs) < self.half:
            return None
        return max(math.ceil(self.pairs * (self.half / room) ** 2), self.pairs + 1)

    def verdict(self, margin: float) -> Verdict:
        """Return the verdict at a margin, a share such as 0.03: a difference below that counts as none."""
        least = math.log1p(margin)
        if abs(self.log) + self.half < least:
            return Verdict.SAME
        if not self.includes_zero and abs(self.log) >= least:
            return Verdict.SLOWER if self.log > 0 else Verdict.FASTER
        return Verdict.INCONCLUSIVE


def estimate(logs: Sequence[float], confidence: float = CONFIDENCE) -> Estimate:
    """Estimate the ratio from the pairs of a case, at least one."""
    half = half_width(logs, confidence) if len(logs) > 1 else math.inf
    return Estimate(statistics.fmean(logs), half, len(logs), confidence)


def interim_look(logs: Sequence[float]) -> Estimate:
    """Estimate at an interim look; the interval holds the truth in 95 of 100 cases over all looks together."""
    return estimate(logs, LOOK_CONFIDENCE)


def confirm(alarm: Verdict, fresh: Sequence[float], margin: float) -> Estimate | None:
    """Estimate by fresh pairs, at the first look that confirms the alarm or finds no difference, else at the last.

    Args:
        alarm: the alarm.
        fresh: logs of the fresh pairs so far, in the order in which they were measured.
        margin: a share.

    Returns:
        None while another look is to come.
    """
    look = None
    for count in FRESH_LOOKS:
        if count > len(fresh):
            return None
        look = estimate(fresh[:count], FRESH_CONFIDENCE)
        if look.verdict(margin) in (alarm, Verdict.SAME):
            break
    return look


def p_value(logs: Sequence[float]) -> float:
    """Return the chance of a mean as far from 0 without a difference, by Student's t; 1 with fewer than two pairs."""
    if len(logs) < 2:
        return 1.0
    mean, spread = statistics.fmean(logs), statistics.stdev(logs)
    if not spread:  # as only simulated pairs have none
        return 0.0 if mean else 1.0
    t = mean / spread * math.sqrt(len(logs))
    return float(2 * stdtr(len(logs) - 1, -abs(t)))


def p_over_looks(logs: Sequence[float]) -> float:
    """Return the smallest p value of the looks taken, times the number of planned looks (Bonferroni), at most 1.

    Args:
        logs: all pairs of the looks of a case, in the order in which they were measured.
    """
    taken = [count for count in LOOKS if count <= len(logs)]
    return min(1.0, len(LOOKS) * min((p_value(logs[:count]) for count in taken), default=1.0))


def holm(chances: Mapping[str, float], level: float = LEVEL) -> set[str]:
    """Return the names whose p values are significant, by Holm's rule.

    Args:
        chances: the p value of each.
        level: chance that any returned name is a false alarm.
    """
    significant: set[str] = set()
    for rank, (name, chance) in enumerate(sorted(chances.items(), key=lambda item: item[1])):
        if chance > level / (len(chances) - rank):
            break
        significant.add(name)
    return significant


class Decision(msgspec.Struct, frozen=True):
    """Decision on a case.

    Attributes:
        verdict: at the margin.
        estimate: the reported figure: of the fresh pairs where they tested an alarm.
        alarm: verdict of the interim looks, where they raised an alarm.
        note: reason for the verdict, where it needs one.
    """

    verdict: Verdict
    estimate: Estimate
    alarm: Verdict | None = None
    note: str = ""


def interim_decision(logs: Sequence[float], margin: float, real: bool = True) -> tuple[Verdict, Estimate] | None:
    """Return verdict and estimate of the first interim look that decides; None while another look is to come.

    Args:
        logs: of its pairs so far, in the order in which they were measured.
        margin: a share; see :meth:`Estimate.verdict`.
        real: whether an alarm of the case would stand against the number of cases. One that would not decides nothing:
            the looks go on, because each of them is valid whatever the others found.
    """
    look = None
    for count in LOOKS:
        if count > len(logs):
            return None
        look = interim_look(logs[:count])
        verdict = look.verdict(margin)
        if verdict is Verdict.SAME or (verdict.alarm and real):
            return verdict, look
    return (Verdict.INCONCLUSIVE, look) if look else None


def significant_cases(cases: Mapping[str, Sequence[float]], margin: float) -> set[str]:
    """Return the cases whose alarm at a look also stands against the number of cases; these need fresh pairs.

    Args:
        cases: logs of the pairs of the looks, by case.
        margin: a share.
    """
    real = holm({name: p_over_looks(logs) for name, logs in cases.items()})
    words = {name: interim_decision(logs, margin) for name, logs in cases.items()}
    return {name for name, word in words.items() if name in real and word is not None and word[0].alarm}


def judge(logs: Sequence[float], fresh: Sequence[float], margin: float, real: bool) -> Decision | None:
    """Judge a case; None where there is no pair.

    Args:
        logs: of the pairs of its looks, in the order in which they were measured.
        fresh: of the pairs that were measured to confirm an alarm.
        margin: a share.
        real: whether the case is among :func:`significant_cases`.
    """
    if not logs:
        return None
    word = interim_decision(logs, margin, real)
    if word is None:
        return Decision(Verdict.INCONCLUSIVE, interim_look(logs), note=f"stopped after {count(logs)}")
    verdict, look = word
    if not verdict.alarm:
        alarm = interim_decision(logs, margin)
        if verdict is Verdict.SAME or alarm is None or not alarm[0].alarm:
            return Decision(verdict, look)
        return Decision(
            verdict, look, alarm[0], f"{alarm[0]} by itself, but among so many looks and cases perhaps by chance"
        )
    again = confirm(verdict, fresh, margin)
    if again is None:
        return Decision(
            Verdict.INCONCLUSIVE, look, verdict, f"{verdict} at first, and it ended before fresh pairs confirmed it"
        )
    confirmed = again.verdict(margin)
    if confirmed is verdict:
        return Decision(verdict, again, verdict)
    if confirmed.alarm:
        confirmed = Verdict.INCONCLUSIVE
    return Decision(confirmed, again, verdict, f"{verdict} at first, which fresh pairs did not confirm")


def count(logs: Sequence[float]) -> str:
    """``1 pair``, ``3 pairs``."""
    return f"{len(logs)} pair{'s' if len(logs) > 1 else ''}"


def overall(cases: Sequence[Sequence[float]], margin: float) -> Decision | None:
    """Judge all cases as one, by their mean in every round of pairs that all of them had; None without a round.

    The figure is the geometric mean of their ratios, and its interval keeps the noise that the cases have in common.

    Args:
        cases: logs of the pairs of the looks of each case, in the order in which they were measured.
        margin: a share.
    """
    rounds = min((len(logs) for logs in cases), default=0)
    if not rounds:
        return None
    means = [statistics.fmean(logs[number] for logs in cases) for number in range(rounds)]
    look = interim_look(means)
    return Decision(look.verdict(margin), look)


def order_effect(cases: Sequence[Sequence[Pair]]) -> Estimate | None:
    """Estimate the effect of being started second, ``ln(second / first)``, apart from the differences of the cases.

    Least squares with one mean per case and a common slot effect, so that neither a real difference nor an unbalanced
    order biases the effect. None without pairs; infinite half-width with too few pairs.

    Args:
        cases: all pairs of each case.
    """
    pairs = [list(case) for case in cases if case]
    if not pairs:
        return None
    later, logs = [], []
    for case in pairs:
        signs = [-1.0 if pair.head_first else 1.0 for pair in case]
        middle, mean = statistics.fmean(signs), statistics.fmean(pair.log for pair in case)
        later += [sign - middle for sign in signs]
        logs += [pair.log - mean for pair in case]
    energy = sum(sign * sign for sign in later)
    if not energy:
        return Estimate(0.0, math.inf, len(logs))
    effect = sum(sign * log for sign, log in zip(later, logs, strict=True)) / energy
    free = len(logs) - len(pairs) - 1
    rest = sum((log - sign * effect) ** 2 for sign, log in zip(later, logs, strict=True))
    half = t_quantile(free) * math.sqrt(rest / free / energy) if free > 0 else math.inf
    return Estimate(effect, half, len(logs))
