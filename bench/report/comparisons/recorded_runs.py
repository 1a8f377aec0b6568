"""The context of two recorded runs, as plain data, and its three renderings."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pandas as pd

from bench.analysis.metrics import BYTES, RATE, SECONDS, Unit
from bench.analysis.table import AXES, further_of
from bench.compare.recorded_runs import ONE_SIDED, CaseMatch, CaseResult, Comparability, Difference, RunComparison, Side
from bench.formatting import format_number
from bench.machine.description import Machine
from bench.report import labels
from bench.report.comparisons.changes import ARROW
from bench.report.comparisons.rendering import render_json, render_markdown
from bench.report.labels import INTERVALS, NONE
from bench.report.setting_names import format_value
from bench.report.tables import Own
from bench.text import cleaned

SCHEMA = 2
"""Version of the JSON; raise it when a key is removed or changes its meaning."""

RATIO = Unit("×", lambda ratio: f"{ratio:.3f}×" if 0.1 <= ratio < 10 else f"{format_number(ratio)}×")
"""Ratio of two runs, which differ by less than two cases do; three decimals align the ends of intervals."""

NAMED = 3
"""Maximum number of cases that are named; above it, their number is given."""

MEANING = {
    Comparability.HISTORICAL: Own(
        "The runs were recorded at different times, not interleaved: a difference may be machine drift. "
        "`yolopace regress` interleaves both and gives a verdict."
    ),
    Comparability.SIDE_BY_SIDE: (
        "Different machines are shown side by side and never tested: the ratio of their speeds has no interval."
    ),
}
"""Meaning of each label of a comparison."""

METHOD = (
    "The ratio is that of the seconds of a mean step: above 1, B is slower. Its 95 % interval takes the errors of both "
    "sides as independent, and does not cover what changed between the two runs. With several processes on both sides "
    "it is Welch's t on the logarithm, else the root of the sum of the squares of their intervals."
)

FIGURES = (
    "status",
    "reason",
    "run",
    "started",
    "torch",
    "ultralytics",
    "machine",
    "processes",
    "seconds_per_step",
    "images_per_second",
    "images_per_second_low",
    "images_per_second_high",
    "interval_kind",
    "flags",
    "peak_memory_bytes",
    "peak_memory_method",
)
"""Columns of each side, with the prefix ``a_`` or ``b_``."""

COLUMNS = (
    "case",
    "standing",
    "time_ratio",
    "time_ratio_low",
    "time_ratio_high",
    "interval_kind",
    "speed_ratio",
    "peak_memory_ratio",
    "differences",
    "settings",
    *(f"{side}_{name}" for side in ("a", "b") for name in FIGURES),
)
"""Columns of csv, and keys of the cases of json. Ratios are B over A; a missing value is empty, or null."""


def _columns(comparison: RunComparison) -> list[str]:
    """Return :data:`COLUMNS` with the axes of the cases after the first column."""
    return [COLUMNS[0], *AXES, *further_of([match.case for match in comparison.cases]), *COLUMNS[1:]]


def render(comparison: RunComparison, format: str) -> str:
    """Render two runs as text that ends with a newline; ``format`` is ``csv``, ``md`` or ``json``."""
    if format == "csv":
        return to_csv(comparison)
    content = context(comparison)
    return render_json(content) if format == "json" else render_markdown("recorded_runs", content)


def context(comparison: RunComparison) -> dict[str, Any]:
    """Return the context of a comparison: both sides and each case."""
    return {
        "schema": SCHEMA,
        "label": comparison.label.value,
        "a": _side(comparison.a),
        "b": _side(comparison.b),
        "differs": [{"what": trait.key, "a": list(trait.a), "b": list(trait.b)} for trait in comparison.traits],
        "settings": [
            {"key": setting.key, "a": setting.a, "b": setting.b, "cases": list(setting.cases)}
            for setting in comparison.settings
        ],
        "settings_of_one_side": comparison.one_sided_settings,
        "cases": [_row(match, _columns(comparison)) for match in comparison.cases],
        "shown": _format_texts(comparison),
    }


def to_csv(comparison: RunComparison) -> str:
    """Render a header and one line per case; numbers have all their digits."""
    text = io.StringIO()
    columns = _columns(comparison)
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(cleaned(_row(match, columns)) for match in comparison.cases)
    return text.getvalue()


def _format_texts(comparison: RunComparison) -> dict[str, Any]:
    """Format both sides and each case as texts."""
    sides = [side for match in comparison.compared for side in (match.a, match.b) if side is not None]
    kinds = labels.interval_kinds(pd.DataFrame({"interval_kind": [side.interval_kind for side in sides]}))
    ends = Counter(_ends(match) for match in comparison.standing(Comparability.NEITHER))
    return {
        "heading": _heading(comparison),
        "summary": summary(comparison),
        "about": _describe_sides(comparison),
        "meaning": MEANING[comparison.label],
        "differing": _differing(comparison),
        "is_cross_machine": comparison.is_cross_machine,
        "compared": [_compared(match) for match in comparison.compared],
        "legend": [
            {"sign": sign, "name": kind.capitalize(), "meaning": meaning}
            for sign, kind, meaning in labels.legend(sign for side in sides for sign in labels.signs(side.flags))
        ],
        "notes": []
        if not sides
        else [*([] if comparison.is_cross_machine else [METHOD]), *(INTERVALS[kind] for kind in kinds)],
        "not_comparable": [
            {"case": match.case.id, "differences": differences(match.differences)}
            for match in comparison.standing(Comparability.NOT_COMPARABLE)
        ],
        "one_sided": [
            {"case": match.case.id, "a": _ended(match.a), "b": _ended(match.b)}
            for match in comparison.standing(*ONE_SIDED)
        ],
        "same": [match.case.id for match in comparison.standing(Comparability.ITSELF)],
        "neither": labels.count(ends.total(), "case"),
        "neither_ends": labels.listing(f"{number} {how}" for how, number in ends.items()),
    }


def _side(side: Side) -> dict[str, Any]:
    return {
        "runs": list(side.runs),
        "machine": side.machine.key,
        "machine_title": side.machine.title,
        "first": side.first,
        "last": side.last,
        "measured": side.measured,
        "cases": side.cases,
    }


def _row(match: CaseMatch, columns: Sequence[str]) -> dict[str, Any]:
    """Return a case by the keys of :func:`_columns`; None for a missing value."""
    cells: dict[str, Any] = dict.fromkeys(columns)
    cells |= {"case": match.case.id, **match.case.values, "model": match.case.model_label}
    cells |= {"standing": match.standing.value, "interval_kind": match.interval_kind}
    if match.ratio is not None:
        cells |= {
            "time_ratio": match.ratio.point,
            "time_ratio_low": match.ratio.low,
            "time_ratio_high": match.ratio.high,
        }
    cells |= {"speed_ratio": match.speed_ratio, "peak_memory_ratio": match.memory_ratio}
    cells |= {"differences": differences(match.differences) or None, "settings": differences(match.settings) or None}
    for name, side in (("a", match.a), ("b", match.b)):
        if side is not None:
            cells |= {f"{name}_{key}": value for key, value in _figures(side).items()}
    return cells


def _figures(side: CaseResult) -> dict[str, Any]:
    """Return one side of a case by the keys :data:`FIGURES`, without those that it lacks."""
    first = side.records[0]
    cells: dict[str, Any] = {
        "status": side.status,
        "reason": side.reason or None,
        "run": side.run,
        "started": side.started,
        "torch": first.environment.label("torch"),
        "ultralytics": first.environment.label("ultralytics"),
        "machine": first.machine.key,
    }
    if side.rate is None:
        return cells
    return cells | {
        "processes": len(side.records),
        "seconds_per_step": side.seconds,
        "images_per_second": side.rate.point,
        "images_per_second_low": side.rate.low,
        "images_per_second_high": side.rate.high,
        "interval_kind": side.interval_kind,
        "flags": side.flags or None,
        "peak_memory_bytes": side.peak.bytes if side.peak else None,
        "peak_memory_method": side.peak.method if side.peak else None,
    }


def difference(setting: Difference) -> str:
    """Format a difference: ``window_steps 32 vs 64``."""
    return f"{setting.key} {format_value(setting.a)} vs {format_value(setting.b)}"


def differences(settings: Sequence[Difference]) -> str:
    """Format several differences: ``window_steps 32 vs 64, data_seed 0 vs 1``."""
    return ", ".join(map(difference, settings))


def longer(match: CaseMatch) -> str:
    """Format a case that became slower: ``train-… takes 12.3 % longer (8.1 to 16.0 %, between processes)``."""
    ratio = match.ratio
    assert ratio is not None and ratio.low is not None and ratio.high is not None, "a slower case has an interval"
    share, low, high = (format_number((value - 1) * 100) for value in (ratio.point, ratio.low, ratio.high))
    return f"{match.case.id} takes {share} % longer ({low} to {high} %, {match.interval_kind})"


def _heading(comparison: RunComparison) -> str:
    if comparison.is_cross_machine:
        return f"{' and '.join(_machine_names(comparison, lambda machine: machine.title))}: {comparison.label}"
    return "Two recorded runs: B compared with A"


def summary(comparison: RunComparison) -> str:
    """Describe all compared cases: ``B is 1.42 to 1.93× slower in all 18 cases.``; empty without any."""
    compared = comparison.compared
    changes, parts = list(map(change_of, compared)), []
    for direction in ("slower", "faster", ""):
        factors = [change.factor for change in changes if change.direction == direction]
        if not factors:
            continue
        what = f"{_span(factors)} {direction}" if direction else "not clearly different"
        parts.append(f"{what} in {compared[0].case.id if len(compared) == 1 else _count(len(factors), len(compared))}")
    sentences = [f"B is {labels.listing(parts)}."] if parts else []
    if unknown := sum(change.direction is None for change in changes):
        sentences.append(f"{labels.count(unknown, 'case')} without an interval: measure with --processes 5.")
    return " ".join(sentences)


def _span(factors: Sequence[float]) -> str:
    """Format the smallest and the largest factor: ``1.42 to 1.93×``."""
    low, high = format_factor(min(factors)), format_factor(max(factors))
    return high if low == high else f"{low.removesuffix('×')} to {high}"


def _count(number: int, every: int) -> str:
    """Format a number of cases: ``all 18 cases``, ``both cases``, ``3 of 18 cases``."""
    if number < every:
        return f"{number} of {every} cases"
    return "both cases" if number == 2 else f"all {number} cases"


class Change(msgspec.Struct, frozen=True):
    """How much slower or faster B is in a case.

    Attributes:
        factor: above 1 in the given direction.
        direction: ``slower`` or ``faster``; empty where the interval includes 1; None without an interval.
        low, high: ends of the interval, in that direction; None without one.
    """

    factor: float
    direction: str | None
    low: float | None = None
    high: float | None = None


def change_of(match: CaseMatch) -> Change:
    """Return how much slower or faster B is in a compared case; different machines have no interval."""
    assert match.ratio is not None, "a compared case has a ratio"
    ratio, low, high = match.ratio.point, match.ratio.low, match.ratio.high
    if match.standing is Comparability.SIDE_BY_SIDE:
        speed = match.speed_ratio or 1 / ratio
        return Change(speed, "faster") if speed > 1 else Change(1 / speed, "slower")
    if low is None or high is None:
        return Change(ratio, None)
    if low > 1:
        return Change(ratio, "slower", low, high)
    if high < 1:
        return Change(1 / ratio, "faster", 1 / high, 1 / low)
    return Change(ratio, "", low, high)


def format_factor(factor: float) -> str:
    """Format a factor: ``1.42×``, ``1.004×``, ``120×``."""
    if factor < 1.01:
        return f"{factor:.3f}×"
    return f"{factor:.2f}×" if factor < 10 else f"{format_number(factor)}×"


def _machine_names(comparison: RunComparison, name: Callable[[Machine], str]) -> list[str]:
    """Return the names of the machines of A and B, which differ where the machines do."""
    machines = comparison.a.machine, comparison.b.machine
    names = labels.distinct_names(machines, name)
    return [names[machine.key] for machine in machines]


def _describe_sides(comparison: RunComparison) -> list[str]:
    lines = []
    names = _machine_names(comparison, labels.machine_name)
    for name, side, where in zip("AB", (comparison.a, comparison.b), names, strict=True):
        days = " to ".join(dict.fromkeys((side.first[:10], side.last[:10])))
        machine = f", on {where}" if comparison.is_cross_machine else ""
        runs = ", ".join(side.runs)
        lines.append(
            f"{name}: {runs} ({days}){machine}, {side.measured} of {labels.count(side.cases, 'case')} measured"
        )
    return lines if comparison.is_cross_machine else [*lines, f"Machine: {comparison.a.machine.title}"]


def _differing(comparison: RunComparison) -> list[dict[str, str]]:
    """Return the differences between the two sides over the compared cases."""
    if not comparison.compared:
        return []
    traits = [
        {"what": trait.key, "a": _values(trait.a), "b": _values(trait.b), "in": NONE} for trait in comparison.traits
    ]
    return traits + [
        {
            "what": setting.key,
            "a": format_value(setting.a),
            "b": format_value(setting.b),
            "in": _where(setting, comparison),
        }
        for setting in comparison.settings
    ]


def _values(values: Sequence[Any]) -> str:
    return ", ".join(NONE if value == "" else format_value(value) for value in values)


def _where(setting: Difference, comparison: RunComparison) -> str:
    """Name the cases where a setting differs: ``all cases``, ``all of training``, a few ids, or ``5 of 14 cases``."""
    cases = [matched.case for matched in comparison.compared]
    if len(setting.cases) == len(cases):
        return "all cases"
    for mode in dict.fromkeys(case.mode for case in cases):
        if set(setting.cases) == {case.id for case in cases if case.mode == mode}:
            return f"all of {labels.mode(mode).lower()}"
    if len(setting.cases) > NAMED:
        return f"{len(setting.cases)} of {labels.count(len(cases), 'case')}"
    return ", ".join(setting.cases)


def _compared(match: CaseMatch) -> dict[str, Any]:
    """Return a row of the table of figures."""
    assert match.ratio is not None, "a compared case has a ratio"
    interval = (
        [labels.ends(RATIO, match.ratio.low, match.ratio.high), match.interval_kind]
        if match.interval_kind
        else ["too few steps"]
    )
    peaks = [_value(BYTES, side.peak.bytes if side and side.peak else None) for side in (match.a, match.b)]
    return {
        "case": match.case.id,
        "a": _figure(match.a),
        "b": _figure(match.b),
        "time_ratio": RATIO.show(match.ratio.point),
        "range": interval,
        "speed_ratio": _value(RATIO, match.speed_ratio),
        "memory": [f" {ARROW} ".join(peaks), *([_value(RATIO, match.memory_ratio)] if match.memory_ratio else [])],
        "standing": match.standing.value,
    }


def _figure(side: CaseResult | None) -> list[str]:
    """Format a side of a compared case: time per step, throughput with its interval, number of processes."""
    assert side is not None and side.seconds is not None and side.rate is not None, "a compared case was measured"
    rate, spread = side.rate, labels.spread(RATE, side.rate.point, side.rate.low, side.rate.high)
    lines = [
        f"{SECONDS.show(side.seconds)}{labels.signs(side.flags)}",
        f"{labels.rate(rate.point)} {f'({spread})' if spread and spread[0].isdigit() else spread}".rstrip(),
    ]
    return [*lines, *([f"{len(side.records)} processes"] if len(side.records) > 1 else [])]


def _value(unit: Unit, value: float | None) -> str:
    return NONE if value is None else unit.show(value)


def _ended(side: CaseResult | None) -> str:
    """Format the outcome of a side: ``51.6 images/s``, ``failed: ValueError: no.``, ``no record``."""
    if side is None:
        return "no record"
    if side.rate is not None:
        return labels.rate(side.rate.point)
    return f"{labels.status(side.status)}: {side.reason}"


def _ends(match: CaseMatch) -> str:
    """Format both outcomes: ``substituted`` where they are equal, else ``failed in A, no record in B``."""
    a, b = ("no record" if side is None else labels.status(side.status) for side in (match.a, match.b))
    return a if a == b else f"{a} in A, {b} in B"
