"""Speed-ups of cases over their counterparts in a baseline."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from bench.analysis.flags import INTERFERED, kinds
from bench.analysis.intervals import log_half_width, weaker_kind
from bench.analysis.table import AXES, COMPARABLE_KEYS, GROUP_KEYS, axes_of
from bench.cases.axes import NOT_ASKED, axes, sort_values
from bench.cases.device_kinds import HOST
from bench.cases.model_labels import is_called
from bench.errors import UsageError
from bench.records.indexed import facts_of
from bench.records.record import Record


def parse_baseline(text: str, option: str = "baseline") -> dict[str, Any]:
    """Parse ``device=cpu,amp=off`` into values by axis; ``option`` is named in errors."""
    chosen: dict[str, Any] = {}
    for part in text.split(","):
        name, _, value = part.strip().partition("=")
        if name not in axes() or not value:
            raise UsageError(f"{option} {part.strip()!r}: write axis=value, with one of {', '.join(axes())}.")
        parsed = _model(value) if name == "model" else axes()[name].parse(value)
        chosen[name] = NOT_ASKED if parsed == axes()[name].absent else parsed
    return chosen


def _model(text: str) -> str:
    """Return a model as the user names it: the full path of an existing file, else a name or the end of a path."""
    path = Path(text)
    return str(path.resolve()) if path.is_file() else text.removesuffix(".yaml")


def named(baseline: dict[str, Any], records: Iterable[Record]) -> dict[str, Any]:
    """Return a baseline with its model named as in the table of the records."""
    if "model" not in baseline:
        return baseline
    cases = {record.case.model: record.case for record in facts_of(records)}.values()
    labels = (case.model_label for case in cases if is_called(case.model, baseline["model"], case.model_name))
    return {**baseline, "model": next(labels, baseline["model"])}


def default_baseline(table: pd.DataFrame) -> dict[str, Any]:
    """Return the default baseline of speed-ups.

    It is the CPU without mixed precision, if another device was measured; else no mixed precision, if some was. Else
    it is the smallest batch, the smallest size, or the first model, whichever varies first. A baseline without any
    counterpart is passed over. Empty where nothing varies.
    """
    candidates = baselines(table)
    return next((baseline for baseline in candidates if len(speedups(table, baseline))), (candidates or [{}])[0])


def baselines(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the baselines that suit a table, best first."""
    measured = table[table["status"] == "measured"]
    suitable: list[dict[str, Any]] = []
    if measured["device"].nunique() > 1 and HOST in set(measured["device"]):
        suitable.append({"device": HOST, "amp": "off"})
    if measured["amp"].nunique() > 1:
        suitable.append({"amp": "off" if "off" in set(measured["amp"]) else measured["amp"].iloc[0]})
    suitable += [{axis: int(measured[axis].min())} for axis in ("batch", "imgsz") if measured[axis].nunique() > 1]
    for axis in axes_of(table):
        asked = [value for value in sort_values(axis, measured[axis]) if value != NOT_ASKED]
        has_absent = axis in axes() and axes()[axis].absent is not None and NOT_ASKED in set(measured[axis])
        if axis not in AXES and len(asked) + has_absent > 1:
            suitable.append({axis: NOT_ASKED if has_absent else asked[0]})
    if measured["model"].nunique() > 1:
        suitable.append({"model": measured["model"].iloc[0]})
    return suitable


def speedups(table: pd.DataFrame, baseline: dict[str, Any]) -> pd.DataFrame:
    """Ratios of throughput, case over counterpart.

    The counterpart has the baseline's value on the baseline's axes, and the case's own on all others. Machine,
    versions, data, window and threads are the same, and so are the fixed settings unless it is of another mode.
    Cases without a counterpart are left out, and so is the baseline itself.

    Returns:
        Columns: the axes, ``machine``, ``speedup``, ``speedup_low`` and ``speedup_high``. The ends come from both
        intervals, as independent errors of the logarithms; missing where either is. ``interval_kind`` is the weaker
        kind of the two. ``interfered`` is whether either figure has that flag: then the ratio may be that of the
        interference.
    """
    ends = ["speedup_low", "speedup_high", "interval_kind"]
    names = axes_of(table)
    columns = [*names, "machine", "speedup", *ends, "baseline_images_per_second", "interfered"]
    measured = table[table["status"] == "measured"]
    if not baseline or measured.empty:
        return pd.DataFrame(columns=columns)
    keys = [axis for axis in names if axis not in baseline] + list(
        GROUP_KEYS if "mode" in baseline else COMPARABLE_KEYS
    )
    is_base = pd.Series(True, index=measured.index)
    for axis, value in baseline.items():
        is_base &= measured[axis] == value if axis in names else False
    figures = ["images_per_second", "images_per_second_low", "images_per_second_high"]
    base = measured.loc[is_base, [*keys, *figures, "interval_kind", "flags"]].drop_duplicates(keys, keep="last")
    both = measured[~is_base].merge(base, on=keys, suffixes=("", "_base"))
    both["speedup"] = both["images_per_second"] / both["images_per_second_base"]
    both["interfered"] = [
        INTERFERED in kinds(f"{a}; {b}") for a, b in zip(both["flags"], both["flags_base"], strict=True)
    ]
    both["interval_kind"] = [
        weaker_kind(a, b) for a, b in zip(both["interval_kind"], both["interval_kind_base"], strict=True)
    ]
    both["baseline_images_per_second"] = both["images_per_second_base"]
    halves = [
        pd.Series(map(log_half_width, both[f"{figures[1]}{suffix}"], both[f"{figures[2]}{suffix}"]), both.index, float)
        for suffix in ("", "_base")
    ]
    half = (halves[0] ** 2 + halves[1] ** 2) ** 0.5
    both["speedup_low"] = both["speedup"] / half.map(math.exp)
    both["speedup_high"] = both["speedup"] * half.map(math.exp)
    return both[columns].reset_index(drop=True)
