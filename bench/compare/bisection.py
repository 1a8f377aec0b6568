"""Binary search for the two releases between which it became slower; broken releases are skipped."""

from __future__ import annotations

import statistics
from enum import StrEnum

import msgspec

from bench.compare.findings import ComparisonResult, Finding
from bench.compare.speed_verdict import SpeedVerdict, speed_verdict
from bench.compare.verdict import Verdict
from bench.errors import ExitCode


class Side(StrEnum):
    """Side of the change that a release is on."""

    GOOD = "good"
    BAD = "bad"
    BROKEN = "broken"


class Search(msgspec.Struct, frozen=True):
    """State of a search.

    Attributes:
        releases: oldest first; the first one is known to be good, and the last one to be bad.
        sides: side of each probed release between them, in the order of the probes.
    """

    releases: tuple[str, ...]
    sides: dict[str, Side] = {}

    @property
    def good(self) -> str:
        """The last release that is known to be good."""
        return self.releases[self._ends[0]]

    @property
    def bad(self) -> str:
        """The first release that is known to be bad."""
        return self.releases[self._ends[1]]

    @property
    def open(self) -> tuple[str, ...]:
        """Releases between the two that may still be probed."""
        return tuple(release for release in self._between if release not in self.sides)

    @property
    def skipped(self) -> tuple[str, ...]:
        """Broken releases between the two; any of them may be the first bad one."""
        return tuple(release for release in self._between if release in self.sides)

    @property
    def next(self) -> str | None:
        """The release to probe next: the middle one of those that are open; None once the search is over.

        If that release is broken, its neighbours come next, on one side and then on the other.
        """
        return self.open[len(self.open) // 2] if self.open else None

    @property
    def most(self) -> int:
        """Largest number of further probes, broken ones left out."""
        return len(self.open).bit_length()

    def with_result(self, release: str, side: Side) -> Search:
        """Return the search with one more result."""
        return Search(self.releases, {**self.sides, release: side})

    @property
    def _ends(self) -> tuple[int, int]:
        """Indices of the last good release and of the first bad one."""
        last = len(self.releases) - 1
        good = [place for place, release in enumerate(self.releases) if self.sides.get(release) is Side.GOOD]
        bad = [place for place, release in enumerate(self.releases) if self.sides.get(release) is Side.BAD]
        return max(good, default=0), min(bad, default=last)

    @property
    def _between(self) -> tuple[str, ...]:
        good, bad = self._ends
        return self.releases[good + 1 : bad]


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """A release that was compared with the good end.

    Attributes:
        release: version.
        side: side of the change that the release is on.
        close: whether the verdict was inconclusive, so that only the estimate decides the side.
        result: the comparison; None where it is missing.
        reason: why the comparison is missing, in a sentence.
    """

    release: str
    side: Side
    close: bool = False
    result: ComparisonResult | None = None
    reason: str = ""


class Answer(StrEnum):
    """Result of a search."""

    FOUND = "found"
    NOT_CONFIRMED = "not_confirmed"
    UNFINISHED = "unfinished"
    SAME = "same"
    FASTER = "faster"
    INCONCLUSIVE = "inconclusive"
    CANNOT_RUN = "cannot_run"
    NOTHING_MEASURED = "nothing_measured"


EXITS = {Answer.FOUND: ExitCode.REGRESSION, Answer.NOTHING_MEASURED: ExitCode.NOTHING_MEASURED}
"""Exit codes by answer; all other answers are not comparable."""

ENDS = {
    SpeedVerdict.SAME: Answer.SAME,
    SpeedVerdict.FASTER: Answer.FASTER,
    SpeedVerdict.INCONCLUSIVE: Answer.INCONCLUSIVE,
    SpeedVerdict.CANNOT_RUN: Answer.CANNOT_RUN,
    SpeedVerdict.NOT_COMPARED: Answer.NOTHING_MEASURED,
}
"""Answers where the bad end is not slower than the good one, by its speed verdict."""


class Bisection(msgspec.Struct, kw_only=True):
    """A search and its comparisons, extended during the search.

    Attributes:
        package: package of the releases.
        search: state of the search.
        ends: the bad end against the good one; None before that comparison.
        probes: in the order of measurement.
        last: the first bad release against the last good one; None before that comparison.
    """

    package: str
    search: Search
    ends: ComparisonResult | None = None
    probes: list[Probe] = []
    last: ComparisonResult | None = None

    @property
    def answer(self) -> Answer:
        """The result in a word."""
        if self.ends is None:
            return Answer.NOTHING_MEASURED
        if not self.worth_it:
            return ENDS[speed_verdict(self.ends)]
        if self.last is None or not self.last.judged:
            return Answer.UNFINISHED
        return Answer.FOUND if speed_verdict(self.last) is SpeedVerdict.SLOWER else Answer.NOT_CONFIRMED

    @property
    def worth_it(self) -> bool:
        """Whether the bad end is slower, so that there is something to look for."""
        return self.ends is not None and speed_verdict(self.ends) is SpeedVerdict.SLOWER

    @property
    def exit_code(self) -> ExitCode:
        """Exit code of the command."""
        return EXITS.get(self.answer, ExitCode.NOT_COMPARABLE)

    @property
    def comparisons(self) -> list[ComparisonResult]:
        """All comparisons, in the order of measurement."""
        results = [self.ends, *(probe.result for probe in self.probes), self.last]
        return [result for result in results if result is not None]

    @property
    def seconds(self) -> float:
        """Seconds of all comparisons."""
        return sum(result.comparison.seconds for result in self.comparisons)

    @property
    def close(self) -> list[Probe]:
        """Probes whose side is not certain."""
        return [probe for probe in self.probes if probe.close]


def culprits(ends: ComparisonResult) -> list[Finding]:
    """Return the cases to search by: those that are slower by themselves, or all where only the overall figure is."""
    return [finding for finding in ends.together if finding.verdict is Verdict.SLOWER] or ends.together


def probed(release: str, result: ComparisonResult, ends: ComparisonResult) -> Probe:
    """Return the probe of a release, with the side that the release is on.

    Args:
        release: its version.
        result: the release against the good end, in the cases of :func:`culprits`.
        ends: the bad end against the good one.
    """
    if result.overall is None:
        return Probe(release=release, side=Side.BROKEN, result=result)
    logs = [finding.judged.estimate.log for finding in culprits(ends) if finding.judged]
    judged = result.overall
    side, close = side_of(judged.verdict, judged.estimate.log, statistics.fmean(logs))
    return Probe(release=release, side=side, close=close, result=result)


def side_of(verdict: Verdict, log: float, whole: float) -> tuple[Side, bool]:
    """Return the side that a release is on, and whether that was close.

    Args:
        verdict: on the release against the good end.
        log: its ``ln(release / good)``.
        whole: ``ln(bad / good)`` of the ends; half of it separates the sides where the verdict does not.
    """
    if verdict is Verdict.INCONCLUSIVE:
        return Side.BAD if log > whole / 2 else Side.GOOD, True
    return Side.BAD if verdict is Verdict.SLOWER else Side.GOOD, False
