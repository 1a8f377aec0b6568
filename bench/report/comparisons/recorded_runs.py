"""The context of two recorded runs: all that is said of them, as plain data, and its three renderings."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pandas as pd

from bench.analysis.metrics import BYTES, RATE, SECONDS, Unit
from bench.analysis.table import AXES, further_of
from bench.compare.recorded_runs import ONE_SIDED, CaseMatch, Comparability, Difference, RunComparison, Seen, Side
from bench.formatting import format_number
from bench.report import labels
from bench.report.comparisons.rendering import render_json, render_markdown
from bench.report.labels import INTERVALS, NONE
from bench.report.setting_names import format_value
from bench.report.tables import Own
from bench.text import cleaned

SCHEMA = 2
"""Of the JSON: raise it when a key goes or changes its meaning."""

RATIO = Unit("×", lambda ratio: f"{ratio:.3f}×" if 0.1 <= ratio < 10 else f"{format_number(ratio)}×")
"""Of two runs, which differ by less than two cases do; below each other, ends of intervals have the same decimals."""

NAMED = 3
"""Cases that are named; of more it says how many there are."""

MEANING = {
    Comparability.HISTORICAL: Own(
        "Historical, no verdict: one run was measured after the other, and that cannot separate an upgrade from a "
        "change of the machine's mood. `python -m bench regress` interleaves both and gives a verdict."
    ),
    Comparability.SIDE_BY_SIDE: (
        "Different machines are shown side by side and never tested: the ratio of their speeds has no interval."
    ),
}
"""What the label of the whole means."""

METHOD = (
    "The ratio is that of the seconds of a mean step: above 1, B is slower. Its 95 % interval takes the errors of both "
    "sides as independent: Welch's t on the logarithm where both have several processes, else the root of the sum of "
    "the squares of their own intervals. What changed between the two runs is not in it."
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
"""Columns of each side, with ``a_`` and ``b_`` before them."""

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
"""Columns of csv, and keys of the cases of json. Ratios are B over A; what is missing is empty, or null."""


def _columns(found: RunComparison) -> list[str]:
    """:data:`COLUMNS` with the axes of the cases behind the first one."""
    return [COLUMNS[0], *AXES, *further_of([one.case for one in found.cases]), *COLUMNS[1:]]


def render(found: RunComparison, format: str) -> str:
    """Two runs as text that ends with a newline; ``format`` is ``csv``, ``md`` or ``json``."""
    if format == "csv":
        return to_csv(found)
    content = context(found)
    return render_json(content) if format == "json" else render_markdown("recorded_runs", content)


def context(found: RunComparison) -> dict[str, Any]:
    """All that is said of both sides and of each case."""
    return {
        "schema": SCHEMA,
        "label": found.label.value,
        "a": _side(found.a),
        "b": _side(found.b),
        "differs": [{"what": one.key, "a": list(one.a), "b": list(one.b)} for one in found.traits],
        "settings": [{"key": one.key, "a": one.a, "b": one.b, "cases": list(one.cases)} for one in found.settings],
        "settings_of_one_side": found.one_sided_settings,
        "cases": [_row(one, _columns(found)) for one in found.cases],
        "shown": _shown(found),
    }


def to_csv(found: RunComparison) -> str:
    """A line a case, with a header; numbers have all their digits."""
    text = io.StringIO()
    columns = _columns(found)
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(cleaned(_row(one, columns)) for one in found.cases)
    return text.getvalue()


def _shown(found: RunComparison) -> dict[str, Any]:
    """The words of both sides and of each case."""
    seen = [side for one in found.compared for side in (one.a, one.b) if side is not None]
    kinds = labels.interval_kinds(pd.DataFrame({"interval_kind": [side.interval_kind for side in seen]}))
    ends = Counter(_ends(one) for one in found.standing(Comparability.NEITHER))
    return {
        "heading": _heading(found),
        "about": _about(found),
        "meaning": MEANING[found.label],
        "differing": _differing(found),
        "is_cross_machine": found.is_cross_machine,
        "compared": [_compared(one) for one in found.compared],
        "legend": [
            {"sign": sign, "name": kind.capitalize(), "meaning": meaning}
            for sign, kind, meaning in labels.legend(sign for side in seen for sign in labels.signs(side.flags))
        ],
        "notes": []
        if not seen
        else [*([] if found.is_cross_machine else [METHOD]), *(INTERVALS[kind] for kind in kinds)],
        "not_comparable": [
            {"case": one.case.id, "differences": differences(one.differences)}
            for one in found.standing(Comparability.NOT_COMPARABLE)
        ],
        "one_sided": [
            {"case": one.case.id, "a": _ended(one.a), "b": _ended(one.b)} for one in found.standing(*ONE_SIDED)
        ],
        "same": [one.case.id for one in found.standing(Comparability.ITSELF)],
        "neither": labels.count(ends.total(), "case"),
        "neither_ends": labels.listing(f"{number} {how}" for how, number in ends.items()),
    }


def _side(side: Side) -> dict[str, Any]:
    return {
        "runs": list(side.runs),
        "machine": side.machine.fingerprint,
        "machine_title": side.machine.title,
        "first": side.first,
        "last": side.last,
        "measured": side.measured,
        "cases": side.cases,
    }


def _row(one: CaseMatch, columns: Sequence[str]) -> dict[str, Any]:
    """A case with the keys :func:`_columns`; None for what is missing."""
    cells: dict[str, Any] = dict.fromkeys(columns)
    cells |= {"case": one.case.id, **one.case.values, "model": one.case.model_label}
    cells |= {"standing": one.standing.value, "interval_kind": one.interval_kind}
    if one.ratio is not None:
        cells |= {"time_ratio": one.ratio.point, "time_ratio_low": one.ratio.low, "time_ratio_high": one.ratio.high}
    cells |= {"speed_ratio": one.speed_ratio, "peak_memory_ratio": one.memory_ratio}
    cells |= {"differences": differences(one.differences) or None, "settings": differences(one.settings) or None}
    for name, seen in (("a", one.a), ("b", one.b)):
        if seen is not None:
            cells |= {f"{name}_{key}": value for key, value in _figures(seen).items()}
    return cells


def _figures(seen: Seen) -> dict[str, Any]:
    """One side of a case with the keys :data:`FIGURES`, less those that it lacks."""
    first = seen.records[0]
    cells: dict[str, Any] = {
        "status": seen.status,
        "reason": seen.reason or None,
        "run": seen.run,
        "started": seen.started,
        "torch": first.environment.label("torch"),
        "ultralytics": first.environment.label("ultralytics"),
        "machine": first.machine.fingerprint,
    }
    if seen.rate is None:
        return cells
    return cells | {
        "processes": len(seen.records),
        "seconds_per_step": seen.seconds,
        "images_per_second": seen.rate.point,
        "images_per_second_low": seen.rate.low,
        "images_per_second_high": seen.rate.high,
        "interval_kind": seen.interval_kind,
        "flags": seen.flags or None,
        "peak_memory_bytes": seen.peak.bytes if seen.peak else None,
        "peak_memory_method": seen.peak.method if seen.peak else None,
    }


def difference(one: Difference) -> str:
    """``window_steps 32 vs 64``."""
    return f"{one.key} {format_value(one.a)} vs {format_value(one.b)}"


def differences(found: Sequence[Difference]) -> str:
    """``window_steps 32 vs 64, data_seed 0 vs 1``."""
    return ", ".join(map(difference, found))


def longer(one: CaseMatch) -> str:
    """``train-… takes 12.3 % longer (8.1 to 16.0 %, between processes)``; of a case that became slower."""
    ratio = one.ratio
    assert ratio is not None and ratio.low is not None and ratio.high is not None, "a slower case has an interval"
    share, low, high = (format_number((value - 1) * 100) for value in (ratio.point, ratio.low, ratio.high))
    return f"{one.case.id} takes {share} % longer ({low} to {high} %, {one.interval_kind})"


def _heading(found: RunComparison) -> str:
    if found.is_cross_machine:
        return f"{found.a.machine.title} and {found.b.machine.title}: {found.label}"
    return f"Time per step, B over A: {found.label}"


def _about(found: RunComparison) -> list[str]:
    lines = []
    for name, side in (("A", found.a), ("B", found.b)):
        days = " to ".join(dict.fromkeys((side.first[:10], side.last[:10])))
        machine = f", on {labels.machine_name(side.machine)}" if found.is_cross_machine else ""
        runs = ", ".join(side.runs)
        lines.append(
            f"{name}: {runs} ({days}){machine}, {side.measured} of {labels.count(side.cases, 'case')} measured"
        )
    return lines if found.is_cross_machine else [*lines, f"Machine: {found.a.machine.title}"]


def _differing(found: RunComparison) -> list[dict[str, str]]:
    """What differs between the two sides over the cases that are compared."""
    if not found.compared:
        return []
    traits = [{"what": one.key, "a": _values(one.a), "b": _values(one.b), "in": NONE} for one in found.traits]
    return traits + [
        {"what": one.key, "a": format_value(one.a), "b": format_value(one.b), "in": _where(one, found)}
        for one in found.settings
    ]


def _values(values: Sequence[Any]) -> str:
    return ", ".join(NONE if value == "" else format_value(value) for value in values)


def _where(one: Difference, found: RunComparison) -> str:
    """The cases in which a setting differs: ``all cases``, ``all of training``, a few ids, or ``5 of 14 cases``."""
    cases = [matched.case for matched in found.compared]
    if len(one.cases) == len(cases):
        return "all cases"
    for mode in dict.fromkeys(case.mode for case in cases):
        if set(one.cases) == {case.id for case in cases if case.mode == mode}:
            return f"all of {labels.mode(mode).lower()}"
    if len(one.cases) > NAMED:
        return f"{len(one.cases)} of {labels.count(len(cases), 'case')}"
    return ", ".join(one.cases)


def _compared(one: CaseMatch) -> dict[str, Any]:
    """A line of the table of figures."""
    assert one.ratio is not None, "what is compared has a ratio"
    interval = (
        [labels.ends(RATIO, one.ratio.low, one.ratio.high), one.interval_kind]
        if one.interval_kind
        else ["too few steps"]
    )
    peaks = [_value(BYTES, side.peak.bytes if side and side.peak else None) for side in (one.a, one.b)]
    return {
        "case": one.case.id,
        "a": _figure(one.a),
        "b": _figure(one.b),
        "time_ratio": RATIO.show(one.ratio.point),
        "range": interval,
        "speed_ratio": _value(RATIO, one.speed_ratio),
        "memory": [", ".join(peaks), *([_value(RATIO, one.memory_ratio)] if one.memory_ratio else [])],
        "standing": one.standing.value,
    }


def _figure(seen: Seen | None) -> list[str]:
    """A side of a case that is compared: time of a step, throughput with its interval, number of processes."""
    assert seen is not None and seen.seconds is not None and seen.rate is not None, "what is compared was measured"
    rate = seen.rate
    lines = [
        f"{SECONDS.show(seen.seconds)}{labels.signs(seen.flags)}",
        f"{labels.rate(rate.point)} {labels.spread(RATE, rate.point, rate.low, rate.high)}".rstrip(),
    ]
    return [*lines, *([f"{len(seen.records)} processes"] if len(seen.records) > 1 else [])]


def _value(unit: Unit, value: float | None) -> str:
    return NONE if value is None else unit.show(value)


def _ended(seen: Seen | None) -> str:
    """``51.6 images/s``, ``failed: ValueError: no.``, ``no record``."""
    if seen is None:
        return "no record"
    if seen.rate is not None:
        return labels.rate(seen.rate.point)
    return f"{labels.status(seen.status)}: {seen.reason}"


def _ends(one: CaseMatch) -> str:
    """``substituted`` where both sides ended so, else ``failed in A, no record in B``."""
    a, b = ("no record" if seen is None else labels.status(seen.status) for seen in (one.a, one.b))
    return a if a == b else f"{a} in A, {b} in B"
