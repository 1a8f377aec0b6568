"""Ratios around a reference case: what its device, AMP, several devices, and its batch bring."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec
import pandas as pd

from bench.analysis.flags import without_forced
from bench.analysis.reference import ReferenceCase
from bench.analysis.speedup import speedups
from bench.analysis.table import COMPARABLE_KEYS, axes_of
from bench.cases.device_kinds import HOST, device_kind, ranks
from bench.errors import UsageError


class Question(StrEnum):
    """What a case and its counterpart differ in."""

    DEVICE = "device"  # from the CPU
    DEVICES = "devices"  # several from one
    AMP = "amp"
    BATCH = "batch"


class Ratio(msgspec.Struct, frozen=True, kw_only=True):
    """Throughput of a case over that of its counterpart.

    Attributes:
        question: what the two differ in.
        row: axes of the case, as a row of the table has them.
        baseline: values of the counterpart that differ, by axis.
        point, low, high: the ratio with its interval; the ends are missing where either case has no interval.
        interval_kind: kind of the interval; None without one.
        interfered: whether either figure is flagged for interference.
    """

    question: Question
    row: dict[str, Any]
    baseline: dict[str, Any]
    point: float
    low: float | None
    high: float | None
    interval_kind: str | None
    interfered: bool

    @property
    def is_clear(self) -> bool:
        """Whether the interval excludes 1."""
        return self.low is not None and self.high is not None and not self.low <= 1 <= self.high


def reference_ratios(table: pd.DataFrame, reference: ReferenceCase) -> list[Ratio]:
    """Return one ratio for each question that the cases of the reference's mode, size and device can answer.

    The case is the one that is most like the reference: of the same model, batch and AMP where they were measured.
    Forced cases answer none of them.
    """
    row = reference.row
    same = table[(table["mode"] == row["mode"]) & (table["imgsz"] == row["imgsz"])]
    same = without_forced(same[same["workload"] == row["workload"]])
    kind = _kind(row["device"])
    single = next((device for device in same["device"] if _kind(device) == kind and ranks(device) == 1), None)
    baselines: dict[Question, dict[str, Any]] = {Question.AMP: {"amp": "off"}}
    if kind != HOST:
        baselines[Question.DEVICE] = {"device": HOST}
    if ranks(row["device"]) > 1 and single is not None:
        baselines[Question.DEVICES] = {"device": single}
    questions = (Question.DEVICE, Question.DEVICES, Question.AMP)
    ratios = (_most_alike(same, row, question, baselines.get(question, {})) for question in questions)
    return [ratio for ratio in ratios if ratio is not None]


def batch_ratio(table: pd.DataFrame, reference: ReferenceCase) -> Ratio | None:
    """Return the reference over the same case at the batch that differs most from its own; None without one."""
    row = reference.row
    same = table[table["status"] == "measured"]
    for name in (*axes_of(table), *COMPARABLE_KEYS):
        if name != "batch":
            same = same[same[name] == row[name]]
    others = sorted(
        {int(batch) for batch in same["batch"]} - {row["batch"]}, key=lambda batch: abs(batch - row["batch"])
    )
    return _most_alike(same, row, Question.BATCH, {"batch": others[-1]}) if others else None


def _most_alike(table: pd.DataFrame, row: dict[str, Any], question: Question, baseline: dict[str, Any]) -> Ratio | None:
    """Return the ratio over a baseline of the case on the device of a row that is most like it."""
    ratios = speedups(table, baseline)
    rows = [{str(key): value for key, value in ratio.items()} for ratio in ratios.to_dict("records")]
    rows = [ratio for ratio in rows if ratio["device"] == row["device"]]
    names = [name for name in axes_of(table) if name != "device"]

    def likeness(ratio: dict[str, Any]) -> tuple[object, ...]:
        equal = [ratio[name] == row[name] for name in names]
        rate = ratio["speedup"] * ratio["baseline_images_per_second"]
        return ratio["model"] == row["model"], ratio["batch"] == row["batch"], sum(equal), rate

    best = max(rows, key=likeness, default=None)
    if best is None:
        return None
    low, high = best["speedup_low"], best["speedup_high"]
    known = not (pd.isna(low) or pd.isna(high))
    return Ratio(
        question=question,
        row=best,
        baseline=baseline,
        point=float(best["speedup"]),
        low=float(low) if known else None,
        high=float(high) if known else None,
        interval_kind=best["interval_kind"],
        interfered=bool(best["interfered"]),
    )


def _kind(device: str) -> str:
    """Return the kind of a device; a record may have one that is unknown here."""
    try:
        return device_kind(device)
    except UsageError:
        return device
