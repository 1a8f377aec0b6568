"""The context of a search for the release that became slower: its whole content, as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.compare.bisection import Answer, Bisection, Probe, Side
from bench.compare.findings import ComparisonResult, Finding
from bench.formatting import format_duration
from bench.records.comparison import SIDES
from bench.records.outcome import Status
from bench.report import labels
from bench.report.comparisons.changes import format_takes
from bench.report.comparisons.regress.cases import format_outcome
from bench.report.comparisons.sweep.context import release_context

SCHEMA = 2
"""Version of the JSON; raise it when a key is removed or changes its meaning."""


def context(search: Bisection) -> dict[str, Any]:
    """Return the context of a search; each comparison has the keys of ``regress``."""
    releases = search.search
    lines = conclusion(search)
    return {
        "schema": SCHEMA,
        "package": search.package,
        "releases": list(releases.releases),
        "verdict": search.answer.value,
        "exit_code": int(search.exit_code),
        "conclusion": " ".join(lines),
        "last_good": releases.good if search.worth_it else None,
        "first_bad": releases.bad if search.worth_it else None,
        "between": [*releases.skipped, *releases.open] if search.worth_it else [],
        "seconds": search.seconds,
        "ends": release_context(search.ends, search.package) if search.ends else None,
        "probes": [
            {
                "release": probe.release,
                "side": probe.side.value,
                "close": probe.close,
                "reason": why_broken(probe),
                "comparison": release_context(probe.result, search.package) if probe.result else None,
                "shown": {"brief": brief(probe), **_format_overall(probe.result)},
            }
            for probe in search.probes
        ],
        "last": release_context(search.last, search.package) if search.last else None,
        "title": title(search),
        "lines": lines,
        "shown": {"verdict": labels.status(search.answer.value), **_format_overall(search.ends)},
    }


def _format_overall(result: ComparisonResult | None) -> dict[str, str]:
    """Format the overall figure of a comparison as texts; empty without such a figure."""
    if result is None or result.overall is None:
        return dict.fromkeys(("overall", "takes", "pairs", "seconds"), "")
    return {
        "overall": result.overall.verdict.value,
        "takes": format_takes(result.overall.estimate),
        "pairs": labels.count(result.pairs, "pair"),
        "seconds": format_duration(result.comparison.seconds),
    }


def title(search: Bisection) -> str:
    """``ultralytics 8.4.100 (good) to 8.4.190 (bad), 89 releases between``."""
    good, *between, bad = search.search.releases
    return f"{search.package} {good} (good) to {bad} (bad), {labels.count(len(between), 'release')} between"


def brief(probe: Probe) -> str:
    """Format a probe as one line: ``8.4.145 is bad: it takes 5.0 % longer (4.8 to 5.1 %)``."""
    if probe.result is None or probe.result.overall is None:
        return f"{probe.release} is skipped: {why_broken(probe)}"
    close = " (inconclusive: put on the nearer side)" if probe.close else ""
    return f"{probe.release} is {probe.side}: it {format_takes(probe.result.overall.estimate)}{close}"


def why_broken(probe: Probe) -> str:
    """Return why a release could not be measured, without a full stop; empty if it was measured."""
    if probe.side is not Side.BROKEN:
        return ""
    return probe.reason.rstrip(".") or _why_no_pair(probe.result)


def _why_no_pair(result: ComparisonResult | None) -> str:
    """Return why a comparison has no pair, without a full stop."""
    clauses = [clause for finding in (result.findings if result else ()) for clause in _why_no_pair_of(finding)]
    return "; ".join(dict.fromkeys(clauses)) or "no pair was measured"


def _why_no_pair_of(finding: Finding) -> list[str]:
    """Return the outcome of a case on each side that could not run it, or else the error of the comparison."""
    ends = [(side, getattr(finding.compared, side)) for side in SIDES]
    clauses = [
        f"{side} cannot run {finding.id}: {format_outcome(outcome).rstrip('.')}"
        for side, outcome in ends
        if outcome is not None and outcome.outcome.status is not Status.MEASURED
    ]
    return clauses or ([finding.compared.error.rstrip(".")] if finding.compared.error else [])


def conclusion(search: Bisection) -> list[str]:
    """Return the conclusion of a search, one or two sentences per line."""
    good, *_, bad = search.search.releases
    nothing = f"there is nothing to look for between {good} and {bad}"
    why, takes = _why_no_pair(search.ends), _format_overall(search.ends)["takes"]
    answers = {
        Answer.NOTHING_MEASURED: f"The ends were not compared: {why}.",
        Answer.CANNOT_RUN: f"{bad} cannot be compared with {good}, and a search goes by speed: {why}.",
        Answer.SAME: f"{bad} is not slower than {good}: it {takes}, so {nothing}.",
        Answer.FASTER: f"{bad} is faster than {good}, not slower: it {takes}, so {nothing}.",
        Answer.INCONCLUSIVE: f"Inconclusive: {bad} {takes}, against {good}. "
        "A search needs a clear difference at its ends: use a quieter machine, or more time.",
    }
    if search.answer in answers:
        lines = [answers[search.answer]]
    else:
        lines = [f"{bad} is slower than {good}: it {takes}.", _range(search), _last(search), _close(search)]
    return [line for line in [*lines, _cost(search)] if line]


def _range(search: Bisection) -> str:
    """Return the release, or the range of releases, in which the package became slower."""
    releases = search.search
    if releases.open:
        left = labels.count(len(releases.open), "release")
        return (
            f"The search ended early: {releases.good} is good and {releases.bad} is bad, and {left} between them "
            f"{'was' if len(releases.open) == 1 else 'were'} not probed."
        )
    if releases.skipped:
        return (
            f"It became slower after {releases.good}, with {_either([*releases.skipped, releases.bad])}: "
            f"{labels.listing(releases.skipped)} could not be measured."
        )
    return f"It became slower with {releases.bad}: {releases.good}, the release before, is good."


def _either(parts: Sequence[str]) -> str:
    """``a, b or c``."""
    return " or ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))


def _last(search: Bisection) -> str:
    """Describe the comparison of the last good release with the first bad one."""
    releases, last = search.search, search.last
    if releases.open:
        return ""
    if last is None or last.overall is None:
        why = f": {_why_no_pair(last)}" if last else ""
        return f"{releases.good} and {releases.bad} were not compared with each other, so that is not confirmed{why}."
    takes = f"Compared with {releases.good} itself, {releases.bad} {format_takes(last.overall.estimate)}"
    if search.answer is Answer.FOUND:
        return f"{takes}: that confirms it."
    note = f", {last.overall.note}" if last.overall.note else ""
    return (
        f"{takes}, which is {last.overall.verdict}{note}: that does not confirm it. It may have come in several small "
        "steps, or a probe is on the wrong side."
    )


def _close(search: Bisection) -> str:
    if not search.close:
        return ""
    names = labels.listing(probe.release for probe in search.close)
    return f"Inconclusive, and put on the nearer side: {names}."


def _cost(search: Bisection) -> str:
    if not search.comparisons:
        return ""
    probes = labels.count(len(search.probes), "probe")
    comparisons = labels.count(len(search.comparisons), "comparison")
    return f"{probes}, {comparisons} in all, measured in {format_duration(search.seconds)}."
