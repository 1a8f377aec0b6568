"""The course of a sweep: a row of releases, each compared with the first of them."""

from __future__ import annotations

from bench.cases.plan import PlannedRun
from bench.cli.io import say
from bench.cli.live.releases import Releases
from bench.compare.findings import ComparisonResult, evaluate
from bench.compare.sweep import Entry, Sweep
from bench.environments.release_series import ReleaseSeries
from bench.environments.releases import published
from bench.errors import UsageError
from bench.records.comparison import Comparison
from bench.records.outcome import Status
from bench.report.comparisons.regress.cases import format_outcome
from bench.report.comparisons.sweep.conclusion import brief


def named_releases(last: int | None, versions: str) -> list[str]:
    """Return the versions that were named, if any.

    Raises:
        UsageError: for fewer than two, or both ways of naming them.
    """
    if last is not None and versions:
        raise UsageError("name releases by --last or by --versions, not by both.")
    if last is not None and last < 2:
        raise UsageError(f"last {last} is not allowed: a row has two releases at least.")
    named = [version.strip() for version in versions.split(",")] if versions else []
    if versions and len(named) < 2:
        raise UsageError(f"versions {versions!r} names one release: a row has two at least, with a comma between.")
    return named


def row_of_releases(series: ReleaseSeries, named: list[str], last: int) -> list[str]:
    """Return the releases of the row, as the package index spells them.

    Raises:
        UsageError: for one that was not published or is named twice, or fewer than two.
    """
    if not named:
        say(f"asking for the newest releases of {series.package} ...")
        row = published(series.package, series.exclude_newer, last=last)
        if len(row) < 2:
            before = f" up to {series.exclude_newer}" if series.exclude_newer else ""
            raise UsageError(f"{series.package} has one release alone{before}, {row[0]}: there is no row of one.")
        return row
    row = [series.release(version) for version in named]
    for number, release in enumerate(row):
        if release in row[:number]:
            raise UsageError(f"{series.package} {release} is named twice: name every release once.")
    return row


class ReleaseSweep:
    """Measures a row of releases.

    Attributes:
        releases: compares them.
        row: their versions.
        base: the release that the others are compared with; empty before it is known.
    """

    def __init__(self, releases: Releases, row: list[str]) -> None:
        """Start nothing."""
        self.releases = releases
        self.row = row
        self.base = ""
        self._comparisons: dict[str, Comparison] = {}
        self._reasons: dict[str, str] = {}

    def run(self) -> None:
        """Provide all environments, then compare one release after another.

        Raises:
            KeyboardInterrupt: after the results so far were written.
            UsageError: where none of the releases has an environment, or the cases are invalid.
        """
        self._hold()
        ready = [release for release in self.row if self._provided(release)]
        if len(ready) < 2:
            self.base = ready[0] if ready else ""
            return
        planned = self.releases.planned(*ready)
        self.base = ready[0]
        for number, release in enumerate(ready[1:], 1):
            say(f"{release} against {self.base}, {number} of {len(ready) - 1}")
            self._compare(release, planned, len(ready) - number)

    def _hold(self) -> None:
        """Pin the other packages to the versions that the newest release with an environment is installed with."""
        for release in reversed(self.row):
            try:
                return self.releases.hold(release)
            except UsageError as error:
                if release == self.row[0]:
                    raise
                say(f"{release} cannot decide which versions to pin: {error}")

    def _provided(self, release: str) -> bool:
        """Whether a release has an environment; say why where it cannot be built."""
        try:
            self.releases.provide(release)
        except UsageError as error:
            self._reasons[release] = str(error)
            say(f"{release} is left out: {error}")
            return False
        return True

    def _compare(self, release: str, planned: list[PlannedRun], left: int) -> None:
        """Compare a release with the first one, or replace that one by it where it cannot run anything."""
        comparison = self.releases.begin(self.base, release, planned, release)
        self._comparisons[release] = comparison
        trouble = ""
        try:
            self.releases.measure(self.base, release, comparison, left)
        except UsageError as error:
            self._reasons[release] = str(error)
            trouble = self.releases.why_unusable(self.base)
        trouble = trouble or cannot_run(evaluate(comparison))
        if trouble and not any(compared.pairs for known in self._comparisons.values() for compared in known.cases):
            self._replace_base(release, trouble)
        else:
            say(brief(self._entry(release)))

    def _replace_base(self, release: str, reason: str) -> None:
        """Replace the first release by another one."""
        say(f"{self.base} is left out, and {release} takes its place: {reason}")
        self._reasons[self.base] = reason
        self._reasons.pop(release, None)
        self._comparisons.clear()
        self.base = release

    def _entry(self, release: str) -> Entry:
        comparison = self._comparisons.get(release)
        if comparison is None:
            return Entry(release=release, reason=self._reasons.get(release, "it was not reached"))
        return Entry(release=release, result=evaluate(comparison), reason=self._reasons.get(release, ""))

    def result(self) -> Sweep:
        """Return the result of the row, complete or not."""
        return Sweep(
            run=self.releases.run,
            package=self.releases.series.package,
            pinned=self.releases.series.pin_labels,
            base=self.base,
            entries=tuple(map(self._entry, self.row)),
        )


def cannot_run(result: ComparisonResult) -> str:
    """Say how every case ended on the first release; empty where it runs any of them, or where that is unknown."""
    endings = []
    for finding in result.findings:
        ran = finding.compared.base
        if ran is None or ran.outcome.status is Status.MEASURED:
            return ""
        endings.append(f"it cannot run {finding.id} ({format_outcome(ran).rstrip('.')})")
    return "; ".join(endings)
