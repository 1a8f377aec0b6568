"""Seconds per epoch of each workload against its plain loop: fresh processes of both that take turns."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from bench.cases.device_kinds import HOST
from bench.cases.plan import PlannedRun, expand_grid, profile
from bench.environments.interpreter import Interpreter
from bench.errors import UsageError
from bench.runner.launchers.local import open_launcher
from bench.selfcheck.accuracy import EPOCH, WARMUP_SECONDS, group
from bench.selfcheck.check import Check, mean_of
from bench.worker.protocol import Window
from bench.worker.workloads.base import family_of

GOAL = 0.02
"""Largest difference between the seconds per epoch of a case and of the plain loop."""


class TruthCase(msgspec.Struct, frozen=True):
    """A training case on the CPU that has a plain loop to compare with.

    Attributes:
        model, batch, imgsz: of the case.
        steps: timed steps of each process; even.
    """

    model: str
    batch: int
    imgsz: int
    steps: int = EPOCH


CASES: dict[str, TruthCase] = {
    "ultralytics:yolov8n": TruthCase("yolov8n", 4, 160),
    "ultralytics:yolov8n-seg": TruthCase("yolov8n-seg", 4, 96),
    "ultralytics:yolov8n-pose": TruthCase("yolov8n-pose", 4, 96),
    "ultralytics:yolov8n-obb": TruthCase("yolov8n-obb", 4, 96),
    "ultralytics:yolov8n-cls": TruthCase("yolov8n-cls", 8, 96),
    "ultralytics:yolov8n-rtdetr": TruthCase("yolov8n-rtdetr", 2, 128, steps=32),
    "torch:resnet18": TruthCase("resnet18", 16, 32),
    "torch:vit-tiny-4": TruthCase("vit-tiny-4", 2, 32),
    "torch:vit_b_16": TruthCase("vit_b_16", 1, 224, steps=16),
    "torch:lstm256": TruthCase("lstm256", 128, 28),
    "transformers:bert-tiny": TruthCase("bert-tiny", 8, 128),
}
"""One case for each workload; batches are small, so that a step takes a fraction of a second."""


def chosen(text: str) -> dict[str, TruthCase]:
    """Return the cases that a user names, or all; raise :class:`UsageError` for an unknown name."""
    names = [name.strip() for name in text.split(",") if name.strip()] or list(CASES)
    for name in names:
        if name not in CASES:
            raise UsageError(f"workload {name!r} is unknown: use {', '.join(CASES)}.")
    return {name: CASES[name] for name in names}


def checks(
    interpreter: Interpreter, cases: dict[str, TruthCase], processes: int, say: Callable[[str], None]
) -> Iterator[Check]:
    """Compare each case with its plain loop, and sum up.

    Args:
        interpreter: of the environment.
        cases: by name.
        processes: processes of each side; at least 2.
        say: receives lines of progress.
    """
    means = []
    with contextlib.closing(open_launcher(interpreter)) as launcher:
        for name, case in cases.items():
            planned = plan(case)
            if why := interpreter.why_lacking(case.model):
                yield Check(f"Seconds per epoch, {name}", why, "", "not measured")
                continue
            say(f"importing the libraries of {family_of(case.model).name} ...")
            launcher.wait(family_of(case.model).name)
            window = Window(WARMUP_SECONDS, window_steps=case.steps, window_seconds=0.0)
            logs = []
            for number in range(processes):
                say(f"{name} against its plain loop, pair {number + 1} of {processes} ...")
                logs.append(group(launcher, planned, window, 1, seed=number, steps=case.steps).log)
            means.append(mean_of(logs))
            yield Check(
                f"Seconds per epoch, case over plain loop, ln ratio, {name}",
                str(means[-1]),
                f"within ± {GOAL * 100:g} %",
                f"{processes} processes each, interleaved, {case.steps} steps each, {planned.case.id}",
            )
    if means:
        yield summary([mean.mean for mean in means])


def summary(logs: Sequence[float]) -> Check:
    """Return how many workloads are within the goal."""
    within = sum(abs(log) <= GOAL for log in logs)
    return Check(
        "Workloads within the goal",
        f"{within} of {len(logs)}, worst {max(map(abs, logs)) * 100:.2f} %",
        f"all within ± {GOAL * 100:g} %",
        "by their means",
    )


def plan(case: TruthCase) -> PlannedRun:
    """Return the training case on the CPU, with its recipe."""
    values: dict[str, list[Any]] = {"mode": ["train"], "model": [case.model], "amp": ["off"]}
    values |= {"batch": [case.batch], "imgsz": [case.imgsz]}
    [planned] = expand_grid(profile("quick"), [HOST], values)
    return planned
