"""The reference case of a mode: the case that a headline shows."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec
import pandas as pd

from bench.analysis.flags import INTERFERED, kinds, without_forced
from bench.analysis.intervals import half_share
from bench.cases.axes import MODES, NOT_ASKED
from bench.cases.device_kinds import is_on_host, ranks

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
    """Return half the width of the interval of a row's throughput or time, as a share; None without an interval."""
    low, high = row["images_per_second_low"], row["images_per_second_high"]
    return None if pd.isna(low) or pd.isna(high) else half_share(float(low), float(high))


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


def reference_cases(table: pd.DataFrame) -> dict[str, ReferenceCase]:
    """Return the reference case of each mode that has one, by mode: of the first one's model where it qualifies."""
    cases: dict[str, ReferenceCase] = {}
    for mode in MODES:
        model = next((case.row["model"] for case in cases.values()), "")
        if (case := reference_case(table, mode, model)) is not None:
            cases[mode] = case
    return cases


def reference_case(table: pd.DataFrame, mode: str = "train", model: str = "") -> ReferenceCase | None:
    """Return the reference case of a mode; None where nothing of it was measured.

    Its size is the default one, or else the largest that was measured. Its device is the one with the highest
    throughput at that size, of those that Ultralytics offers if any was measured. Among the cases of that size and
    device without a doubt it is the fastest, or the fastest of them all where each has a doubt; a preferred model comes
    first. Cases of other workloads than Ultralytics' count only where it has none, and of these only those with the
    unit and the epoch of the first. Forced cases, and exported models, count only where there are no others.

    Args:
        table: rows of one machine, as :func:`bench.analysis.table.frame` makes them.
        mode: ``train`` or ``predict``.
        model: preferred where one of its cases has no doubt, or where all cases have one.
    """
    rows = measured_rows(table, mode)
    if not rows:
        return None
    sizes = {int(row["imgsz"]) for row in rows}
    size = DEFAULT_SIZE if DEFAULT_SIZE in sizes else max(sizes)
    of_size = [row for row in rows if row["imgsz"] == size]
    device = max(of_size, key=lambda row: (is_offered(str(row["device"])), _rate(row)))["device"]
    candidates = [ReferenceCase(row, doubts(row)) for row in rows if (row["imgsz"], row["device"]) == (size, device)]

    def fitness(candidate: ReferenceCase) -> tuple[bool, bool, float]:
        return not candidate.doubts, candidate.row["model"] == model, _rate(candidate.row)

    return max(candidates, key=fitness)


def measured_rows(table: pd.DataFrame, mode: str) -> list[dict[str, Any]]:
    """Return the measured rows of a mode that may be its reference case: of one workload, epoch and kind of model."""
    measured = table[(table["mode"] == mode) & (table["status"] == "measured")]
    own = without_forced(measured)
    measured = own if len(own) else measured
    rows = [{str(key): value for key, value in row.items()} for row in measured.to_dict("records")]
    workloads = [row["workload"] for row in rows]
    workload = "ultralytics" if "ultralytics" in workloads else next(iter(workloads), "")
    of_workload = [row for row in rows if row["workload"] == workload]
    original = [row for row in of_workload if row.get("format", NOT_ASKED) == NOT_ASKED]  # not an exported model
    alike = original or of_workload
    return [row for row in alike if all(row[name] == alike[0][name] for name in ("unit", "size_unit", "epoch_images"))]


def is_offered(device: str) -> bool:
    """Whether Ultralytics trains on a device: on all but several processes on the machine's processors."""
    return ranks(device) == 1 or not is_on_host(device)


def _rate(row: dict[str, Any]) -> float:
    return float(row["images_per_second"])
