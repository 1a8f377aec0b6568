"""Table of Ultralytics' tasks, which share one trainer class and one predictor class.

A new task is a new entry, with a module that makes its data.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Task:
    """A task of Ultralytics.

    Attributes:
        name: value of Ultralytics' argument ``task``.
        trainer: module and class of its trainer.
        predictor: module and class of its predictor.
        model: module and class of its network.
        heads: names of the last layers of its models.
        data: names of the data sets that are made for it, the one with the most memory last.
        maker: module in this folder whose ``provide`` makes them.
        may_be_zero: loss items that stay 0 in training that works.
        zero_means: cause of a loss that stays 0.
    """

    name: str
    trainer: tuple[str, str]
    predictor: tuple[str, str]
    model: tuple[str, str]
    heads: tuple[str, ...]
    data: tuple[str, str]
    maker: str
    may_be_zero: frozenset[str] = frozenset()
    zero_means: str = "the labels have no boxes"


TASKS = {
    task.name: task
    for task in (
        Task(
            "detect",
            trainer=("ultralytics.models.yolo.detect", "DetectionTrainer"),
            predictor=("ultralytics.models.yolo.detect", "DetectionPredictor"),
            model=("ultralytics.nn.tasks", "DetectionModel"),
            heads=("Detect", "v10Detect"),
            data=("coco-like", "coco-like-dense"),
            maker="made_data",
        ),
    )
}

DETECT = TASKS["detect"]


def task_of(head: str) -> Task | None:
    """Return the task whose models end with a layer; None for a layer that is not in the table."""
    return next((task for task in TASKS.values() if head in task.heads), None)


def task_of_data(name: str) -> Task:
    """Return the task for which a data set is made."""
    return next(task for task in TASKS.values() if name in task.data)


def load(place: tuple[str, str]) -> Any:
    """Return a class of Ultralytics; the first import takes seconds."""
    module, name = place
    return getattr(importlib.import_module(module), name)
