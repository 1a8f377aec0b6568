"""The words for a row of releases: how each stands, what else to know of it, and the conclusion.

Nothing here is escaped: each rendering spares what was recorded in its own way.
"""

from __future__ import annotations

from bench.analysis.metrics import RATE
from bench.analysis.noise import LOOK_CONFIDENCE, LOOKS
from bench.compare.findings import ComparisonResult, Finding, Standing
from bench.compare.package_changes import format_changes as told_packages
from bench.compare.package_changes import package_changes
from bench.compare.speed_verdict import SpeedVerdict
from bench.compare.sweep import Entry, Point, Series, Sweep
from bench.compare.verdict import FRESH_CONFIDENCE, FRESH_LOOKS, Estimate
from bench.formatting import format_duration, format_fixed_percent, format_share
from bench.report import labels
from bench.report.comparisons.regress import words
from bench.report.sections import provenance

FIRST = "first"
"""What stands in place of a verdict for the release that the others are compared with."""

NAMES = {"torch": "torch", "ultralytics": "Ultralytics"}


def name(found: Sweep) -> str:
    """Of the package, as it writes itself."""
    return NAMES.get(found.package, found.package)


def title(found: Sweep) -> str:
    """``ultralytics 8.4.185 to 8.4.190``."""
    return f"{found.package} {found.entries[0].release} to {found.newest.release}"


def stands(entry: Entry, found: Sweep) -> str:
    """``slower``, ``cannot run``, ``not compared``; ``first`` for the release that the others are compared with."""
    return FIRST if entry.release == found.base else labels.status(entry.pace.value)


def verdict(point: Point, found: Sweep) -> str:
    """``slower``; ``cannot run`` or ``not compared`` without any figure, and an em dash without one in this case."""
    if point.verdict:
        return point.verdict.value
    entry = next(entry for entry in found.others if entry.release == point.release)
    return labels.NONE if entry.found and entry.found.judged else stands(entry, found)


def rate(point: Point) -> str:
    """``31.8 images/s``; empty without a figure."""
    return labels.rate(point.rate) if point.rate is not None else ""


def ends(point: Point) -> str:
    """``31.4 to 32.2``; empty without an interval."""
    return labels.ends(RATE, point.low, point.high)


def change(point: Point) -> str:
    """``+4.9 %`` of the time per step; an em dash without a figure."""
    return words.change(point.estimate) if point.estimate else labels.NONE


def interval(point: Point) -> str:
    """``+4.1 to +5.7 %``; empty without a figure, and words where one pair tells none."""
    return words.interval(point.estimate) or "no interval" if point.estimate else ""


def takes(seen: Estimate | None) -> str:
    """``takes 4.9 % longer (4.1 to 5.7 %)``; empty without a figure."""
    return words.takes(seen) if seen else ""


def pairs(series: Series, point: Point, found: Sweep) -> str:
    """``4 + 8``: of a release in a case; an em dash without any."""
    finding = finding_of(series, point, found)
    return words.counted(finding) if finding else labels.NONE


def finding_of(series: Series, point: Point, found: Sweep) -> Finding | None:
    """What is said of a release in a case; None without a pair."""
    entry = next(entry for entry in found.others if entry.release == point.release)
    findings = entry.found.judged if entry.found else []
    return next((finding for finding in findings if finding.compared.case == series.case), None)


def brief(entry: Entry) -> str:
    """A release in one line, as soon as it is known: ``8.4.189 is slower: it takes 4.9 % longer (4.1 to 5.7 %)``."""
    if entry.found is None or entry.found.overall is None:
        return f"{entry.release} is not compared: {why_not(entry)}"
    said = "is not decided" if entry.pace is SpeedVerdict.INCONCLUSIVE else f"is {labels.status(entry.pace.value)}"
    if entry.pace is SpeedVerdict.CANNOT_RUN:
        said = "cannot run every case"
    return f"{entry.release} {said}: it {words.takes(entry.found.overall.estimate)}"


def why_not(entry: Entry) -> str:
    """Why a release has no figure, without a full stop."""
    said = [entry.reason] if entry.reason else []
    for finding in entry.found.findings if entry.found else []:
        said += [clause for clause in [_why_not(finding)] if clause and clause not in said]
    return "; ".join(said).rstrip(".") or "no pair was measured"


def _why_not(finding: Finding) -> str:
    """The same of a case; empty where it has a figure."""
    if finding.judged:
        return ""
    if finding.standing is Standing.UNFINISHED:
        return finding.compared.error or words.STANDS[finding.standing]
    if finding.standing is Standing.HEAD_ONLY:
        return f"the first release cannot run {finding.id}"
    return f"it cannot run {finding.id} ({words.ended(finding.compared.head).rstrip('.')})"


def notes(entry: Entry, found: Sweep) -> list[str]:
    """What there is to know of a release beside its figures, each a clause: what runs differently comes first."""
    seen = entry.found
    if seen is None or not seen.judged:
        return [] if entry.release == found.base else [why_not(entry)]
    said = []
    if seen.settings:
        said.append(f"what runs is not the same: {labels.listing(words.setting(one) for one in seen.settings)}")
    changes = package_changes(seen.comparison.base.packages, seen.comparison.head.packages)
    if len(changes) > 1:
        said.append(told_packages(changes, {found.package}))
    for finding in seen.findings:
        where = f"{finding.id}: " if len(seen.findings) > 1 else ""
        own = [clause for clause in [_why_not(finding)] if clause] if not finding.judged else words.notes(finding)
        said += [f"{where}{clause}" for clause in [*own, *_grown(finding)]]
    return [*said, *([entry.reason] if entry.reason else [])]


def noted(found: Sweep) -> list[tuple[str, list[str]]]:
    """Releases of which there is more to know, each with its notes."""
    return [(entry.release, said) for entry in found.entries if (said := notes(entry, found))]


def _grown(finding: Finding) -> list[str]:
    """The part of the step that changed most, where the step became slower or faster."""
    if not words.shows_parts(finding):
        return []
    part = finding.parts[0]
    of_change = words.of_change(finding, part)
    share = f", {of_change} of the change" if of_change else ""
    return [f"most of it in {part.name} ({words.milliseconds(part.change, sign=True)} a step{share})"]


def conclusion(found: Sweep) -> list[str]:
    """The row in plain words, a line each: what can be compared, what runs, and since when it is slower or faster."""
    lines = [_uncompared(found), _settings(found), _since(found), _apart(found)]
    return [line for line in lines if line]


def _uncompared(found: Sweep) -> str:
    """What is to be said before a row is spoken of: that there is none, or that it does not reach the newest one."""
    newest = found.newest
    if found.latest is None:
        return "No release was compared: nothing is said of speed."
    if newest.pace is SpeedVerdict.CANNOT_RUN:
        lost = [_why_not(finding) for finding in newest.found.findings if not finding.judged] if newest.found else []
        return f"{newest.release}, the newest: {labels.listing(lost)}."
    if newest.pace is SpeedVerdict.NOT_COMPARED:
        return f"{newest.release}, the newest, is not compared: {why_not(newest)}."
    return ""


def _settings(found: Sweep) -> str:
    latest = found.latest
    if latest is None or latest.found is None or not latest.found.settings:
        return ""
    differing = labels.listing(words.setting(one) for one in latest.found.settings)
    return f"What runs is not the same in {latest.release} as in {found.base}: {differing}."


def _since(found: Sweep) -> str:
    """How fast the latest release is, and since when."""
    latest = found.latest
    if latest is None or latest.found is None:
        return ""
    seen = latest.found
    if latest.pace.changed:
        assert found.since, "it is one of a row of at least one"
        since = found.since.release
        here = since if since != latest.release else f"{since}, the last of these releases"
        text = f"{name(found)} is {latest.pace} since {here}: against {found.base}, {latest.release} {_by(seen)}."
        if found.unsure:
            before = [entry.release for entry in found.unsure]
            text += f" Of {labels.listing(before)} right before it nothing is decided: it may have begun there."
        return text
    if latest.pace is SpeedVerdict.SAME:
        margin = format_share(seen.comparison.margin)
        return f"{latest.release} is as fast as {found.base}: any difference is below {margin}."
    if seen.overall is None or latest.pace is SpeedVerdict.CANNOT_RUN:
        return ""
    takes = words.takes(seen.overall.estimate)
    return f"Whether {latest.release} is slower than {found.base} is not decided: it {takes}."


def _by(seen: ComparisonResult) -> str:
    """``takes 4.9 % longer (4.1 to 5.7 %)``; of several cases, in which; or all of them together."""
    said = [one for one in seen.judged if one.judged and one.judged.verdict.alarm]
    if not said and seen.overall:
        return f"{words.takes(seen.overall.estimate)} over all cases together"
    clauses = [words.takes(one.judged.estimate) for one in said if one.judged]
    if seen.several:
        clauses = [f"{clause} in {one.id}" for clause, one in zip(clauses, said, strict=True)]
    return labels.listing(clauses)


def _apart(found: Sweep) -> str:
    """Releases before that were slower or faster."""
    said = []
    for entry in found.apart:
        if entry.found and entry.found.overall:
            said.append(f"{entry.release} {entry.pace} ({words.change(entry.found.overall.estimate)})")
    return f"Before that, of the time per step: {labels.listing(said)}." if said else ""


def about(found: Sweep) -> list[tuple[str, str]]:
    """What was compared, where and when: headings with their text."""
    seen = found.comparisons
    lines = [("Releases", ", ".join(entry.release for entry in found.entries)), ("Held", ", ".join(found.held))]
    if seen:
        first = seen[0].comparison
        lines += [
            ("Python", first.base.environment.python),
            ("Left out", f"releases after {first.exclude_newer}" if first.exclude_newer else ""),
            ("Cases", ", ".join(compared.case.id for compared in first.cases)),
            ("Machine", first.machine.title),
            ("Conditions", provenance.conditions([one.comparison.conditions for one in seen])),
            ("Variables", provenance.variables([one.comparison.conditions for one in seen])),
            ("Margin", f"{format_share(first.margin)} ({first.margin_from})"),
            (
                "Measured",
                f"{first.started[:10]}, {labels.count(found.pairs, 'pair')} in {format_duration(found.seconds)}",
            ),
        ]
    lines.append(("Run", found.run))
    return [(heading, text) for heading, text in lines if text]


def method(found: Sweep) -> list[str]:
    """How it was judged, a paragraph each."""
    turns = (
        "Each release is compared with the first one by itself: pairs of fresh processes, one of each, that take "
        "turns, so that what disturbs the machine disturbs both. Nothing is compared that was not measured side by "
        "side, so that a machine that changes from hour to hour does not bend the row. A pair gives one number: "
        f"{words.figure(pair for one in found.comparisons for case in one.comparison.cases for pair in case.pairs)}"
    )
    looks = (
        f"There are up to three looks, after {labels.listing(map(str, LOOKS))} pairs, each with an interval of "
        f"{format_fixed_percent(LOOK_CONFIDENCE, 2)} by Student's t over the pairs. A release is the same if its "
        "interval lies "
        "within the margin; it is slower or faster if the interval leaves out 0 and the change is at least the margin, "
        f"and fresh pairs, {FRESH_LOOKS[0]} or {FRESH_LOOKS[1]}, have to confirm that: their figure alone is then "
        f"reported, with an interval of {format_fixed_percent(FRESH_CONFIDENCE, 2)}. All else is inconclusive."
    )
    row = (
        "Each release is judged by itself: with many of them, one may be called slower or faster by chance, though "
        "fresh pairs make that rare. Peak memory judges no release here; regress looks at it too."
    )
    return [turns, looks, row]


def caption(series: Series, found: Sweep) -> str:
    """What to know when reading the plot of a case."""
    margin = format_share(found.comparisons[0].comparison.margin)
    text = (
        f"Bars are the intervals of the ratio to {found.base}, times its own level: the geometric mean over its "
        f"{labels.count(series.pairs, 'pair')} in all comparisons, which carries no bar. Shaded: a time per step that "
        f"differs by less than the margin, {margin}. A triangle points up where a release is faster and down where it "
        "is slower, a dot is the same, a hollow square is not decided. The axis does not begin at 0."
    )
    if any(point.rate is None for point in series.points):
        text += " A cross stands for a release without a figure."
    if any(point.rate is not None and point.low is None for point in series.points):
        text += " A single pair tells no interval."
    return text
