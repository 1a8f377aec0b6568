"""The method of a live comparison, one paragraph per topic."""

from __future__ import annotations

import math
from collections.abc import Iterable

from bench.analysis.intervals import CONFIDENCE
from bench.analysis.noise import LOOK_CONFIDENCE, LOOKS
from bench.compare.findings import ComparisonResult
from bench.compare.verdict import FRESH_CONFIDENCE, FRESH_LOOKS, LEVEL
from bench.formatting import format_fixed_percent, format_share
from bench.records.comparison import SIDES, Pair
from bench.report import labels
from bench.report.comparisons.changes import format_estimate, format_interval
from bench.report.comparisons.regress.conclusion import format_some

RATIO_OF_MEANS = "Each pair yields one number, the ratio of its two mean steps."

PAIRED_STEPS = (
    "Each pair yields one number, the difference between neighbouring steps of head and base. It is the interquartile "
    "mean over plain steps, plus all optimizer steps and the steps after them. If only a few steps differ, which an "
    "interquartile mean would miss, the ratio of mean step times is used and the case says so. The times shown for "
    "base and head are mean step times."
)


def format_estimator(pairs: Iterable[Pair]) -> str:
    """Describe the ratio that a pair gives."""
    return PAIRED_STEPS if any(pair.block_steps == 1 for pair in pairs) else RATIO_OF_MEANS


def method(result: ComparisonResult) -> list[str]:
    """Return the paragraphs on the method of a comparison."""
    paragraphs = [_pairs(result), _looks(result), _alarms(result), _memory(result), _overall(result)]
    return [text for text in [*paragraphs, *remarks(result)] if text]


def remarks(result: ComparisonResult) -> list[str]:
    """Return the remarks on the order effect and on pairs that were measured again."""
    return [text for text in (_order_effect(result), _retries(result)) if text]


def _pairs(result: ComparisonResult) -> str:
    pairs = [pair for finding in result.findings for pair in finding.compared.pairs]
    turn = "a few layers of the model" if any(pair.interleaved_within_steps for pair in pairs) else "some steps"
    text = (
        f"A pair is one fresh process of each side. They are interleaved: one runs {turn} while the other sleeps, so "
        "interference hits both. The order is random and reversed every second round; head starts first in half of the "
        f"pairs. {format_estimator(pairs)}"
    )
    bound = {tuple(pair.processors) for pair in pairs if pair.processors}
    if bound:
        which = f", {labels.listing(map(str, *bound))}" if len(bound) == 1 else ""
        text += f" Both processes are pinned to the same cores{which}."
    sequential = [finding.id for finding in result.findings if finding.compared.sequential_reason]
    if sequential:
        text += f" Where memory does not hold both they run one after the other: {format_some(sequential)}."
    return text


def _looks(result: ComparisonResult) -> str:
    comparison = result.comparison
    return (
        f"There are up to three interim looks, after {labels.listing(map(str, LOOKS))} pairs, each with an interval of "
        f"{format_fixed_percent(LOOK_CONFIDENCE, 2)} by Student's t over the pairs. All three together miss the truth "
        f"in one of twenty cases. A case is the same if its interval lies within ± {format_share(comparison.margin)} "
        f"(margin: {comparison.margin_from}). It is slower or faster if the interval excludes 0 and the change is at "
        "least the margin. A true change of just the margin is therefore found in about a third of all cases. All else "
        "is inconclusive."
    )


def _alarms(result: ComparisonResult) -> str:
    return (
        f"An alarm has to stand against the number of cases ({labels.count(len(result.judged), 'case')} with pairs; "
        f"Holm's rule at {format_fixed_percent(LEVEL)}). Fresh pairs have to confirm it: {FRESH_LOOKS[0]}, or "
        f"{FRESH_LOOKS[1]} where those do not decide. Their figure alone is then reported, with an interval of "
        f"{format_fixed_percent(FRESH_CONFIDENCE, 2)} ({format_fixed_percent(CONFIDENCE)} over both interim looks): "
        "pairs that raise an alarm tend to overstate it."
    )


def _memory(result: ComparisonResult) -> str:
    return (
        "Peak memory is compared over all pairs of a case in the same way, with Holm's rule and without fresh pairs; "
        f"its margin is {format_share(result.comparison.memory_margin)}. Where it is not decided the conclusion stays "
        "as it is, since the number of pairs is planned for speed."
    )


def _overall(result: ComparisonResult) -> str:
    if not result.covers_several_cases:
        return ""
    return (
        "All cases together are the geometric mean of their ratios. The mean over the cases is taken in each round of "
        "pairs that all of them have, and the interval over the rounds. A case that ended before its first look is "
        "left out."
    )


def _order_effect(result: ComparisonResult) -> str:
    """Describe the order effect, the cost of being started second; empty without a pair."""
    estimate = result.order_effect
    if estimate is None:
        return ""
    first = sum(pair.head_first for finding in result.findings for pair in finding.compared.pairs)
    balance = f"head was started first in {first} of {labels.count(result.pairs, 'pair')}"
    if not math.isfinite(estimate.half):
        return f"Start-order effect: unknown from so few pairs; {balance}."
    effect = f"{format_estimate(estimate)} ({format_interval(estimate)})"
    text = f"Start-order effect: {effect} for the side started second; {balance}."
    if estimate.includes_zero:
        return text
    return f"{text} {'That cancels out.' if 2 * first == result.pairs else 'That does not quite cancel out.'}"


def _retries(result: ComparisonResult) -> str:
    """Count the pairs that were started again, or kept with interference; empty if the count is 0."""
    parts = []
    died = [text for finding in result.findings for pair in finding.compared.pairs for text in pair.worker_failures]
    if died:
        each = " and ".join(f"{sum(text.startswith(side) for text in died)} of {side}" for side in SIDES)
        parts.append(f"Processes that died, so that their pairs were started again: {each} (the last one: {died[-1]})")
    if (again := result.retries - len(died)) > 0:
        parts.append(f"Pairs with interference were started again, {labels.count(again, 'time')} in all.")
    if result.interfered:
        many = f"{result.interfered} of {labels.count(result.pairs, 'pair')}"
        parts.append(f"Interference to the end, and counted all the same: {many}.")
    return " ".join(parts)
