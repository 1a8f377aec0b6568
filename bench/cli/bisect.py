"""``python -m bench bisect``: with which release did it become slower? A binary search by live comparisons."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
from bench.errors import UsageError
from bench.formatting import format_rough_duration

if TYPE_CHECKING:  # --help does without what these import
    from bench.cases.plan import PlannedRun
    from bench.compare.bisection import Bisection, Probe
    from bench.environments.release_series import ReleaseSeries


@axis_options(notes=FIRST_DEVICE)
def bisect(
    package: Package,
    good: Annotated[str, typer.Option(metavar="VERSION", help="A release that was fast enough.")],
    bad: Annotated[str, typer.Option(metavar="VERSION", help="A later one that is slower.")],
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
    """With which release did it become slower? A binary search, every probe compared live with the good end.

    One training case, unless cases are named; of several, those that are slower at the bad end are searched by. The
    two neighbours that it ends with are compared with each other once more. Releases that were yanked, or that cannot
    be installed or measured, are skipped.

    Exit status: 1 found and confirmed; 2 wrong use; 3 not confirmed, not decided, or the bad end is not slower; 4
    nothing was measured.
    """
    from bench.compare.bisection import Bisection, Search
    from bench.report.comparisons import bisect as report
    from bench.report.comparisons.regress import page, text

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
    search = Search(tuple(found_releases(asked.held, good.strip(), bad.strip())))
    releases = Releases(asked, "bisect", search.releases)
    found = Bisection(package=asked.held.package, search=search)
    say(
        f"{report.title(found)}: up to {search.most + 2} comparisons, which are the ends, {search.most} probes, and "
        "the two neighbours"
    )
    try:
        run(found, releases)
    except KeyboardInterrupt:
        say(releases.stopped)
    shown = found.last or found.ends
    packages = report.packages(shown, found.package) if shown else ""
    if shown:
        print(f"{text.told(shown, packages)}\n")
    print(report.told(found))
    if json is not None:
        write_file(json, report.as_json(found))
    add_to_summary(report.markdown(found))
    if shown:
        say(f"page of the last comparison: {page.write(shown, reports / shown.comparison.run, packages)}")
    raise typer.Exit(found.exit_code)


def found_releases(held: ReleaseSeries, good: str, bad: str) -> list[str]:
    """Both ends and the published releases between, oldest first.

    The ends are taken even where they were yanked.

    Raises:
        WrongUse: where an end was not published, or they are in the wrong order.
    """
    from bench.environments.releases import published
    from bench.environments.uv import ResolutionError

    first, last = held.release(good), held.release(bad)
    if first == last:
        raise UsageError(f"good and bad are the same release, {held.package} {first}: name two.")
    say(f"asking for the releases of {held.package} from {first} to {last} ...")
    try:
        between = published(held.package, held.exclude_newer, least=good, most=bad)
    except ResolutionError:  # both ends were yanked, and nothing is between
        between = []
    return [first, *(release for release in between if release not in (first, last)), last]


def run(found: Bisection, releases: Releases) -> None:
    """Compare the ends, search between them, and compare the neighbours; what is known is in ``found`` at any time.

    Raises:
        KeyboardInterrupt: after what is known was written.
        WrongUse: where an end has no environment that can be used, or the cases cannot be.
    """
    from bench.compare.bisection import culprits
    from bench.compare.findings import evaluate
    from bench.report.comparisons import bisect as report

    good, *_, bad = found.search.releases
    releases.hold(bad)
    planned = releases.planned(good, bad)
    comparison = releases.begin(good, bad, planned, bad)
    try:
        releases.measure(good, bad, comparison, found.search.most + 2)
    finally:
        found.ends = evaluate(comparison)
    if not found.worth_it:
        return
    cases = {finding.id for finding in culprits(found.ends)}
    planned = [plan for plan in planned if plan.case.id in cases]
    rest = (found.search.most + 1) * comparison.seconds
    say(
        f"{bad} is slower: up to {found.search.most + 1} more comparisons, {format_rough_duration(rest)} if each "
        "takes as long"
    )
    while release := found.search.next:
        say(f"probe {len(found.probes) + 1}: {release}, up to {found.search.most} to go")
        seen = probe(found, releases, release, planned)
        found.probes = [*found.probes, seen]
        found.search = found.search.told(release, seen.side)
        say(report.brief(seen))
    good, bad = found.search.good, found.search.bad
    say(f"{bad} against {good} once more")
    comparison = releases.begin(good, bad, planned, f"{good}-{bad}")
    try:
        releases.measure(good, bad, comparison, 1)
    except UsageError as error:
        say(str(error))
    finally:
        found.last = evaluate(comparison)


def probe(found: Bisection, releases: Releases, release: str, planned: list[PlannedRun]) -> Probe:
    """Compare a release with the good end; where that cannot be, it is broken.

    Raises:
        WrongUse: where it is the good end that cannot be used any more.
    """
    from bench.compare.bisection import Probe, Side, probed
    from bench.compare.findings import evaluate

    assert found.ends, "the ends are compared first"
    good = found.search.releases[0]
    try:
        releases.provide(release)
    except UsageError as error:
        return Probe(release=release, side=Side.BROKEN, reason=str(error))
    comparison = releases.begin(good, release, planned, release)
    try:
        releases.measure(good, release, comparison, found.search.most + 1)
    except UsageError as error:
        if releases.why_unusable(good):
            raise
        return Probe(release=release, side=Side.BROKEN, found=evaluate(comparison), reason=str(error))
    return probed(release, evaluate(comparison), found.ends)
