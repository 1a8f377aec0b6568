"""The conclusion of a sweep in plain words, notes on each release, and the method."""

from __future__ import annotations

from bench.analysis.noise import LOOK_CONFIDENCE, LOOKS
from bench.compare.findings import ComparisonResult, Finding, Standing
from bench.compare.package_changes import format_changes, package_changes
from bench.compare.speed_verdict import SpeedVerdict
from bench.compare.sweep import Entry, Sweep
from bench.compare.verdict import FRESH_CONFIDENCE, FRESH_LOOKS
from bench.formatting import format_duration, format_fixed_percent, format_share
from bench.report import labels
from bench.report.comparisons.changes import format_estimate, format_milliseconds, format_takes
from bench.report.comparisons.regress import cases
from bench.report.comparisons.regress.conclusion import effective_settings
from bench.report.comparisons.regress.method import format_estimator
from bench.report.conditions import format_conditions, format_threads, format_variables

FIRST = "first"
"""Text in place of a verdict for the release that the others are compared with."""

NAMES = {"torch": "torch", "ultralytics": "Ultralytics"}


def package_name(sweep: Sweep) -> str:
    """Return the official spelling of the package."""
    return NAMES.get(sweep.package, sweep.package)


def title(sweep: Sweep) -> str:
    """Format the title: ``ultralytics 8.4.185 to 8.4.190``."""
    return f"{sweep.package} {sweep.entries[0].release} to {sweep.newest.release}"


def format_verdict(entry: Entry, sweep: Sweep) -> str:
    """Format a verdict: ``slower``, ``cannot run``, ``not compared``; ``first`` for the reference release."""
    return FIRST if entry.release == sweep.base else labels.status(entry.speed_verdict.value)


def brief(entry: Entry) -> str:
    """Format a release as one line for progress: ``8.4.189 is slower: it takes 4.9 % longer (4.1 to 5.7 %)``."""
    if entry.result is None or entry.result.overall is None:
        return f"{entry.release} is not compared: {why_not(entry)}"
    verdict = (
        "is inconclusive"
        if entry.speed_verdict is SpeedVerdict.INCONCLUSIVE
        else f"is {labels.status(entry.speed_verdict.value)}"
    )
    if entry.speed_verdict is SpeedVerdict.CANNOT_RUN:
        verdict = "cannot run every case"
    return f"{entry.release} {verdict}: it {format_takes(entry.result.overall.estimate)}"


def why_not(entry: Entry) -> str:
    """Return why a release has no figure, without a full stop."""
    clauses = [entry.reason] if entry.reason else []
    for finding in entry.result.findings if entry.result else []:
        clauses += [clause for clause in _why_not(finding) if clause not in clauses]
    return "; ".join(clauses).rstrip(".") or "no pair was measured"


def _why_not(finding: Finding) -> list[str]:
    """Return why a case has no figure; empty if it has one."""
    if finding.judged:
        return []
    if finding.standing is Standing.UNFINISHED:
        return [finding.compared.error or cases.STANDING[finding.standing]]
    if finding.standing is Standing.HEAD_ONLY:
        return [f"the first release cannot run {finding.id}"]
    return [f"it cannot run {finding.id} ({cases.format_outcome(finding.compared.head).rstrip('.')})"]


def notes(entry: Entry, sweep: Sweep) -> list[str]:
    """Return clauses on how to read the figures of a release, differences in settings first."""
    result = entry.result
    if result is None or not result.judged:
        return [] if entry.release == sweep.base else [why_not(entry)]
    clauses = []
    if result.settings:
        clauses.append(f"the effective settings differ: {labels.listing(map(cases.format_setting, result.settings))}")
    changes = package_changes(result.comparison.base.packages, result.comparison.head.packages)
    if len(changes) > 1:
        clauses.append(format_changes(changes, {sweep.package}))
    for finding in result.findings:
        where = f"{finding.id}: " if len(result.findings) > 1 else ""
        own = cases.notes(finding, result.comparison.margin) if finding.judged else _why_not(finding)
        clauses += [f"{where}{clause}" for clause in [*own, *_largest_part(finding)]]
    return [*clauses, *([entry.reason] if entry.reason else [])]


def _largest_part(finding: Finding) -> list[str]:
    """Name the part that changed most, if the step became slower or faster."""
    if not cases.shows_parts(finding):
        return []
    part = finding.parts[0]
    share = cases.format_share_of_change(finding, part)
    of_change = f", {share} of the change" if share else ""
    return [f"most of it in {part.name} ({format_milliseconds(part.change, sign=True)} per step{of_change})"]


def conclusion(sweep: Sweep) -> list[str]:
    """Return one line each on missing comparisons, settings, the latest release, and earlier changes."""
    lines = [_uncompared(sweep), _settings(sweep), _since(sweep), _earlier(sweep)]
    return [line for line in lines if line]


def _uncompared(sweep: Sweep) -> str:
    """Explain why no release was compared, or why the newest was not."""
    newest = sweep.newest
    if sweep.latest is None:
        return "No release was compared: the speed is unknown."
    if newest.speed_verdict is SpeedVerdict.CANNOT_RUN:
        lost = [clause for finding in (newest.result.findings if newest.result else []) for clause in _why_not(finding)]
        return f"{newest.release}, the newest: {labels.listing(lost)}."
    if newest.speed_verdict is SpeedVerdict.NOT_COMPARED:
        return f"{newest.release}, the newest, is not compared: {why_not(newest)}."
    return ""


def _settings(sweep: Sweep) -> str:
    latest = sweep.latest
    if latest is None or latest.result is None or not latest.result.settings:
        return ""
    differing = labels.listing(map(cases.format_setting, latest.result.settings))
    return f"The effective settings differ between {sweep.base} and {latest.release}: {differing}."


def _since(sweep: Sweep) -> str:
    """Describe the speed of the latest release, and the release since which it holds."""
    latest = sweep.latest
    if latest is None or latest.result is None:
        return ""
    result = latest.result
    if latest.speed_verdict.changed:
        assert sweep.since, "a changed release has a first changed release"
        since = sweep.since.release
        here = since if since != latest.release else f"{since}, the last of these releases"
        against = f"against {sweep.base}, {latest.release} {_by(result)}."
        text = f"{package_name(sweep)} is {latest.speed_verdict} since {here}: {against}"
        if sweep.unsure:
            before = labels.listing(entry.release for entry in sweep.unsure)
            text += f" Inconclusive right before it: {before}. The change may have begun there."
        return text
    if latest.speed_verdict is SpeedVerdict.SAME:
        margin = format_share(result.comparison.margin)
        return f"{latest.release} is as fast as {sweep.base}: any difference is below {margin}."
    if result.overall is None or latest.speed_verdict is SpeedVerdict.CANNOT_RUN:
        return ""
    takes = format_takes(result.overall.estimate)
    return f"Inconclusive: {latest.release} {takes}, against {sweep.base}."


def _by(result: ComparisonResult) -> str:
    """Format the changes: ``takes 4.9 % longer (4.1 to 5.7 %)``, with the case if there are several, or overall."""
    alarms = [
        (finding.judged.estimate, finding.id)
        for finding in result.judged
        if finding.judged and finding.judged.verdict.alarm
    ]
    if not alarms and result.overall:
        return f"{format_takes(result.overall.estimate)} over all cases together"
    where = " in {}" if result.covers_several_cases else ""
    return labels.listing(f"{format_takes(estimate)}{where.format(case)}" for estimate, case in alarms)


def _earlier(sweep: Sweep) -> str:
    """Name the earlier releases that were slower or faster."""
    changes = [
        f"{entry.release} {entry.speed_verdict} ({format_estimate(entry.result.overall.estimate)})"
        for entry in sweep.apart
        if entry.result and entry.result.overall
    ]
    return f"Before that, of the time per step: {labels.listing(changes)}." if changes else ""


def describe_sweep(sweep: Sweep) -> list[tuple[str, str]]:
    """Describe the releases, the machine and the date of a sweep, as headings with texts."""
    results = sweep.comparisons
    lines = [("Releases", ", ".join(entry.release for entry in sweep.entries)), ("Pinned", ", ".join(sweep.pinned))]
    if results:
        first = results[0].comparison
        compared = [result.comparison for result in results]
        conditions = [comparison.conditions for comparison in compared]
        measured = f"{first.started[:10]}, {labels.count(sweep.pairs, 'pair')} in {format_duration(sweep.seconds)}"
        lines += [
            ("Python", first.base.environment.python),
            ("Package cutoff", f"releases after {first.exclude_newer}" if first.exclude_newer else ""),
            ("Cases", ", ".join(case.case.id for case in first.cases)),
            ("Machine", first.machine.title),
            ("CPU threads", format_threads(effective_settings(compared), first.machine.cores)),
            ("Conditions", format_conditions(conditions, "comparison")),
            ("Variables", format_variables(conditions, "comparison")),
            ("Margin", f"{format_share(first.margin)} ({first.margin_from})"),
            ("Measured", measured),
        ]
    lines.append(("Run", sweep.run))
    return [(heading, text) for heading, text in lines if text]


def method(sweep: Sweep) -> list[str]:
    """Return the paragraphs on the method of a sweep."""
    pairs = (pair for result in sweep.comparisons for case in result.comparison.cases for pair in case.pairs)
    turns = (
        "Each release is compared with the first one by pairs of fresh processes, one of each, that are interleaved, "
        "so interference hits both. Only releases that were measured side by side are compared, so a machine that "
        f"changes from hour to hour does not bend the row. {format_estimator(pairs)}"
    )
    looks = (
        f"There are up to three interim looks, after {labels.listing(map(str, LOOKS))} pairs, each with an interval of "
        f"{format_fixed_percent(LOOK_CONFIDENCE, 2)} by Student's t over the pairs. A release is the same if its "
        "interval lies within the margin. It is slower or faster if the interval excludes 0 and the change is at "
        f"least the margin, and fresh pairs, {FRESH_LOOKS[0]} or {FRESH_LOOKS[1]}, have to confirm that. Their figure "
        f"alone is then reported, with an interval of {format_fixed_percent(FRESH_CONFIDENCE, 2)}. All else is "
        "inconclusive."
    )
    row = (
        "Each release is judged by itself: with many of them, one may be called slower or faster by chance, though "
        "fresh pairs make that rare. Peak memory judges no release here; regress looks at it too."
    )
    return [turns, looks, row]
