"""The context of a sweep over releases, as plain data: the content of ``--json``."""

from __future__ import annotations

from typing import Any

from bench.analysis.metrics import RATE
from bench.compare.findings import ComparisonResult, Finding
from bench.compare.package_changes import format_changes, package_changes
from bench.compare.sweep import Entry, Point, Series, Sweep
from bench.report import labels
from bench.report.comparisons.regress import cases
from bench.report.comparisons.regress.context import context as comparison_context
from bench.report.comparisons.sweep.conclusion import (
    FIRST,
    conclusion,
    describe_sweep,
    format_verdict,
    method,
    notes,
    title,
)

SCHEMA = 2
"""Version of the JSON; raise it when a key is removed or changes its meaning."""


def context(sweep: Sweep) -> dict[str, Any]:
    """Return the context of a sweep; each comparison has the keys of ``regress``."""
    lines = conclusion(sweep)
    return {
        "schema": SCHEMA,
        "run": sweep.run,
        "package": sweep.package,
        "held": list(sweep.pinned),
        "first": sweep.base or None,
        "verdict": sweep.newest.speed_verdict.value,
        "exit_code": int(sweep.exit_code),
        "since": sweep.since.release if sweep.since else None,
        "conclusion": " ".join(lines),
        "seconds": sweep.seconds,
        "releases": [_release(entry, sweep) for entry in sweep.entries],
        "throughput": [_throughput(series, sweep) for series in sweep.series],
        "title": title(sweep),
        "lines": lines,
        "about": describe_sweep(sweep),
        "method": method(sweep),
        "shown": {"verdict": format_verdict(sweep.newest, sweep)},
    }


def release_context(result: ComparisonResult, package: str) -> dict[str, Any]:
    """Return the context of a comparison of two releases of a package."""
    changes = package_changes(result.comparison.base.packages, result.comparison.head.packages)
    return comparison_context(result, format_changes(changes, {package}))


def _release(entry: Entry, sweep: Sweep) -> dict[str, Any]:
    first = entry.release == sweep.base
    return {
        "release": entry.release,
        "verdict": None if first else entry.speed_verdict.value,
        "notes": notes(entry, sweep),
        "comparison": release_context(entry.result, sweep.package) if entry.result else None,
        "shown": {"verdict": format_verdict(entry, sweep)},
    }


def _throughput(series: Series, sweep: Sweep) -> dict[str, Any]:
    """Return images per second; the first release has no interval, since the others' are of the ratio to it."""
    return {
        "case": series.case.id,
        "first": {
            "release": sweep.base,
            "images_per_second": series.level,
            "pairs": series.pairs,
            "shown": {"verdict": FIRST, "rate": labels.rate(series.level)},
        },
        "releases": [_point(point, series, sweep) for point in series.points],
    }


def _point(point: Point, series: Series, sweep: Sweep) -> dict[str, Any]:
    finding = _finding(point, series, sweep)
    return {
        "release": point.release,
        "verdict": point.verdict.value if point.verdict else None,
        "images_per_second": point.rate,
        "images_per_second_low": point.low,
        "images_per_second_high": point.high,
        "shown": {"verdict": point_verdict(point, sweep), **shown_point(point, finding)},
    }


def _finding(point: Point, series: Series, sweep: Sweep) -> Finding | None:
    """Return the finding of a release in a case; None without a pair."""
    entry = next(entry for entry in sweep.others if entry.release == point.release)
    findings = entry.result.judged if entry.result else []
    return next((finding for finding in findings if finding.compared.case == series.case), None)


def point_verdict(point: Point, sweep: Sweep) -> str:
    """Format the verdict of a release in a case, such as ``slower``.

    It is ``cannot run`` or ``not compared`` if the release has no figure, and an em dash if only this case has none.
    """
    if point.verdict:
        return point.verdict.value
    entry = next(entry for entry in sweep.others if entry.release == point.release)
    return labels.NONE if entry.result and entry.result.judged else format_verdict(entry, sweep)


def shown_point(point: Point, finding: Finding | None = None) -> dict[str, str]:
    """Format change, throughput and pairs of a release in a case; an em dash stands for a missing value."""
    change = cases.shown_figure(point.estimate)
    if point.estimate:
        change["range"] = change["range"] or "no interval"
    return {
        **{"change": labels.NONE, "range": "", "takes": "", **change},
        "rate": labels.rate(point.rate) if point.rate is not None else "",
        "ends": labels.ends(RATE, point.low, point.high),
        "pairs": cases.format_counts(finding) if finding else labels.NONE,
    }
