"""The context of a live comparison, as plain data: the content of ``--json``."""

from __future__ import annotations

from typing import Any

from bench.compare.findings import ComparisonResult, exit_code
from bench.compare.package_changes import package_changes
from bench.compare.settings import Difference
from bench.records.comparison import EnvironmentSide
from bench.report.comparisons.regress import cases, method
from bench.report.comparisons.regress.conclusion import (
    conclusion,
    describe_comparison,
    figures,
    format_conclusion,
    title,
)
from bench.report.setting_names import TITLES, format_value

SCHEMA = 2
"""Version of the JSON; raise it when a key is removed or changes its meaning."""


def context(result: ComparisonResult, packages: str) -> dict[str, Any]:
    """Return the context of a comparison.

    Ratios are head over base, of seconds and of bytes: above 1, head is slower or needs more.

    Args:
        result: the comparison.
        packages: differences between the environments, in one line.
    """
    comparison = result.comparison
    lines = conclusion(result)
    return {
        "schema": SCHEMA,
        "run": comparison.run,
        "started": comparison.started,
        "verdict": result.conclusion.value,
        "exit_code": int(exit_code(result)),
        "conclusion": " ".join(lines),
        **cases.figure(result.overall.estimate if result.overall else None),
        "margin": comparison.margin,
        "margin_from": comparison.margin_from,
        "memory_margin": comparison.memory_margin,
        "self_comparison": result.self_comparison,
        "base": _side(comparison.base),
        "head": _side(comparison.head),
        "packages": [
            {"name": change.name, "base": change.base or None, "head": change.head or None}
            for change in package_changes(comparison.base.packages, comparison.head.packages)
        ],
        "exclude_newer": comparison.exclude_newer or None,
        "machine": {
            "fingerprint": comparison.machine.fingerprint,
            "id": comparison.machine.id or None,
            "title": comparison.machine.title,
        },
        "settings": [_setting(difference, result) for difference in result.settings],
        "settings_of_one_side": [_setting(difference, result) for difference in result.one_sided_settings],
        "order_effect": cases.figure(result.order_effect) if result.order_effect else None,
        "retries": result.retries,
        "interfered": result.interfered,
        "seconds": comparison.seconds,
        "cases": [cases.context(finding, comparison.margin) for finding in result.findings],
        "overall": _overall(result),
        "title": title(result),
        "lines": lines,
        "figures": figures(result),
        "about": describe_comparison(result, packages),
        "remarks": method.remarks(result),
        "method": method.method(result),
        "shown": {"verdict": format_conclusion(result)},
    }


def _overall(result: ComparisonResult) -> dict[str, Any] | None:
    """Return the figure over several cases; None for a single case."""
    if not result.covers_several_cases or result.overall is None:
        return None
    estimate = result.overall.estimate
    return {
        "verdict": result.overall.verdict.value,
        **cases.figure(estimate),
        "shown": cases.shown_figure(estimate),
    }


def _side(side: EnvironmentSide) -> dict[str, Any]:
    return {
        "asked": side.asked,
        "key": side.key,
        "python": side.environment.python,
        "torch": side.environment.label("torch"),
        "ultralytics": side.environment.label("ultralytics"),
        "packages": list(side.packages),
    }


def _setting(difference: Difference, result: ComparisonResult) -> dict[str, Any]:
    everywhere = len(difference.cases) == len(result.findings)
    return {
        "key": difference.key,
        "base": difference.base,
        "head": difference.head,
        "cases": list(difference.cases),
        "shown": {
            "title": TITLES.get(difference.key, ""),
            "base": format_value(difference.base),
            "head": format_value(difference.head),
            "change": cases.format_setting(difference),
            "cases": "all cases" if everywhere else ", ".join(difference.cases),
        },
    }
