"""``python -m bench sweep``: a row of releases, each compared live with the first of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from bench.cli.axis_options import FIRST_DEVICE, axis_options
from bench.cli.io import say
from bench.cli.live_comparison import (
    Budget,
    Cases,
    DataSet,
    Json,
    Margin,
    Newer,
    Reports,
    Results,
    Resume,
    Threads,
    add_to_summary,
    write_file,
)
from bench.cli.releases import Asked, Package, Releases, With
from bench.errors import ExitCode, NothingMeasured, UsageError

if TYPE_CHECKING:  # --help does without what these import
    from bench.cases.plan import PlannedRun
    from bench.compare.findings import ComparisonResult
    from bench.compare.sweep import Entry, Sweep
    from bench.environments.release_series import ReleaseSeries
    from bench.records.comparison import Comparison

LAST = 6
"""Releases where nobody says how many."""


@axis_options(notes=FIRST_DEVICE)
def sweep(
    package: Package,
    last: Annotated[
        Optional[int],  # noqa: UP045 - typer reads it
        typer.Option(metavar="N", help=f"The newest N releases; default: {LAST}.", show_default=False),
    ] = None,
    versions: Annotated[str, typer.Option(metavar="A,B,C", help="These releases; the first one is the measure.")] = "",
    held: With = "",
    case: Cases = None,
    *,
    axes: dict[str, list[Any]],
    data: DataSet = "",
    threads: Threads = 0,
    margin: Margin = "",
    time_budget: Budget = "",
    exclude_newer: Newer = "",
    results: Results = Path("results"),
    reports: Reports = Path("reports"),
    json: Json = None,
    resume: Resume = False,
) -> None:
    """Throughput over releases: each one against the first of them, in pairs of live processes that take turns.

    One training case, unless cases are named. Everything else that the releases are measured with is the same, as far
    as they install with it: what the newest of them comes with, or what --with names.

    Exit status, by the newest release: 0 not slower than the first; 1 slower, or it cannot run a case; 2 wrong use; 3
    not decided, or it cannot be compared, as where its environment cannot be built; 4 nothing was measured.
    """
    from bench.report.comparisons.sweep import data as sweep_data
    from bench.report.comparisons.sweep import markdown, page, text

    named = wanted(last, versions)
    asked = Asked.parse(
        package,
        held,
        case,
        axes,
        data,
        threads,
        margin,
        time_budget,
        exclude_newer,
        results=results,
        json=json,
        resume=resume,
    )
    row = found_releases(asked.held, named, last or LAST)
    sweeping = Sweeping(Releases(asked, "sweep", row), row)
    try:
        sweeping.run()
    except KeyboardInterrupt:
        say(sweeping.releases.stopped)
    found = sweeping.found()
    print(text.told(found))
    if json is not None:
        write_file(json, sweep_data.as_json(found))
    add_to_summary(markdown.markdown(found))
    say(f"page: {page.write(found, reports / found.run)}")
    if found.exit_code is ExitCode.NOTHING_MEASURED:
        raise NothingMeasured("no release was compared with another: the list says why.")
    raise typer.Exit(found.exit_code)


def wanted(last: int | None, versions: str) -> list[str]:
    """The versions that were named, if any.

    Raises:
        WrongUse: where these are fewer than two, or one of them twice, or it is not clear which are meant.
    """
    if last is not None and versions:
        raise UsageError("name releases by --last or by --versions, not by both.")
    if last is not None and last < 2:
        raise UsageError(f"last {last} is not allowed: a row has two releases at least.")
    named = [version.strip() for version in versions.split(",")] if versions else []
    if versions and len(named) < 2:
        raise UsageError(f"versions {versions!r} names one release: a row has two at least, with a comma between.")
    return named


def found_releases(held: ReleaseSeries, named: list[str], last: int) -> list[str]:
    """The releases of the row, as the package index spells them.

    Raises:
        WrongUse: where one of them was not published, or was named twice, or there are fewer than two.
    """
    from bench.environments.releases import published

    if not named:
        say(f"asking for the newest releases of {held.package} ...")
        row = published(held.package, held.exclude_newer, last=last)
        if len(row) < 2:
            before = f" up to {held.exclude_newer}" if held.exclude_newer else ""
            raise UsageError(f"{held.package} has one release alone{before}, {row[0]}: there is no row of one.")
        return row
    row = [held.release(version) for version in named]
    for number, release in enumerate(row):
        if release in row[:number]:
            raise UsageError(f"{held.package} {release} is named twice: name every release once.")
    return row


class Sweeping:
    """Measures a row of releases.

    Attributes:
        releases: that compares them.
        row: their versions.
        base: the one that the others are compared with; empty before there is one.
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
            KeyboardInterrupt: after what is known was written.
            WrongUse: where none of the releases has an environment, or the cases cannot be.
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
        """Hold what the newest release comes with that has an environment."""
        for release in reversed(self.row):
            try:
                return self.releases.hold(release)
            except UsageError as error:
                if release == self.row[0]:
                    raise
                say(f"{release} says nothing of what to hold: {error}")

    def _provided(self, release: str) -> bool:
        """Whether there is an environment of a release; says why where there is none."""
        try:
            self.releases.provide(release)
        except UsageError as error:
            self._reasons[release] = str(error)
            say(f"{release} is left out: {error}")
            return False
        return True

    def _compare(self, release: str, planned: list[PlannedRun], left: int) -> None:
        """Compare a release with the first one, or put it in its place where that one cannot run anything."""
        from bench.compare.findings import evaluate
        from bench.report.comparisons.sweep import words

        comparison = self.releases.begin(self.base, release, planned, release)
        self._comparisons[release] = comparison
        trouble = ""
        try:
            self.releases.measure(self.base, release, comparison, left)
        except UsageError as error:
            self._reasons[release] = str(error)
            trouble = self.releases.why_unusable(self.base)
        trouble = trouble or cannot_run(evaluate(comparison))
        if trouble and not any(one.pairs for known in self._comparisons.values() for one in known.cases):
            self._instead(release, trouble)
        else:
            say(words.brief(self._entry(release)))

    def _instead(self, release: str, reason: str) -> None:
        """Let a release take the place of the first one."""
        say(f"{self.base} is left out, and {release} takes its place: {reason}")
        self._reasons[self.base] = reason
        self._reasons.pop(release, None)
        self._comparisons.clear()
        self.base = release

    def _entry(self, release: str) -> Entry:
        from bench.compare.findings import evaluate
        from bench.compare.sweep import Entry

        comparison = self._comparisons.get(release)
        if comparison is None:
            return Entry(release=release, reason=self._reasons.get(release, "it was not reached"))
        return Entry(release=release, found=evaluate(comparison), reason=self._reasons.get(release, ""))

    def found(self) -> Sweep:
        """What is known of the row, however far it came."""
        from bench.compare.sweep import Sweep

        return Sweep(
            run=self.releases.run,
            package=self.releases.held.package,
            held=self.releases.held.shown,
            base=self.base,
            entries=tuple(map(self._entry, self.row)),
        )


def cannot_run(found: ComparisonResult) -> str:
    """How every case ended on the first release, in a clause; empty where it runs any of them, or it is not known."""
    from bench.records.outcome import Status
    from bench.report.comparisons.regress.words import ended

    said = []
    for finding in found.findings:
        ran = finding.compared.base
        if ran is None or ran.outcome.status is Status.MEASURED:
            return ""
        said.append(f"it cannot run {finding.id} ({ended(ran).rstrip('.')})")
    return "; ".join(said)
