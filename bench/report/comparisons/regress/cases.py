"""One case of a live comparison: its numbers and their texts."""

from __future__ import annotations

import math
from typing import Any

from bench.compare.findings import Finding, Part, Speed, Standing
from bench.compare.memory import Peak
from bench.compare.settings import Difference
from bench.compare.verdict import Estimate, Verdict
from bench.formatting import format_bytes, format_change, format_duration, format_fixed_percent
from bench.records.comparison import SIDES, Pair, SideOutcome
from bench.records.outcome import Status
from bench.report import labels
from bench.report.comparisons.changes import (
    ARROW,
    format_advice,
    format_estimate,
    format_interval,
    format_milliseconds,
    format_takes,
)
from bench.report.setting_names import format_value

MEMORY = {Verdict.SLOWER: "more", Verdict.FASTER: "less"}
"""Words for the verdicts on memory."""

STANDING = {
    Standing.BASE_ONLY: "base alone can run it",
    Standing.HEAD_ONLY: "head alone can run it",
    Standing.NEITHER: "neither side can run it",
    Standing.UNFINISHED: "no pair was measured",
}


def figure(estimate: Estimate | None) -> dict[str, Any]:
    """Return a ratio, its interval and the number of its pairs; all null without a pair."""
    if estimate is None:
        return dict.fromkeys(("ratio", "low", "high", "confidence", "pairs"))
    known = math.isfinite(estimate.half)
    return {
        "ratio": estimate.ratio,
        "low": estimate.low if known else None,
        "high": estimate.high if known else None,
        "confidence": estimate.confidence,
        "pairs": estimate.pairs,
    }


def shown_figure(estimate: Estimate | None) -> dict[str, Any]:
    """Format an estimate as texts: the change, its range, and the time a step takes; empty without a pair."""
    if estimate is None:
        return {}
    return {
        "change": format_estimate(estimate),
        "range": format_interval(estimate),
        "takes": format_takes(estimate),
    }


def context(finding: Finding, margin: float) -> dict[str, Any]:
    """Return the context of one case; ``margin`` is the equivalence margin of speed, a share."""
    judged = finding.judged
    compared = finding.compared
    return {
        "id": finding.id,
        "standing": finding.standing.value,
        "verdict": judged.verdict.value if judged else None,
        **figure(judged.estimate if judged else None),
        "note": judged.note if judged else "",
        "alarm": judged.alarm.value if judged and judged.alarm else None,
        "interim": figure(finding.interim) if finding.interim else None,
        "confirmation": figure(finding.confirmation) if finding.confirmation else None,
        "localized_change": finding.counts_every_step,
        "base": _side(compared.base, finding.base),
        "head": _side(compared.head, finding.head),
        "memory": _memory(finding.memory),
        "parts": [_part(finding, part) for part in finding.parts],
        "retries": finding.retries,
        "interfered": finding.interfered,
        "sequential_reason": compared.sequential_reason,
        "error": compared.error,
        "seconds": finding.seconds,
        "notes": notes(finding, margin),
        "every_pair": [_pair(finding, pair) for pair in compared.pairs],
        "shown": {
            "case": labels.to_one_line(labels.whole_case(compared.case)),
            "verdict": format_verdict(finding),
            "pairs": format_pairs(finding),
            "counts": format_counts(finding),
            "seconds": format_duration(finding.seconds),
            "parts": shows_parts(finding),
            **shown_figure(judged.estimate if judged else None),
        },
    }


def _side(outcome: SideOutcome | None, speed: Speed | None) -> dict[str, Any]:
    return {
        "status": outcome.outcome.status.value if outcome else None,
        "reason": outcome.outcome.reason if outcome else "",
        "seconds_per_step": speed.seconds if speed else None,
        "images_per_second": speed.images_per_second if speed else None,
        "shown": {
            "outcome": format_outcome(outcome),
            "step": format_duration(speed.seconds) if speed else "",
            "rate": labels.rate(speed.images_per_second) if speed else "",
        },
    }


def _memory(peak: Peak | None) -> dict[str, Any] | None:
    if peak is None:
        return None
    return {
        "verdict": MEMORY.get(peak.verdict, peak.verdict.value),
        **figure(peak.estimate),
        "base_bytes": round(peak.base),
        "head_bytes": round(peak.head),
        "figure": peak.figure,
        "method": peak.method,
        "shown": {
            # Shown where memory differs and more than one pair supports it.
            "verdict": peak.verdict is not Verdict.SAME and math.isfinite(peak.estimate.half),
            "peaks": format_peaks(peak),
            **shown_figure(peak.estimate),
        },
    }


def _part(finding: Finding, part: Part) -> dict[str, Any]:
    return {
        "name": part.name,
        "base_seconds": part.base,
        "head_seconds": part.head,
        "share_of_change": finding.share(part),
        "method": part.method,
        "shown": {
            "base": format_milliseconds(part.base),
            "head": format_milliseconds(part.head),
            "change": format_milliseconds(part.change, sign=True),
            "share": format_share_of_change(finding, part),
        },
    }


def _pair(finding: Finding, pair: Pair) -> dict[str, Any]:
    log = finding.log(pair)
    return {
        "confirmation": pair.confirmation,
        "head_first": pair.head_first,
        "log_ratio": log,
        "retries": pair.retries,
        "seconds": pair.seconds,
        "interference": list(pair.interference),
        "shown": {
            "change": format_change(math.expm1(log)),
            "log_ratio": f"{log:+.5f}",
            "seconds": format_duration(pair.seconds),
        },
    }


def format_pairs(finding: Finding) -> str:
    """Format the number of pairs: ``8 pairs``, ``4 of 8 pairs count`` where a confirmation was measured."""
    looks, fresh = finding.pairs
    return f"{format_counts(finding)} pairs count" if fresh else labels.count(looks, "pair")


def format_counts(finding: Finding) -> str:
    """Format the number of pairs for a column: ``8``, ``4 of 8`` where not all of them count."""
    looks, fresh = finding.pairs
    return f"{len(finding.counted)} of {looks + fresh}" if fresh else str(looks)


def format_counting(finding: Finding) -> str:
    """Say which pairs the figures come from, if an alarm led to fresh pairs; else empty."""
    looks, fresh = finding.pairs
    if not fresh:
        return ""
    if finding.confirmed:
        return (
            f"of these pairs only {len(finding.counted)} count: fresh ones, measured to confirm what the first {looks} "
            "showed"
        )
    missing = f"{fresh} fresh {'pair is' if fresh == 1 else 'pairs are'} too few to confirm what they showed"
    return f"only the first {looks} pairs count: {missing}"


def format_verdict(finding: Finding) -> str:
    """Format a verdict, such as ``slower``, or the reason why a case has none."""
    return finding.verdict.value if finding.verdict else STANDING[finding.standing]


def format_peaks(peak: Peak) -> str:
    """Format both peaks: ``640 MiB → 720 MiB``."""
    return f"{format_bytes(peak.base)} {ARROW} {format_bytes(peak.head)}"


def format_step(speed: Speed) -> str:
    """Format a speed: ``131 ms per step, 30.5 images/s``."""
    return f"{format_duration(speed.seconds)} per step, {labels.rate(speed.images_per_second)}"


def format_steps(finding: Finding) -> str:
    """Format each side with a known speed: ``base 131 ms per step, 30.5 images/s, head ...``."""
    speeds = zip(SIDES, (finding.base, finding.head), strict=True)
    return ", ".join(f"{side} {format_step(speed)}" for side, speed in speeds if speed)


def format_share_of_change(finding: Finding, part: Part) -> str:
    """Format the share of a part in the change, such as ``82 %``; empty if it did not change as the step did."""
    share = finding.share(part)
    return format_fixed_percent(share) if share is not None and share >= 0.005 else ""


def shows_parts(finding: Finding) -> bool:
    """Whether to show the parts of a step: it became slower or faster."""
    return bool(finding.parts) and finding.verdict is not None and finding.verdict.alarm


def notes(finding: Finding, margin: float) -> list[str]:
    """Return clauses on how to read the figures of a case, at an equivalence margin."""
    compared = finding.compared
    clauses = [finding.judged.note] if finding.judged and finding.judged.note else []
    if finding.counts_every_step:
        clauses.append("the change is in few of its steps, so every step counts")
    if counting := format_counting(finding):
        clauses.append(counting)
    if finding.verdict is Verdict.INCONCLUSIVE and finding.judged and math.isfinite(finding.judged.estimate.half):
        advice = format_advice(finding.judged.estimate, margin)
        clauses.append(f"{advice[0].lower()}{advice[1:].rstrip('.')}")
    if compared.sequential_reason:
        clauses.append(f"its processes ran one after the other: {compared.sequential_reason}")
    if compared.error:
        clauses.append(f"stopped early: {compared.error}")
    return clauses


def format_outcome(outcome: SideOutcome | None) -> str:
    """Format the outcome of a case on one side: ``out of memory: tried to allocate 9 GiB``."""
    if outcome is None:
        return "not known"
    if outcome.outcome.status is Status.MEASURED:
        return "runs"
    return f"{labels.status(outcome.outcome.status.value)}: {outcome.outcome.reason}"


def format_setting(difference: Difference) -> str:
    """Format a setting that differs: ``mosaic 1.0 → 0.0``."""
    return f"{difference.key} {format_value(difference.base)} {ARROW} {format_value(difference.head)}"
