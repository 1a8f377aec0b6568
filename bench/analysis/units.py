"""Units of a record's workload: what its batches consist of, what its sizes count, and how long an epoch is."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import msgspec

from bench.analysis.throughput import COCO_TRAIN_IMAGES
from bench.cases import Case
from bench.records.record import Record
from bench.worker.workloads.base import family_of, own_name

IMAGE, PIXELS = "image", "px"

LARGEST_EPOCH = 2**53
"""Largest plausible number of items of an epoch in a record."""


class Units(msgspec.Struct, frozen=True):
    """Units of a workload; the defaults are those of Ultralytics, whose records do not mention them.

    Attributes:
        name: of the workload's family.
        unit: what a batch consists of, in the singular.
        size_unit: what an image size counts.
        epoch_items: items of an epoch; 0 for that of COCO.
    """

    name: str = "ultralytics"
    unit: str = IMAGE
    size_unit: str = PIXELS
    epoch_items: int = 0


def units_of(record: Record) -> Units:
    """Return the units of a record; records come from anywhere, so that odd ones count as those of Ultralytics."""
    try:
        units = msgspec.convert(record.extra.get("workload", {}), Units)
    except msgspec.ValidationError:
        return Units()
    return units if 0 <= units.epoch_items < LARGEST_EPOCH else Units()


def units_of_case(case: Case) -> Units:
    """Return the units of a case that has no record yet."""
    family = family_of(case.model)
    units = Units(name=family.name, **family.units(own_name(case.model), case.imgsz))
    return Units() if units.epoch_items == COCO_TRAIN_IMAGES and units.name == Units().name else units


def size_text(case: Case) -> str:
    """Format the size of a case with what it counts: ``640 px``, ``128 tokens``."""
    return f"{case.imgsz} {units_of_case(case).size_unit}"


def size_texts(cases: Iterable[Case]) -> str:
    """List the sizes of some cases, each unit once: ``640, 320 px, 128 tokens``."""
    sizes: dict[str, dict[int, None]] = {}
    for case in cases:
        sizes.setdefault(units_of_case(case).size_unit, {})[case.imgsz] = None
    return ", ".join(f"{', '.join(map(str, values))} {unit}" for unit, values in sizes.items())


def shared_unit(units: Collection[Units]) -> str:
    """Return what batches of several workloads consist of, in the singular: ``item`` where they differ."""
    names = {entry.unit for entry in units}
    return names.pop() if len(names) == 1 else "item" if names else IMAGE


def in_units(text: str, row: Mapping[str, Any]) -> str:
    """Return a text about images and pixels in the units of a row of the table."""
    if row.get("unit", IMAGE) == IMAGE and row.get("size_unit", PIXELS) == PIXELS:
        return text
    return text.replace(IMAGE, str(row["unit"])).replace(f" {PIXELS}", f" {row['size_unit']}")
