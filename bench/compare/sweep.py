"""Results of a sweep: verdicts of releases compared live with the first one, and throughput over releases."""

from __future__ import annotations

import statistics

import msgspec

from bench.cases import Case
from bench.compare.findings import ComparisonResult
from bench.compare.speed_verdict import SpeedVerdict, speed_verdict
from bench.compare.verdict import Estimate, Verdict
from bench.errors import ExitCode

EXITS = {
    SpeedVerdict.SLOWER: ExitCode.REGRESSION,
    SpeedVerdict.CANNOT_RUN: ExitCode.REGRESSION,
    SpeedVerdict.INCONCLUSIVE: ExitCode.NOT_COMPARABLE,
    SpeedVerdict.NOT_COMPARED: ExitCode.NOT_COMPARABLE,
}
"""Exit codes by the verdict on the newest release; other verdicts exit with success."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One release of a sweep.

    Attributes:
        release: version.
        result: comparison with the first release; None for the first release itself and for a missing comparison.
        reason: why the comparison is missing, in a sentence.
    """

    release: str
    result: ComparisonResult | None = None
    reason: str = ""

    @property
    def speed_verdict(self) -> SpeedVerdict:
        """Verdict on the release's speed, compared with the first release."""
        return speed_verdict(self.result) if self.result else SpeedVerdict.NOT_COMPARED


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a release in one case.

    Attributes:
        release: version.
        verdict, estimate: of ``ln(release / first)``; None without a figure.
        rate: images per second: the level of the first release times the ratio.
        low, high: interval of ``rate``; None for a single pair, which has no interval.
        pairs: number of pairs of the figure.
    """

    release: str
    verdict: Verdict | None = None
    estimate: Estimate | None = None
    rate: float | None = None
    low: float | None = None
    high: float | None = None
    pairs: int = 0


class Series(msgspec.Struct, frozen=True):
    """Throughput over releases in one case.

    Attributes:
        case: case of all points.
        level: images per second of the first release: the geometric mean over its pairs in all comparisons.
        pairs: number of pairs of the first release.
        points: points of the other releases, in their order.
    """

    case: Case
    level: float
    pairs: int
    points: tuple[Point, ...]


class Sweep(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a sweep over releases.

    Attributes:
        run: name of the sweep; prefix of the names of its comparisons.
        package: package whose releases are compared.
        pinned: requirements that all environments have in common.
        base: release that the others are compared with; empty where no release could run.
        entries: all releases, in the requested order. Those before ``base`` could not be compared.
    """

    run: str
    package: str
    pinned: tuple[str, ...]
    base: str
    entries: tuple[Entry, ...]

    @property
    def others(self) -> tuple[Entry, ...]:
        """The releases after ``base``."""
        names = [entry.release for entry in self.entries]
        return self.entries[names.index(self.base) + 1 :] if self.base else ()

    @property
    def newest(self) -> Entry:
        """The last release of the row."""
        return self.entries[-1]

    @property
    def latest(self) -> Entry | None:
        """The last release that has a figure."""
        return next((entry for entry in reversed(self.others) if entry.result and entry.result.judged), None)

    @property
    def comparisons(self) -> list[ComparisonResult]:
        """All comparisons, in the order of the releases."""
        return [entry.result for entry in self.others if entry.result]

    @property
    def since(self) -> Entry | None:
        """The first of the releases up to the latest one that are all slower, or all faster; None where it is neither.

        Releases without a known speed verdict are passed over.
        """
        start = None
        for entry in reversed(self._until_latest):
            if entry.speed_verdict.is_known and not (
                self.latest and entry.speed_verdict is self.latest.speed_verdict and entry.speed_verdict.changed
            ):
                break
            start = entry if entry.speed_verdict.is_known else start
        return start

    @property
    def unsure(self) -> list[Entry]:
        """Releases right before :attr:`since` without a known verdict: the change may have begun with one of them."""
        names = [entry.release for entry in self._until_latest]
        if self.since is None:
            return []
        before = self._until_latest[: names.index(self.since.release)]
        first = next((place for place in range(len(before), 0, -1) if before[place - 1].speed_verdict.is_known), 0)
        return list(before[first:])

    @property
    def apart(self) -> list[Entry]:
        """Releases before :attr:`since` that were slower or faster too; without it, all such up to the latest."""
        names = [entry.release for entry in self._until_latest]
        end = names.index(self.since.release) if self.since else len(names)
        return [entry for entry in self._until_latest[:end] if entry.speed_verdict.changed]

    @property
    def _until_latest(self) -> tuple[Entry, ...]:
        return self.others[: self.others.index(self.latest) + 1] if self.latest else ()

    @property
    def exit_code(self) -> ExitCode:
        """Exit code of the command: by the newest release, unless no release was compared."""
        paces = {entry.speed_verdict for entry in self.others}
        if paces <= {SpeedVerdict.NOT_COMPARED}:
            return ExitCode.NOTHING_MEASURED
        return EXITS.get(self.newest.speed_verdict, ExitCode.OK)

    @property
    def seconds(self) -> float:
        """Seconds of all comparisons."""
        return sum(result.comparison.seconds for result in self.comparisons)

    @property
    def pairs(self) -> int:
        """Number of pairs of all comparisons."""
        return sum(result.pairs for result in self.comparisons)

    @property
    def series(self) -> tuple[Series, ...]:
        """Throughput over releases, one series per case that has any pair."""
        cases = dict.fromkeys(finding.compared.case for result in self.comparisons for finding in result.judged)
        return tuple(self._series(case) for case in cases)

    def _series(self, case: Case) -> Series:
        findings = {
            entry.release: finding
            for entry in self.others
            if entry.result
            for finding in entry.result.judged
            if finding.compared.case == case
        }
        rates = [pair.base.steps.images_per_second for finding in findings.values() for pair in finding.compared.pairs]
        level = statistics.geometric_mean(rates)
        points = []
        for entry in self.others:
            finding = findings.get(entry.release)
            judged = finding.judged if finding else None
            points.append(
                point(entry.release, judged.verdict, judged.estimate, level) if judged else Point(release=entry.release)
            )
        return Series(case, level, len(rates), tuple(points))


def point(release: str, verdict: Verdict, estimate: Estimate, level: float) -> Point:
    """Return the throughput of a release, by its estimated ratio to a release of ``level`` images per second."""
    known = estimate.low > 0  # the interval of two pairs may be so wide that its end is 0
    return Point(
        release=release,
        verdict=verdict,
        estimate=estimate,
        rate=level / estimate.ratio,
        low=level / estimate.high if known else None,
        high=level / estimate.low if known else None,
        pairs=estimate.pairs,
    )
