"""The conclusion of a live comparison in plain words, and its environments, machine and date."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from bench.compare.findings import ComparisonResult, Conclusion, Finding, Standing
from bench.compare.verdict import Verdict
from bench.formatting import format_duration, format_share
from bench.records.comparison import Comparison, EnvironmentSide
from bench.records.outcome import Status
from bench.report import labels
from bench.report.comparisons.changes import (
    ARROW,
    NO_INTERVAL,
    format_advice,
    format_estimate,
    format_interval,
    format_takes,
    without_sign,
)
from bench.report.comparisons.regress.cases import MEMORY, format_pairs, format_peaks, format_setting
from bench.report.conditions import format_conditions, format_threads, format_variables

NAMED = 3
"""Maximum number of names in a sentence; above it, the rest is counted."""


def title(result: ComparisonResult) -> str:
    """Format the title: ``torch==2.14.1 → torch==2.15.0``, ``torch==2.14.1 against itself``."""
    comparison = result.comparison
    if result.self_comparison and comparison.base.asked == comparison.head.asked:
        return f"{comparison.base.asked} against itself"
    return f"{comparison.base.asked} {ARROW} {comparison.head.asked}"


def _software(side: EnvironmentSide) -> str:
    """Format the versions of an environment: ``Python 3.12.4 · torch 2.14.1 · Ultralytics 8.4.100``."""
    environment = side.environment
    versions = {
        "Python": environment.python,
        "torch": environment.label("torch"),
        "Ultralytics": environment.label("ultralytics"),
    }
    return " · ".join(f"{name} {version}" for name, version in versions.items() if version)


def describe_comparison(result: ComparisonResult, packages: str) -> list[tuple[str, str]]:
    """Describe the environments, the machine and the date of a comparison, as headings with texts.

    Args:
        result: the comparison.
        packages: differences between the environments, in one line.
    """
    comparison = result.comparison
    spent = f" in {format_duration(comparison.seconds)}" if comparison.seconds else ""
    margin = f"{format_share(comparison.margin)} ({comparison.margin_from})"
    lines = [
        ("Base", f"{comparison.base.asked}: {_software(comparison.base)}"),
        ("Head", f"{comparison.head.asked}: {_software(comparison.head)}"),
        ("Packages", packages),
        ("Package cutoff", _cutoff(comparison)),
        ("Machine", comparison.machine.title),
        ("CPU threads", format_threads(effective_settings([comparison]), comparison.machine.cores)),
        ("Conditions", format_conditions([comparison.conditions])),
        ("Variables", format_variables([comparison.conditions])),
        ("Margin", f"{margin}; peak memory {format_share(comparison.memory_margin)}"),
        ("Measured", f"{comparison.started[:10]}, {labels.count(result.pairs, 'pair')}{spent}"),
        ("Run", comparison.run),
    ]
    return [(heading, text) for heading, text in lines if text]


def effective_settings(comparisons: Iterable[Comparison]) -> list[dict[str, Any]]:
    """Return the effective settings of every case of some comparisons, on both sides."""
    cases = [case for comparison in comparisons for case in comparison.cases]
    return [side.effective for case in cases for side in (case.base, case.head) if side is not None]


def _cutoff(comparison: Comparison) -> str:
    """Describe the releases that were left out; empty where both sides are interpreters, for which none is chosen."""
    chosen = any(not side.asked.startswith("python:") for side in (comparison.base, comparison.head))
    return f"releases after {comparison.exclude_newer}" if chosen and comparison.exclude_newer else ""


def figures(result: ComparisonResult) -> list[dict[str, Any]]:
    """Return the big figures: speed, the greatest change of memory, and cases that head cannot run."""
    big_figures = []
    if result.overall:
        estimate = result.overall.estimate
        more = [format_interval(estimate) or NO_INTERVAL]
        name = "Time per step"
        if result.covers_several_cases:
            name += f", {len(result.together)} cases together"
            counts = [(verdict.value, len(result.having(verdict))) for verdict in Verdict]
            more.append(", ".join(f"{count} {verdict}" for verdict, count in counts if count))
        else:
            [finding] = result.together
            if finding.base and finding.head:
                more.append(f"{format_duration(finding.base.seconds)} {ARROW} {format_duration(finding.head.seconds)}")
            more.append(format_pairs(finding))
        big_figures.append(_figure(name, format_estimate(estimate), result.overall.verdict.value, more))
    known = [(finding.memory, finding.id) for finding in result.findings if finding.memory]
    if known:
        peak, case = max(known, key=lambda item: (item[0].verdict.alarm, abs(item[0].estimate.log)))
        name = "Peak memory, greatest change" if len(known) > 1 else "Peak memory"
        more = [format_peaks(peak), *([case] if len(known) > 1 else [])]
        verdict = MEMORY.get(peak.verdict, peak.verdict.value)
        big_figures.append(_figure(name, format_estimate(peak.estimate), verdict, more))
    if lost := result.standing(Standing.BASE_ONLY):
        names = format_some([finding.id for finding in lost])
        big_figures.append(_figure("Cases that head cannot run", str(len(lost)), "", [names]))
    return big_figures


def _figure(name: str, value: str, verdict: str, more: Sequence[str]) -> dict[str, Any]:
    return {"title": name, "value": value, "verdict": verdict, "more": "; ".join(more)}


def format_conclusion(result: ComparisonResult) -> str:
    """Format a :class:`bench.compare.findings.Conclusion`: ``slower``, ``cannot run``, ``more memory``, ``same``."""
    return labels.status(result.conclusion.value)


def conclusion(result: ComparisonResult) -> list[str]:
    """Return one line each on speed, memory, cases that cannot run, undecided cases, and settings."""
    lines = [_speed(result), _memory(result), _one_sided(result), _undecided(result), _settings(result)]
    return [line for line in lines if line]


def _settings(result: ComparisonResult) -> str:
    if not result.settings:
        return ""
    differing = format_some([format_setting(difference) for difference in result.settings])
    return f"The effective settings differ: {differing}."


def _speed(result: ComparisonResult) -> str:
    """Describe speed in one or two sentences."""
    judged = result.judged
    if not judged:
        return "No pair was measured: the speed is unknown."
    parts = []
    if result.self_comparison:
        parts.append("Both sides are the same (A/A test).")
        if result.conclusion is Conclusion.FALSE_ALARM:
            parts.append(
                "The difference is a false alarm. Fewer than one in a hundred comparisons has one by chance. If it "
                "happens again, do not trust comparisons on this machine."
            )
    parts += [_alarm(verdict, result) for verdict in (Verdict.SLOWER, Verdict.FASTER)]
    overall = result.overall
    if result.covers_several_cases and overall and overall.verdict.alarm and not result.having(overall.verdict):
        takes = format_takes(overall.estimate)
        parts.append(f"No case by itself is {overall.verdict}, but all together are: head {takes}.")
    parts.append(_same(result))
    return " ".join(filter(None, parts))


def _alarm(verdict: Verdict, result: ComparisonResult) -> str:
    """Name the cases that became slower, or faster, with their change."""
    cases = result.having(verdict)
    estimates = [finding.judged.estimate for finding in cases if finding.judged]
    if not estimates:
        return ""
    if len(estimates) == 1:
        where = "" if len(result.judged) == 1 else f" in {cases[0].id}"
        return f"Head is {verdict}{where}: it {format_takes(estimates[0])}."
    least, *_, most = sorted((estimate.ratio - 1 for estimate in estimates), key=abs)
    by = f"{without_sign(format_share(least))} to {format_share(most)} {'longer' if most > 0 else 'less time'}"
    return f"Head is {verdict} in {_count(cases, result)}: it takes {by}."


def _same(result: ComparisonResult) -> str:
    """Name the cases that are as fast as before."""
    same, margin = result.having(Verdict.SAME), format_share(result.comparison.margin)
    if not same:
        return ""
    every = len(same) == len(result.judged)
    number = labels.count(len(same), "case")
    where = "" if len(result.judged) == 1 else f" in all {number}" if every else f" in {_count(same, result)}"
    if every and result.self_comparison:
        return f"No difference of {margin} or more was found{where}."
    return f"Head is as fast as base{where}: any difference is below {margin}."


def _count(cases: Sequence[Finding], result: ComparisonResult) -> str:
    """Format a number of cases: ``2 of 3 cases``."""
    return f"{len(cases)} of {labels.count(len(result.judged), 'case')}"


def _memory(result: ComparisonResult) -> str:
    sentences = []
    for verdict, word in MEMORY.items():
        changes = [
            f"{format_estimate(finding.memory.estimate)} in {finding.id}"
            for finding in result.findings
            if finding.memory and finding.memory.verdict is verdict
        ]
        if changes:
            sentences.append(f"It needs {word} memory: {format_some(changes)}.")
    return " ".join(sentences)


def _one_sided(result: ComparisonResult) -> str:
    sentences = []
    for standing, words in ((Standing.BASE_ONLY, "Head cannot run"), (Standing.HEAD_ONLY, "Only head can run")):
        if cases := result.standing(standing):
            sentences.append(f"{words} {format_some([f'{finding.id} ({_why(finding)})' for finding in cases])}.")
    return " ".join(sentences)


def _why(finding: Finding) -> str:
    """Format the status of a case on the side that cannot run it."""
    ends = [side.outcome.status for side in (finding.compared.base, finding.compared.head) if side]
    return labels.listing(labels.status(end.value) for end in ends if end is not Status.MEASURED)


def _undecided(result: ComparisonResult) -> str:
    """Name the undecided cases, and for one case what would decide it."""
    cases = result.undecided
    if not cases or result.conclusion is Conclusion.NOTHING_MEASURED:
        return ""
    known = [finding.judged.estimate for finding in cases if finding.judged]
    if len(result.findings) == 1 and known and math.isfinite(known[0].half):
        takes = format_takes(known[0])
        return f"Inconclusive: head {takes}. {format_advice(known[0], result.comparison.margin)}"
    return f"Inconclusive: {format_some([finding.id for finding in cases])}."


def format_some(parts: Sequence[str]) -> str:
    """Join up to :data:`NAMED` texts: ``a, b and c``; ``a, b and 7 more``."""
    shown = list(parts) if len(parts) <= NAMED else [*parts[: NAMED - 1], f"{len(parts) - NAMED + 1} more"]
    return labels.listing(shown)
