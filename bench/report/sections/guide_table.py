"""The section on a guide's table of ResNet18, ViT and LSTM by device, next to what was measured here; ratios only."""

from __future__ import annotations

import math
from typing import Any

from bench.analysis.intervals import log_half_width
from bench.analysis.metrics import RATIO
from bench.cases.axes import NOT_ASKED
from bench.cases.case import FIXED
from bench.cases.device_kinds import device_kind
from bench.claims.guide_table import HARDWARE, MODELS, Side, by_device, by_model
from bench.errors import UsageError
from bench.report import labels
from bench.report.inputs import MachineInputs
from bench.report.sections.section import Section, Table

COLUMNS = ("Time per epoch", "On", "The guide", "Measured here", "Interval")

NOTE = (
    "The guide's seconds per epoch are of an M1 Pro, an RTX 3060 and a Core i9. It names neither model variant, data "
    "nor batch, so only ratios stand next to each other. Here ResNet18 is torchvision's at 32 px, ViT has 12 layers of "
    "width 192 with patches of 4 px, and LSTM has 256 units; amp is off, and the batch is 128."
)

BATCH = 128


def build(machine: MachineInputs) -> Table | None:
    """Return the table; None where no reference model of the guide was trained."""
    cases = measured(machine)
    if not cases:
        return None
    kinds = dict.fromkeys(side.kind for side in cases)
    pairs = [*by_device(), *(pair for kind in kinds for pair in by_model(kind))]
    return Table(COLUMNS, [_row(over, under, cases) for over, under in pairs], NOTE, labels=2)


def measured(machine: MachineInputs) -> dict[Side, dict[str, Any]]:
    """Return the row of each of the guide's models on each kind of device, on the fastest device of the kind."""
    names = {model: name for name, model in MODELS.items()}
    cases: dict[Side, dict[str, Any]] = {}
    for row in labels.rows(machine.table):
        name = names.get((row["model"], row["imgsz"]))
        known = row["workload"] == "torch" and (row["mode"], row["amp"], row["batch"]) == ("train", "off", BATCH)
        if name is None or not known or not labels.there(row["images_per_second"]) or _is_varied(machine, row):
            continue
        try:
            side = Side(name, device_kind(row["device"]))
        except UsageError:  # a record may have a device that is unknown here
            continue
        if side not in cases or row["images_per_second"] > cases[side]["images_per_second"]:
            cases[side] = row
    return cases


def _is_varied(machine: MachineInputs, row: dict[str, Any]) -> bool:
    """Whether a row has a value on a further axis."""
    return any(row[axis] != NOT_ASKED for axis in labels.case_axes(machine.table) if axis not in FIXED)


def _row(over: Side, under: Side, cases: dict[Side, dict[str, Any]]) -> tuple[str, ...]:
    devices = dict.fromkeys((over.kind, under.kind))
    what = f"{over.model} over {under.model}" if over.model != under.model else over.model
    where = " over ".join(f"{kind} ({HARDWARE[kind]})" for kind in devices)
    guide = RATIO.show(over.seconds / under.seconds)
    if over not in cases or under not in cases:
        return what, where, guide, labels.NONE, labels.NONE
    seconds = cases[over]["seconds_per_epoch"] / cases[under]["seconds_per_epoch"]
    halves = [
        log_half_width(*(cases[side][f"seconds_per_epoch{end}"] for end in ("_low", "_high"))) for side in (over, under)
    ]
    half = math.hypot(*halves) if all(map(labels.there, halves)) else math.nan
    ends = labels.ends(RATIO, seconds * math.exp(-half), seconds * math.exp(half))
    return what, where, guide, RATIO.show(seconds), ends or labels.NONE


SECTION = Section("guide_table", "A guide's times of ResNet18, ViT and LSTM", build, question="claims")
