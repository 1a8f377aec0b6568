"""A live comparison as JSON, for programs: raw numbers, and null for what is not known."""

from __future__ import annotations

import json
import math
from typing import Any

from bench.compare.findings import ComparisonResult, Difference, Finding, Peak, Speed, exit_code
from bench.compare.package_changes import package_changes
from bench.compare.verdict import Estimate
from bench.records.comparison import SIDES, EnvironmentSide, SideOutcome
from bench.report.comparisons.regress import words
from bench.text import cleaned

SCHEMA = 2
"""Raise it when a key goes or changes its meaning."""


def as_json(found: ComparisonResult) -> str:
    """All that is said of a comparison, as text that ends with a newline.

    Ratios are head over base: of seconds, so that above 1 head is slower, and of bytes.
    """
    comparison = found.comparison
    content = {
        "schema": SCHEMA,
        "run": comparison.run,
        "started": comparison.started,
        "verdict": found.conclusion.value,
        "exit_code": int(exit_code(found)),
        "conclusion": " ".join(words.conclusion(found)),
        **_figure(found.overall.estimate if found.overall else None),
        "margin": comparison.margin,
        "margin_from": comparison.margin_from,
        "memory_margin": comparison.memory_margin,
        "self_comparison": found.self_comparison,
        "base": _side(comparison.base),
        "head": _side(comparison.head),
        "packages": [
            {"name": one.name, "base": one.base or None, "head": one.head or None}
            for one in package_changes(comparison.base.packages, comparison.head.packages)
        ],
        "exclude_newer": comparison.exclude_newer or None,
        "machine": {"fingerprint": comparison.machine.fingerprint, "title": comparison.machine.title},
        "settings": [_setting(one) for one in found.settings],
        "settings_of_one_side": [_setting(one) for one in found.unshared],
        "order_effect": _figure(found.order_effect) if found.order_effect else None,
        "retries": found.retries,
        "interfered": found.interfered,
        "seconds": comparison.seconds,
        "cases": [_case(finding) for finding in found.findings],
    }
    return json.dumps(cleaned(content), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _figure(seen: Estimate | None) -> dict[str, Any]:
    """A ratio, its interval and the pairs that it comes from; all null without a pair."""
    if seen is None:
        return dict.fromkeys(("ratio", "low", "high", "confidence", "pairs"))
    known = math.isfinite(seen.half)
    return {
        "ratio": seen.ratio,
        "low": seen.low if known else None,
        "high": seen.high if known else None,
        "confidence": seen.confidence,
        "pairs": seen.pairs,
    }


def _side(side: EnvironmentSide) -> dict[str, Any]:
    return {
        "asked": side.asked,
        "key": side.key,
        "python": side.environment.python,
        "torch": side.environment.label("torch"),
        "ultralytics": side.environment.label("ultralytics"),
    }


def _setting(one: Difference) -> dict[str, Any]:
    return {"key": one.key, "base": one.base, "head": one.head, "cases": list(one.cases)}


def _case(finding: Finding) -> dict[str, Any]:
    judged = finding.judged
    ends = {"base": (finding.compared.base, finding.base), "head": (finding.compared.head, finding.head)}
    return {
        "id": finding.id,
        "standing": finding.standing.value,
        "verdict": judged.verdict.value if judged else None,
        **_figure(judged.estimate if judged else None),
        "note": judged.note if judged else "",
        "alarm": judged.alarm.value if judged and judged.alarm else None,
        "interim": _figure(finding.interim) if finding.interim else None,
        "confirmation": _figure(finding.confirmation) if finding.confirmation else None,
        "localized_change": finding.whole,
        **{side: _ran(*ends[side]) for side in SIDES},
        "memory": _memory(finding.memory),
        "parts": [
            {
                "name": part.name,
                "base_seconds": part.base,
                "head_seconds": part.head,
                "share_of_change": finding.share(part),
                "method": part.method,
            }
            for part in finding.parts
        ],
        "retries": finding.retries,
        "interfered": finding.interfered,
        "sequential_reason": finding.compared.sequential_reason,
        "error": finding.compared.error,
        "seconds": finding.seconds,
    }


def _ran(ran: SideOutcome | None, speed: Speed | None) -> dict[str, Any]:
    return {
        "status": ran.outcome.status.value if ran else None,
        "reason": ran.outcome.reason if ran else "",
        "seconds_per_step": speed.seconds if speed else None,
        "images_per_second": speed.images_per_second if speed else None,
    }


def _memory(peak: Peak | None) -> dict[str, Any] | None:
    if peak is None:
        return None
    return {
        "verdict": words.MEMORY.get(peak.verdict, peak.verdict.value),
        **_figure(peak.estimate),
        "base_bytes": round(peak.base),
        "head_bytes": round(peak.head),
        "figure": peak.figure,
        "method": peak.method,
    }
