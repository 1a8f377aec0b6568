"""Two recorded runs as text: md, csv or json. All three say of every line how it is to be read."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from bench.analysis.metrics import BYTES, RATE, SECONDS, Unit
from bench.analysis.table import AXES, further_of
from bench.compare.recorded_runs import ONE_SIDED, CaseMatch, Comparability, Difference, RunComparison, Seen, Side
from bench.formatting import format_number
from bench.report import labels
from bench.report.labels import INTERVALS, NONE
from bench.report.sections.settings import said
from bench.report.tables import escaped, markdown
from bench.text import cleaned

SCHEMA = 2
"""Of the JSON: raise it when a key goes or changes its meaning."""

RATIO = Unit("×", lambda ratio: f"{ratio:.3f}×" if 0.1 <= ratio < 10 else f"{format_number(ratio)}×")
"""Of two runs, which differ by less than two cases do; below each other, ends of intervals have the same decimals."""

NAMED = 3
"""Cases that are named; of more it says how many there are."""

MEANING = {
    Comparability.HISTORICAL: (
        "Historical, no verdict: one run was measured after the other, and that cannot tell an upgrade from a change "
        "of the machine's mood. `python -m bench regress` measures both in turns, and judges."
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
    return FORMATS[format](found)


def difference(one: Difference) -> str:
    """``window_steps 32 vs 64``."""
    return f"{one.key} {said(one.a)} vs {said(one.b)}"


def differences(found: Sequence[Difference]) -> str:
    """``window_steps 32 vs 64, data_seed 0 vs 1``."""
    return ", ".join(map(difference, found))


def longer(one: CaseMatch) -> str:
    """``train-… takes 12.3 % longer (8.1 to 16.0 %, between processes)``; of a case that became slower."""
    ratio = one.ratio
    assert ratio is not None and ratio.low is not None and ratio.high is not None, "a slower case has an interval"
    share, low, high = (format_number((value - 1) * 100) for value in (ratio.point, ratio.low, ratio.high))
    return f"{one.case.id} takes {share} % longer ({low} to {high} %, {one.interval_kind})"


def to_csv(found: RunComparison) -> str:
    """A line a case, with a header; numbers have all their digits."""
    text = io.StringIO()
    columns = _columns(found)
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(cleaned(_row(one, columns)) for one in found.cases)
    return text.getvalue()


def to_json(found: RunComparison) -> str:
    """What is said of both sides, and a list of one object a case."""
    content = {
        "schema": SCHEMA,
        "label": found.label.value,
        "a": _side_json(found.a),
        "b": _side_json(found.b),
        "differs": [{"what": one.key, "a": list(one.a), "b": list(one.b)} for one in found.traits],
        "settings": [{"key": one.key, "a": one.a, "b": one.b, "cases": list(one.cases)} for one in found.settings],
        "settings_of_one_side": found.unshared,
        "cases": [_row(one, _columns(found)) for one in found.cases],
    }
    return json.dumps(cleaned(content), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _side_json(side: Side) -> dict[str, Any]:
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


def to_md(found: RunComparison) -> str:
    """Markdown: what differs comes before any speed."""
    parts = [
        f"# {escaped(_heading(found))}",
        _list(_about(found)),
        MEANING[found.label],
        *_differing(found),
        *_compared(found),
        *_not_compared(found),
    ]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _list(lines: Sequence[str]) -> str:
    return "\n".join(f"- {escaped(line)}" for line in lines)


def _heading(found: RunComparison) -> str:
    if found.elsewhere:
        return f"{found.a.machine.title} and {found.b.machine.title}: {found.label}"
    return f"Time per step, B over A: {found.label}"


def _about(found: RunComparison) -> list[str]:
    lines = []
    for name, side in (("A", found.a), ("B", found.b)):
        days = " to ".join(dict.fromkeys((side.first[:10], side.last[:10])))
        machine = f", on {labels.machine_name(side.machine)}" if found.elsewhere else ""
        runs = ", ".join(side.runs)
        lines.append(
            f"{name}: {runs} ({days}){machine}, {side.measured} of {labels.count(side.cases, 'case')} measured"
        )
    return lines if found.elsewhere else [*lines, f"Machine: {found.a.machine.title}"]


def _differing(found: RunComparison) -> list[str]:
    """What differs between the two sides over the cases that are compared."""
    if not found.compared:
        return []
    rows = [[one.key, _values(one.a), _values(one.b), ""] for one in found.traits]
    rows += [[one.key, said(one.a), said(one.b), _where(one, found)] for one in found.settings]
    parts = ["## What differs between A and B"]
    parts.append(markdown(["What", "A", "B", "In"], rows) if rows else "Nothing that was recorded, beside the hour.")
    if found.unshared:
        parts.append(escaped(f"Settings that one side alone tells of: {', '.join(found.unshared)}."))
    return parts


def _values(values: Sequence[Any]) -> str:
    return ", ".join(NONE if value == "" else said(value) for value in values)


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


def _compared(found: RunComparison) -> list[str]:
    """The table of figures, and what its signs and intervals mean."""
    if not found.compared:
        return []
    if found.elsewhere:
        columns = ["Case", "A", "B", "Speed, B over A", "Peak memory", "How to read it"]
        ratios = [[_shown(RATIO, one.speed_ratio)] for one in found.compared]
    else:
        columns = ["Case", "A", "B", "Time, B over A", "95 % interval", "Peak memory", "How to read it"]
        ratios = [_ratio(one) for one in found.compared]
    rows = [
        [one.case.id, _figure(one.a), _figure(one.b), *ratio, _memory(one), one.standing.value]
        for one, ratio in zip(found.compared, ratios, strict=True)
    ]
    sides = [False, *[True] * (len(columns) - 2), False]
    parts = ["## Cases", markdown(columns, rows, sides)]
    seen = [side for one in found.compared for side in (one.a, one.b) if side is not None]
    if signs := labels.legend(sign for side in seen for sign in labels.signs(side.flags)):
        parts.append(_list([f"{sign} {kind.capitalize()}: {meaning}" for sign, kind, meaning in signs]))
    if not found.elsewhere:
        parts.append(METHOD)
    kinds = labels.interval_kinds(pd.DataFrame({"interval_kind": [side.interval_kind for side in seen]}))
    return parts + [INTERVALS[kind] for kind in kinds]


def _figure(seen: Seen | None) -> str:
    """A side of a case that is compared: time of a step, throughput with its interval, number of processes."""
    assert seen is not None and seen.seconds is not None and seen.rate is not None, "what is compared was measured"
    rate = seen.rate
    lines = [
        f"{SECONDS.show(seen.seconds)}{labels.signs(seen.flags)}",
        f"{labels.rate(rate.point)} {labels.spread(RATE, rate.point, rate.low, rate.high)}".rstrip(),
    ]
    if len(seen.records) > 1:
        lines.append(f"{len(seen.records)} processes")
    return "\n".join(lines)


def _ratio(one: CaseMatch) -> list[str]:
    assert one.ratio is not None, "what is compared has a ratio"
    if one.interval_kind is None:
        return [_shown(RATIO, one.ratio.point), "too few steps"]
    return [_shown(RATIO, one.ratio.point), f"{labels.ends(RATIO, one.ratio.low, one.ratio.high)}\n{one.interval_kind}"]


def _memory(one: CaseMatch) -> str:
    """``640 MiB, 720 MiB``, and the ratio where both were got in the same way."""
    peaks = [_shown(BYTES, seen.peak.bytes if seen and seen.peak else None) for seen in (one.a, one.b)]
    return "\n".join([", ".join(peaks), *([_shown(RATIO, one.memory_ratio)] if one.memory_ratio else [])])


def _shown(unit: Unit, value: float | None) -> str:
    return NONE if value is None else unit.show(value)


def _not_compared(found: RunComparison) -> list[str]:
    """Cases that no figures stand side by side of, each with why."""
    parts = []
    if other := found.standing(Comparability.NOT_COMPARABLE):
        rows = [[one.case.id, differences(one.differences)] for one in other]
        parts += ["## Not comparable: measured by different recipes", markdown(["Case", "A vs B"], rows)]
    if alone := found.standing(*ONE_SIDED):
        rows = [[one.case.id, _ended(one.a), _ended(one.b)] for one in alone]
        parts += ["## Measured on one side only", markdown(["Case", "A", "B"], rows)]
    if same := found.standing(Comparability.ITSELF):
        parts.append(escaped(f"The same measurement on both sides: {', '.join(one.case.id for one in same)}."))
    if neither := found.standing(Comparability.NEITHER):
        ends = Counter(_ends(one) for one in neither)
        listed = labels.listing(f"{number} {how}" for how, number in ends.items())
        parts.append(escaped(f"Measured on neither side: {labels.count(len(neither), 'case')} ({listed})."))
    return parts


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


FORMATS: dict[str, Callable[[RunComparison], str]] = {"md": to_md, "csv": to_csv, "json": to_json}
