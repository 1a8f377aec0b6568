"""Verdicts on claims that are a ratio within bounds, by the interval of every ratio that was measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import pandas as pd

from bench.analysis.flags import INTERFERED, kinds
from bench.analysis.formats import AXIS, OWN
from bench.analysis.intervals import log_half_width
from bench.analysis.mixed_precision import batches
from bench.analysis.scaling import efficiencies
from bench.analysis.speedup import speedups
from bench.analysis.table import AXES, COMPARABLE_KEYS, axes_of
from bench.cases.axes import NOT_ASKED, value_label
from bench.cases.device_kinds import device_kind, label
from bench.claims.claim import Answer, ClaimVerdict, Evidence, RatioRule, is_mac, list_some
from bench.records.ceiling import Ceiling

MEMORY_SCATTER = 0.05
"""Assumed relative error of a ratio of two memory peaks, which have no interval. Peaks of the same case differed by up
to 2.3 % within 50 sets of 4 to 20 processes on a CPU."""


class Ratio(NamedTuple):
    """A ratio, or another figure, with its interval (nan without one), the name of its case, and its unit."""

    name: str
    point: float
    low: float
    high: float
    unit: str = "×"


def judge_ratio(rule: RatioRule, evidence: Evidence) -> Answer:
    """Judge a claim by all ratios that its rule selects; None without any."""
    return decide(RATIOS[rule.metric](rule, evidence), rule.least, rule.most)


def decide(ratios: Iterable[Ratio], least: float = 0.0, most: float = math.inf) -> Answer:
    """Decide whether all ratios lie within bounds, by their intervals; None without any."""
    measured = list(ratios)
    if not measured:
        return None
    outside = [ratio for ratio in measured if ratio.high < least or ratio.low > most]
    if outside:
        return ClaimVerdict.FAILS, f"measured {_format(outside)}"
    inside = all(ratio.low >= least and ratio.high <= most for ratio in measured)
    return ClaimVerdict.HOLDS if inside else ClaimVerdict.OPEN, f"measured {_format(measured)}"


def _format(ratios: Iterable[Ratio]) -> str:
    texts = []
    for ratio in ratios:
        ends = f" ({ratio.low:.2f} to {ratio.high:.2f})" if ratio.low < ratio.high else ""
        texts.append(f"{ratio.point:.2f}{ratio.unit}{ends} for {ratio.name}")
    return list_some(texts)


def _matches(settings: Mapping[str, Any], wanted: Mapping[str, object]) -> bool:
    """Whether settings have all wanted values; ``*`` in a value stands for any text."""
    return all(fnmatchcase(str(settings[name]), str(value)) for name, value in wanted.items())


def _by_versions(evidence: Evidence) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the rows of each pair of versions, with words for the versions where there are several pairs."""
    groups = evidence.table.groupby(["torch", "ultralytics"], sort=False)
    for (torch, ultralytics), rows in groups:
        yield f", torch {torch}, Ultralytics {ultralytics}" if len(groups) > 1 else "", rows


def _cells(rows: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")]


def name_of(row: Mapping[str, Any], versions: str = "") -> str:
    """Name the case of a row."""
    further = [value_label(axis, row[axis]) for axis in axes_of(row) if axis not in AXES and row[axis] != NOT_ASKED]
    return (
        ", ".join([f"{row['model']} on {label(row['device'])}, batch {row['batch']}, {row['imgsz']} px", *further])
        + versions
    )


def training_rows(evidence: Evidence, **wanted: object) -> list[dict[str, Any]]:
    """Return the measured rows of training without interference that have some settings.

    Args:
        evidence: of a machine.
        wanted: by column, or ``kind``: that of the device.
    """
    table = evidence.table
    rows = _cells(table[(table["mode"] == "train") & (table["status"] == "measured")])
    return [
        row
        for row in rows
        if INTERFERED not in kinds(str(row["flags"]))
        if _matches({**row, "kind": device_kind(str(row["device"]))}, wanted)
    ]


def likeness(row: Mapping[str, Any], *without: str) -> tuple[Any, ...]:
    """Return what two rows of one machine have in common where they differ in some axes alone."""
    asked = {axis: row[axis] for axis in axes_of(row) if axis not in without and row[axis] != NOT_ASKED}
    return tuple(sorted(asked.items())), *(row[name] for name in COMPARABLE_KEYS)


def quotient(name: str, above: Mapping[str, Any], below: Mapping[str, Any]) -> Ratio:
    """Return the throughput of one row over that of another, with both intervals."""
    rate = above["images_per_second"] / below["images_per_second"]
    ends = [[side[f"images_per_second_{end}"] for end in ("low", "high")] for side in (above, below)]
    spread = math.exp(math.hypot(*(log_half_width(low, high) for low, high in ends)))
    return Ratio(name, rate, rate / spread, rate * spread)


def _speeds(rule: RatioRule, evidence: Evidence) -> Iterator[Ratio]:
    """Ratios of speed over a baseline, without those with interference: of training, unless the rule names a mode."""
    mode = rule.where.get("mode", "train")
    over = {name: NOT_ASKED if (name, value) == (AXIS, OWN) else value for name, value in rule.over.items()}
    mac = any(map(is_mac, evidence.records))
    for versions, rows in _by_versions(evidence):
        for row in _cells(speedups(rows, over)):
            if row["mode"] == mode and not row["interfered"] and _matches({**row, "mac": mac}, rule.where):
                yield Ratio(name_of(row, versions), row["speedup"], row["speedup_low"], row["speedup_high"])


def _scaling(rule: RatioRule, evidence: Evidence) -> Iterator[Ratio]:
    """Training speed of several devices over that of one, without cases with interference."""
    for versions, rows in _by_versions(evidence):
        for row in _cells(efficiencies(rows[[INTERFERED not in str(marks) for marks in rows["flags"]]])):
            if _matches({**row, "kind": device_kind(str(row["device"]))}, rule.where):
                ends = (row[f"efficiency_{end}"] * row["devices"] for end in ("low", "high"))
                yield Ratio(name_of(row, versions), row["speedup"], *ends)


def _memory(rule: RatioRule, evidence: Evidence) -> Iterator[Ratio]:
    """Ratios of the peak memory of training, measured in the same way."""
    for versions, table in _by_versions(evidence):
        same = [*(axis for axis in axes_of(table) if axis not in rule.over), "peak_memory_method", *COMPARABLE_KEYS]
        is_known = (table["mode"] == "train") & (table["status"] == "measured") & table["peak_memory_bytes"].notna()
        rows = _cells(table[is_known])
        base = {tuple(row[name] for name in same): row for row in rows if _matches(row, rule.over)}
        for row in rows:
            other = base.get(tuple(row[name] for name in same))
            if other is not None and _matches(row, rule.where):
                ratio = int(row["peak_memory_bytes"]) / int(other["peak_memory_bytes"])
                yield Ratio(name_of(row, versions), ratio, ratio * (1 - MEMORY_SCATTER), ratio * (1 + MEMORY_SCATTER))


def _max_batches(rule: RatioRule, evidence: Evidence) -> Iterator[Ratio]:
    """Ratios of the largest batches that train."""
    ceilings = [
        ({**place._asdict(), "amp": amp, "mac": is_mac(ceiling)}, ceiling)
        for place, by_amp in batches(evidence.ceilings).items()
        for amp, ceiling in by_amp.items()
    ]

    def same(settings: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(value for name, value in settings.items() if name not in rule.over)

    base = {same(settings): ceiling for settings, ceiling in ceilings if _matches(settings, rule.over)}
    for settings, ceiling in ceilings:
        if _matches(settings, rule.where) and (other := base.get(same(settings))) is not None:
            size = "" if "imgsz" in rule.over else f", {settings['imgsz']} px"
            ratio = _over(f"{ceiling.case.model_label} on {label(settings['device'])}{size}", ceiling, other)
            if ratio is not None:
                yield ratio


def _over(name: str, larger: Ceiling, smaller: Ceiling) -> Ratio | None:
    """Divide one largest batch by another; None where it is not known.

    The lower end is the batch that trained over the largest that may train in the smaller ceiling. The upper end lies
    a step above the batch that trained, and is infinite where that step was not tried.
    """
    if not smaller.case.batch or not larger.case.batch or smaller.next_untried:
        return None
    ratio = larger.case.batch / smaller.case.batch
    low = larger.case.batch / (smaller.case.batch + smaller.granularity - 1)
    high = (larger.case.batch + larger.granularity) / smaller.case.batch
    return Ratio(name, ratio, low, math.inf if larger.next_untried else high)


RATIOS: dict[str, Callable[[RatioRule, Evidence], Iterator[Ratio]]] = {
    "images_per_second": _speeds,
    "scaling": _scaling,
    "peak_memory_bytes": _memory,
    "max_batch": _max_batches,
}
