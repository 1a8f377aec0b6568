"""The time of the user's own training: images times epochs, at the speed of the reference case."""

from __future__ import annotations

from typing import Any

import msgspec

from bench.analysis.reference import ReferenceCase
from bench.analysis.throughput import COCO_TRAIN_IMAGES
from bench.analysis.units import IMAGE, Units
from bench.formatting import format_number, format_percent, format_rough_duration
from bench.records.record import Record
from bench.report import labels
from bench.report.headline import names
from bench.worker.workloads.base import is_made

IMAGES = (1_000, 5_000, 20_000, COCO_TRAIN_IMAGES)
EPOCHS = (1, 100, 300)
"""Sizes of data sets and numbers of epochs of the table, where the user names none."""

COCO_VALIDATION_SHARE = 5_000 / COCO_TRAIN_IMAGES
"""Validation images per training image in COCO 2017."""


class TrainingTime(msgspec.Struct, frozen=True):
    """How long a training takes.

    Attributes:
        case: whose speed it is.
        columns: ``Images``, then one heading per number of epochs.
        rows: number of images, then one time per column.
        note: what the times include.
        total: the time alone, where the user named images and epochs; else empty.
    """

    case: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str
    total: str = ""


def training_time(reference: ReferenceCase, record: Record, epoch_images: int, epochs: int) -> TrainingTime | None:
    """Return how long a training takes at the speed of a reference case; None for another workload than Ultralytics.

    Args:
        reference: the reference case of training.
        record: of that case.
        epoch_images: images per epoch that the user named; COCO's stands for none.
        epochs: epochs that the user named; 0 for none.
    """
    row = reference.row
    if row["unit"] != IMAGE or row["workload"] != Units().name or row["mode"] != "train":
        return None
    named = epoch_images != COCO_TRAIN_IMAGES
    own = not is_made(record.recipe.data) and record.data is not None
    images = [epoch_images] if named else sorted({*IMAGES, *([record.data.images] if own and record.data else [])})
    counts = [epochs] if epochs else EPOCHS
    per_epoch, note = _extra_seconds(row, record)
    rate = float(row["images_per_second"])

    def time(number: int, times: int) -> str:
        return f"≈ {_rough(times * (number / rate + per_epoch(number)))}"

    return TrainingTime(
        case=f"{row['model']} at {names.size(row)}, batch {row['batch']}, on {labels.device(row['device'])}",
        columns=("Images", *(labels.count(count, "epoch") for count in counts)),
        rows=tuple((_images(number), *(time(number, count) for count in counts)) for number in images),
        note=note,
        total=time(epoch_images, epochs) if named and epochs else "",
    )


def _rough(seconds: float) -> str:
    """Format an estimated duration, from two days on in days: ``5.4 days``."""
    days = seconds / 86_400
    return format_rough_duration(seconds) if days < 2 else f"{format_number(days, 2)} days"


def _images(number: int) -> str:
    return f"{number:,}" + (" (COCO)" if number == COCO_TRAIN_IMAGES else "")


def _extra_seconds(row: dict[str, Any], record: Record) -> tuple[Any, str]:
    """Return the seconds of an epoch beyond its steps, by the number of images, and a sentence on them."""
    seconds, validated = row["validation_seconds"], row["validation_images"]
    fixed = sum(float(row[key]) for key in ("epoch_gap_seconds", "checkpoint_seconds") if labels.there(row[key]))
    if not (labels.there(seconds) and labels.there(validated) and validated):
        return lambda images: fixed, "Without validation, which was not measured: --with-val measures it."
    own = not is_made(record.recipe.data) and record.data is not None and record.data.images > 0
    share = int(validated) / record.data.images if own and record.data else COCO_VALIDATION_SHARE
    per_image = float(seconds) / int(validated)
    source = "as in your dataset" if own else "the share that COCO has"
    note = f"With one validation per epoch, on {format_percent(share)} as many images, {source}."
    return lambda images: fixed + per_image * share * images, note
