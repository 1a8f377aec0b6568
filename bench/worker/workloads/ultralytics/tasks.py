"""Ultralytics' tasks: what differs between them is an entry of this table, behind one trainer and one predictor class.

An entry is enough for a new task where its data maker and its absent settings are named; see ``docs/extending.md``.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Task:
    """A task of Ultralytics.

    Attributes:
        name: as Ultralytics' argument ``task`` has it.
        trainer: module and class of its trainer.
        predictor: module and class of its predictor.
        model: module and class of its network.
        heads: names of the last layers of its models.
        maker: module here that makes its data set (``provide``) and lists the images of any (``training_images``).
        inspector: module here that looks at a user's own data set (``inspect``).
        absent: settings that its trainer does not have, and that are read back as None.
    """

    name: str
    trainer: tuple[str, str]
    predictor: tuple[str, str]
    model: tuple[str, str]
    heads: tuple[str, ...]
    maker: str = "made_data"
    inspector: str = "user_data"
    absent: frozenset[str] = frozenset()


TASKS = {
    task.name: task
    for task in (
        Task(
            "detect",
            trainer=("ultralytics.models.yolo.detect", "DetectionTrainer"),
            predictor=("ultralytics.models.yolo.detect", "DetectionPredictor"),
            model=("ultralytics.nn.tasks", "DetectionModel"),
            heads=("Detect", "v10Detect"),
        ),
    )
}

DETECT = TASKS["detect"]


def task_of(head: str) -> Task | None:
    """Return the task whose models end with a layer; None where none of the table does."""
    return next((task for task in TASKS.values() if head in task.heads), None)


def load(place: tuple[str, str]) -> Any:
    """Return a class of Ultralytics; the first import takes seconds."""
    module, name = place
    return getattr(importlib.import_module(module), name)
