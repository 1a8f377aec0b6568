"""The table: a pandas frame with one row a record. Everything that is shown is derived from it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from bench import cases
from bench.analysis.throughput import COCO_TRAIN_IMAGES, images_per_second, seconds_per_epoch
from bench.cases import Recipe
from bench.records.record import Memory, Record

AXES = tuple(cases.AXES)
"""Names of the axes, which are columns."""

COLUMNS = (
    "run",
    *AXES,
    "status",
    "reason",
    "images_per_second",
    "images_per_second_low",
    "images_per_second_high",
    "interval",
    "seconds_per_epoch",
    "seconds_per_epoch_low",
    "seconds_per_epoch_high",
    "epoch_images",
    "step_seconds",
    "data_wait_share",
    "forward_images_per_second",
    "peak_memory_bytes",
    "peak_memory_how",
    "steps",
    "threads",
    "torch",
    "ultralytics",
    "python",
    "machine",
    "machine_title",
    "data",
    "recipe",
    "setup",
    "started",
    "id",
)
"""Columns of :func:`frame`, in order. What was not seen is missing (None or NaN), never 0."""

NUMBERS = (
    "images_per_second",
    "images_per_second_low",
    "images_per_second_high",
    "seconds_per_epoch",
    "seconds_per_epoch_low",
    "seconds_per_epoch_high",
    "step_seconds",
    "data_wait_share",
    "forward_images_per_second",
)
WHOLE = ("batch", "imgsz", "epoch_images", "peak_memory_bytes", "steps", "threads")

SAME = ("machine", "torch", "ultralytics", "setup")
"""Columns on which two rows have to agree before one stands for the other, or is divided by it."""

MEMORY_ORDER = ("allocated", "process")
"""Which figure stands for a case's peak memory: the allocator's where there is one, else the process's."""


def peak_memory(figures: dict[str, Memory]) -> Memory | None:
    """The figure that stands for a case's peak memory."""
    for name in MEMORY_ORDER:
        if name in figures and figures[name].bytes is not None:
            return figures[name]
    return None


def setup(recipe: Recipe) -> str:
    """What a recipe says that is the same on every device: data, window, threads."""
    window = f"windows of {recipe.window_steps} steps and {recipe.window_seconds:g} s"
    seed = f" (seed {recipe.data_seed})" if recipe.data_seed else ""
    threads = f", {recipe.threads} CPU threads" if recipe.threads else ""
    return f"{Path(recipe.data).name}{seed}, {window}{threads}"


def row(record: Record, epoch_images: int) -> dict[str, Any]:
    """One record's row."""
    case = record.case
    memory = peak_memory(record.memory)
    cells: dict[str, Any] = {
        "run": record.run,
        **{axis: getattr(case, axis) for axis in AXES},
        "model": case.model_name,
        "status": record.outcome.status.value,
        "reason": record.outcome.reason,
        "epoch_images": epoch_images,
        "threads": record.effective.get("threads"),
        "torch": record.environment.torch,
        "ultralytics": record.environment.ultralytics,
        "python": record.environment.python,
        "machine": record.machine.fingerprint,
        "machine_title": record.machine.title,
        "data": f"{record.data.name} {record.data.fingerprint}" if record.data else None,
        "recipe": record.recipe.fingerprint,
        "setup": setup(record.recipe),
        "started": record.started,
        "id": record.id,
    }
    if record.outcome.status.value == "measured" and record.steps is not None:
        steps = record.steps
        rate = images_per_second(steps)
        epoch = seconds_per_epoch(rate, epoch_images)
        forward = record.phases.get("forward")
        window = sum(steps.window)
        cells |= {
            "images_per_second": rate.point,
            "images_per_second_low": rate.low,
            "images_per_second_high": rate.high,
            "interval": "within one process" if rate.low is not None else None,
            "seconds_per_epoch": epoch.point,
            "seconds_per_epoch_low": epoch.low,
            "seconds_per_epoch_high": epoch.high,
            "step_seconds": window / len(steps.window),
            "data_wait_share": sum(steps.data_wait[steps.warmup :]) / window if case.mode == "train" else None,
            "forward_images_per_second": (
                steps.window_images / len(steps.window) * len(forward.seconds) / sum(forward.seconds)
                if forward and sum(forward.seconds)
                else None
            ),
            "steps": len(steps.window),
            "peak_memory_bytes": memory.bytes if memory else None,
            "peak_memory_how": memory.how if memory else None,
        }
    return cells


def frame(records: Iterable[Record], epoch_images: int = COCO_TRAIN_IMAGES) -> pd.DataFrame:
    """All records as a frame with the columns :data:`COLUMNS`.

    Args:
        records: in the order in which their rows shall stand.
        epoch_images: images of the epoch that ``seconds_per_epoch`` projects to.
    """
    table = pd.DataFrame([row(record, epoch_images) for record in records], columns=list(COLUMNS))
    table[list(NUMBERS)] = table[list(NUMBERS)].astype("float64")
    table[list(WHOLE)] = table[list(WHOLE)].astype("Int64")
    return table


def latest(table: pd.DataFrame) -> pd.DataFrame:
    """One row of every case in every setting (:data:`SAME`), for plots and pivots.

    The newest that was measured, else the newest.
    """
    keys = [*SAME, *AXES]
    order = table.assign(measured=table["status"] == "measured").sort_values(["measured", "started"], kind="stable")
    return table.loc[order.groupby(keys, sort=False, dropna=False).tail(1).index].sort_index()
