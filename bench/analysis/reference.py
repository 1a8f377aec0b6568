"""The reference case of a mode: the case that a headline shows."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec
import pandas as pd

from bench.analysis.flags import INTERFERED, kinds

DEFAULT_SIZE = 640
"""Default image size of Ultralytics."""

WIDEST = 0.10
"""Largest half-width of an interval, as a share of its figure, that a headline shows without a warning."""


class Doubt(StrEnum):
    """Why a figure is not fit for a headline."""

    INTERFERED = "interfered"
    NO_INTERVAL = "no interval"
    WIDE = "wide"


class ReferenceCase(msgspec.Struct, frozen=True):
    """The reference case of a mode.

    Attributes:
        row: its row of the table.
        doubts: why its figure is not fit for a headline; empty if it is.
    """

    row: dict[str, Any]
    doubts: tuple[Doubt, ...] = ()


def interval_share(row: dict[str, Any]) -> float | None:
    """Return half the width of the interval of a row's throughput, as a share of it; None without an interval."""
    rate, low, high = (row[f"images_per_second{end}"] for end in ("", "_low", "_high"))
    return None if pd.isna(low) or pd.isna(high) else float((high - low) / 2 / rate)


def doubts(row: dict[str, Any]) -> tuple[Doubt, ...]:
    """Return why the figure of a measured row is not fit for a headline: interference, or no narrow interval."""
    share, reasons = interval_share(row), []
    if INTERFERED in kinds(str(row["flags"])):
        reasons.append(Doubt.INTERFERED)
    if share is None:
        reasons.append(Doubt.NO_INTERVAL)
    elif round(share, 3) > WIDEST:
        reasons.append(Doubt.WIDE)
    return tuple(reasons)


def reference_case(table: pd.DataFrame, mode: str = "train") -> ReferenceCase | None:
    """Return the reference case of a mode; None where nothing of it was measured.

    Its size is the default one, or else the largest that was measured. Its device is the one with the highest
    throughput at that size. Among the cases of that size and device without a doubt it is the fastest, or the fastest
    of them all where each has a doubt. Cases of other workloads than Ultralytics' count only where it has none, and of
    these only those with the unit and the epoch of the first.

    Args:
        table: rows of one machine, as :func:`bench.analysis.table.frame` makes them.
        mode: ``train`` or ``predict``.
    """
    rows = measured_rows(table, mode)
    if not rows:
        return None
    sizes = {int(row["imgsz"]) for row in rows}
    size = DEFAULT_SIZE if DEFAULT_SIZE in sizes else max(sizes)
    device = max((row for row in rows if row["imgsz"] == size), key=_rate)["device"]
    candidates = [ReferenceCase(row, doubts(row)) for row in rows if (row["imgsz"], row["device"]) == (size, device)]
    return max(candidates, key=lambda candidate: (not candidate.doubts, _rate(candidate.row)))


def measured_rows(table: pd.DataFrame, mode: str) -> list[dict[str, Any]]:
    """Return the measured rows of a mode that may be its reference case: those of one workload, unit and epoch."""
    measured = table[(table["mode"] == mode) & (table["status"] == "measured")]
    rows = [{str(key): value for key, value in row.items()} for row in measured.to_dict("records")]
    workloads = [row["workload"] for row in rows]
    workload = "ultralytics" if "ultralytics" in workloads else next(iter(workloads), "")
    alike = [row for row in rows if row["workload"] == workload]
    return [row for row in alike if all(row[name] == alike[0][name] for name in ("unit", "size_unit", "epoch_images"))]


def _rate(row: dict[str, Any]) -> float:
    return float(row["images_per_second"])
