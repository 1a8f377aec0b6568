"""A search for the release that made it slower, as lines for the terminal, Markdown and JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from bench.compare.bisection import Answer, Bisection, Probe, Side
from bench.compare.findings import ComparisonResult, Finding
from bench.compare.package_changes import format_changes as told_packages
from bench.compare.package_changes import package_changes
from bench.formatting import format_duration
from bench.records.comparison import SIDES
from bench.records.outcome import Status
from bench.report import labels, tables
from bench.report.comparisons.regress import data, words
from bench.report.comparisons.regress.markdown import markdown as of_comparison
from bench.report.comparisons.sweep.text import columns
from bench.text import cleaned

SCHEMA = 2
"""Raise it when a key goes or changes its meaning."""


def title(found: Bisection) -> str:
    """``ultralytics 8.4.100 (good) to 8.4.190 (bad), 89 releases between``."""
    good, *between, bad = found.search.releases
    return f"{found.package} {good} (good) to {bad} (bad), {labels.count(len(between), 'release')} between"


def told(found: Bisection) -> str:
    """All probes and what came of them, the conclusion last; lines without a newline at the end."""
    good, *_, bad = found.search.releases
    rows = [[bad, Side.BAD.value, *_cells(found.ends)]] if found.ends else []
    rows += [[probe.release, probe.side.value, *_cells(probe.found)] for probe in found.probes]
    lines = [f"against {good}", *columns(rows)] if rows else []
    lines += [f"{probe.release}: {why_broken(probe)}" for probe in found.probes if probe.side is Side.BROKEN]
    return "\n".join(map(labels.plain, [title(found), *lines, "", *conclusion(found)]))


def _cells(seen: ComparisonResult | None) -> list[str]:
    """Verdict, change, pairs and time of a comparison; nothing where there is none."""
    if seen is None or seen.overall is None:
        return [""] * 4
    cost = format_duration(seen.comparison.seconds)
    overall = seen.overall
    return [overall.verdict.value, words.takes(overall.estimate), labels.count(seen.pairs, "pair"), cost]


def brief(probe: Probe) -> str:
    """A probe in one line: ``8.4.145 is bad: it takes 5.0 % longer (4.8 to 5.1 %)``."""
    if probe.found is None or probe.found.overall is None:
        return f"{probe.release} is skipped: {why_broken(probe)}"
    close = "; that is not decided, and it is put on the nearer side" if probe.close else ""
    return f"{probe.release} is {probe.side}: it {words.takes(probe.found.overall.estimate)}{close}"


def why_broken(probe: Probe) -> str:
    """Why a release could not be measured, without a full stop; empty where it was."""
    if probe.side is not Side.BROKEN:
        return ""
    return probe.reason.rstrip(".") or broken(probe.found)


def broken(seen: ComparisonResult | None) -> str:
    """Why a comparison has no pair, without a full stop."""
    said = [clause for finding in (seen.findings if seen else ()) for clause in _ended(finding)]
    return "; ".join(dict.fromkeys(said)) or "no pair was measured"


def _ended(finding: Finding) -> list[str]:
    """How a case without a pair ended on each side that could not run it, or what went wrong between them."""
    ends = [(side, getattr(finding.compared, side)) for side in SIDES]
    said = [
        f"{side} cannot run {finding.id}: {words.ended(ran).rstrip('.')}"
        for side, ran in ends
        if ran is not None and ran.outcome.status is not Status.MEASURED
    ]
    return said or ([finding.compared.error.rstrip(".")] if finding.compared.error else [])


def conclusion(found: Bisection) -> list[str]:
    """What came of it, a sentence or two a line."""
    good, *_, bad = found.search.releases
    nothing = f"there is nothing to look for between {good} and {bad}"
    answers = {
        Answer.NOTHING_MEASURED: f"The ends were not compared: {broken(found.ends)}.",
        Answer.CANNOT_RUN: f"{bad} cannot be compared with {good}, and a search goes by speed: {broken(found.ends)}.",
        Answer.SAME: f"{bad} is not slower than {good}: it {_takes(found.ends)}, so {nothing}.",
        Answer.FASTER: f"{bad} is faster than {good}, not slower: it {_takes(found.ends)}, so {nothing}.",
        Answer.INCONCLUSIVE: f"Whether {bad} is slower than {good} is not decided: it {_takes(found.ends)}. "
        "A search would have nothing to go by; give it more time, or a larger margin.",
    }
    if found.answer in answers:
        lines = [answers[found.answer]]
    else:
        lines = [f"{bad} is slower than {good}: it {_takes(found.ends)}.", _range(found), _last(found), _close(found)]
    return [line for line in [*lines, _cost(found)] if line]


def _takes(seen: ComparisonResult | None) -> str:
    return words.takes(seen.overall.estimate) if seen and seen.overall else ""


def _range(found: Bisection) -> str:
    """Where it happened, as far as the search came."""
    search = found.search
    if search.open:
        left = labels.count(len(search.open), "release")
        return (
            f"The search ended early: {search.good} is good and {search.bad} is bad, and {left} between them "
            f"{'was' if len(search.open) == 1 else 'were'} not probed."
        )
    if search.skipped:
        return (
            f"It became slower after {search.good}, with {_either([*search.skipped, search.bad])}: "
            f"{labels.listing(search.skipped)} could not be measured."
        )
    return f"It became slower with {search.bad}: {search.good}, the release before, is good."


def _either(parts: Sequence[str]) -> str:
    """``a, b or c``."""
    return " or ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))


def _last(found: Bisection) -> str:
    """What the comparison of the two neighbours says."""
    search, last = found.search, found.last
    if search.open:
        return ""
    if last is None or last.overall is None:
        why = f": {broken(last)}" if last else ""
        return f"{search.good} and {search.bad} were not compared with each other, so that is not confirmed{why}."
    takes = f"Compared with {search.good} itself, {search.bad} {words.takes(last.overall.estimate)}"
    if found.answer is Answer.FOUND:
        return f"{takes}: that confirms it."
    note = f", {last.overall.note}" if last.overall.note else ""
    return (
        f"{takes}, which is {last.overall.verdict}{note}: that does not confirm it. It may have come in several small "
        "steps, or a probe is on the wrong side."
    )


def _close(found: Bisection) -> str:
    if not found.close:
        return ""
    names = labels.listing(probe.release for probe in found.close)
    return f"Not decided, and put on the side that was nearer: {names}."


def _cost(found: Bisection) -> str:
    if not found.comparisons:
        return ""
    probes = labels.count(len(found.probes), "probe")
    comparisons = labels.count(len(found.comparisons), "comparison")
    return f"{probes}, {comparisons} in all, measured in {format_duration(found.seconds)}."


def packages(seen: ComparisonResult, package: str) -> str:
    """What differs between the environments of a comparison of two releases, in one line."""
    return told_packages(package_changes(seen.comparison.base.packages, seen.comparison.head.packages), {package})


def markdown(found: Bisection) -> str:
    """The same for a pull request: the conclusion, the probes, and the comparison of the neighbours."""
    lines = "<br>".join(map(tables.escaped, conclusion(found)))
    parts = [f"### {tables.escaped(title(found))}", f"**{labels.status(found.answer.value)}**: {lines}"]
    if found.probes:
        parts.append("\n".join(f"- {tables.escaped(brief(probe))}" for probe in found.probes))
    shown = found.last or found.ends
    if shown:
        parts.append(of_comparison(shown, packages(shown, found.package)).strip("\n"))
    return "\n\n".join(parts) + "\n"


def as_json(found: Bisection) -> str:
    """All that is said of a search, as text that ends with a newline; each comparison as ``regress`` writes it."""
    search = found.search
    content = {
        "schema": SCHEMA,
        "package": found.package,
        "releases": list(search.releases),
        "verdict": found.answer.value,
        "exit_code": int(found.exit_code),
        "conclusion": " ".join(conclusion(found)),
        "last_good": search.good if found.worth_it else None,
        "first_bad": search.bad if found.worth_it else None,
        "between": [*search.skipped, *search.open] if found.worth_it else [],
        "seconds": found.seconds,
        "ends": _comparison(found.ends),
        "probes": [
            {
                "release": probe.release,
                "side": probe.side.value,
                "close": probe.close,
                "reason": why_broken(probe),
                "comparison": _comparison(probe.found),
            }
            for probe in found.probes
        ],
        "last": _comparison(found.last),
    }
    return json.dumps(cleaned(content), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _comparison(seen: ComparisonResult | None) -> Any:
    return json.loads(data.as_json(seen)) if seen else None
