"""Units of a record's workload: what its batches consist of, what its sizes count, and how long an epoch is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from bench.records.record import Record

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


def in_units(text: str, row: Mapping[str, Any]) -> str:
    """Return a text about images and pixels in the units of a row of the table."""
    if row.get("unit", IMAGE) == IMAGE and row.get("size_unit", PIXELS) == PIXELS:
        return text
    return text.replace("images", f"{row['unit']}s").replace(f" {PIXELS}", f" {row['size_unit']}")
