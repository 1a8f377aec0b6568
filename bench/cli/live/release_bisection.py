"""The course of a bisection: both ends, probes between them, and the two neighbours that it ends with."""

from __future__ import annotations

from bench.cases.plan import PlannedRun
from bench.cli.io import say
from bench.cli.live.releases import Releases
from bench.compare.bisection import Bisection, Probe, Side, culprits, probed
from bench.compare.findings import evaluate
from bench.environments.release_series import ReleaseSeries
from bench.environments.releases import published
from bench.environments.uv import ResolutionError
from bench.errors import UsageError
from bench.formatting import format_rough_duration
from bench.report.comparisons.bisect import brief


def releases_between(series: ReleaseSeries, good: str, bad: str) -> list[str]:
    """Return both ends and the published releases between, oldest first.

    The ends are taken even where they were yanked.

    Raises:
        UsageError: for an end that was not published, or ends in the wrong order.
    """
    first, last = series.release(good), series.release(bad)
    if first == last:
        raise UsageError(f"good and bad are the same release, {series.package} {first}: name two.")
    say(f"asking for the releases of {series.package} from {first} to {last} ...")
    try:
        between = published(series.package, series.exclude_newer, least=good, most=bad)
    except ResolutionError:  # both ends were yanked, and nothing is between
        between = []
    return [first, *(release for release in between if release not in (first, last)), last]


def search(bisection: Bisection, releases: Releases) -> None:
    """Compare the ends, search between them, and compare the neighbours; ``bisection`` always holds what is known.

    Raises:
        KeyboardInterrupt: after the results so far were written.
        UsageError: for an end without a usable environment, or invalid cases.
    """
    good, *_, bad = bisection.search.releases
    releases.hold(bad)
    planned = releases.planned(good, bad)
    comparison = releases.begin(good, bad, planned, bad)
    try:
        releases.measure(good, bad, comparison, bisection.search.most + 2)
    finally:
        bisection.ends = evaluate(comparison)
    if not bisection.worth_it:
        return
    cases = {finding.id for finding in culprits(bisection.ends)}
    planned = [plan for plan in planned if plan.case.id in cases]
    rest = (bisection.search.most + 1) * comparison.seconds
    say(f"{bad} is slower: at most {bisection.search.most + 1} more comparisons, about {format_rough_duration(rest)}")
    while release := bisection.search.next:
        say(f"probe {len(bisection.probes) + 1}: {release}, at most {bisection.search.most} left")
        result = probe(bisection, releases, release, planned)
        bisection.probes = [*bisection.probes, result]
        bisection.search = bisection.search.with_result(release, result.side)
        say(brief(result))
    good, bad = bisection.search.good, bisection.search.bad
    say(f"confirming: {bad} against {good}")
    comparison = releases.begin(good, bad, planned, f"{good}-{bad}")
    try:
        releases.measure(good, bad, comparison, 1)
    except UsageError as error:
        say(str(error))
    finally:
        bisection.last = evaluate(comparison)


def probe(bisection: Bisection, releases: Releases, release: str, planned: list[PlannedRun]) -> Probe:
    """Compare a release with the good end; a release that cannot be measured is broken.

    Raises:
        UsageError: where the good end cannot be used any more.
    """
    assert bisection.ends, "the ends are compared first"
    good = bisection.search.releases[0]
    try:
        releases.provide(release)
    except UsageError as error:
        return Probe(release=release, side=Side.BROKEN, reason=str(error))
    comparison = releases.begin(good, release, planned, release)
    try:
        releases.measure(good, release, comparison, bisection.search.most + 1)
    except UsageError as error:
        if releases.why_unusable(good):
            raise
        return Probe(release=release, side=Side.BROKEN, result=evaluate(comparison), reason=str(error))
    return probed(release, evaluate(comparison), bisection.ends)
