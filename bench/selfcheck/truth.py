"""Seconds per epoch of each workload against its plain loop: fresh processes of both that take turns."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from bench.cases.device_kinds import HOST
from bench.cases.plan import PlannedRun, expand_grid, profile
from bench.compare.lockstep import WorkerFailed
from bench.environments.interpreter import Interpreter
from bench.errors import UsageError
from bench.runner.launchers.local import Launcher, open_launcher
from bench.runner.measure import DatasetUnavailable
from bench.selfcheck.accuracy import PLAIN_WARMUP_STEPS, group
from bench.selfcheck.check import Check, mean_of
from bench.selfcheck.kept_pairs import KeptPairs
from bench.worker.protocol import Window
from bench.worker.workloads.base import family_of

GOAL = 0.02
"""Largest difference between the seconds per epoch of a case and of the plain loop."""

WARMUP_SECONDS = 2.0

STEADY_HEAP = "glibc.malloc.trim_threshold=1099511627776:glibc.malloc.mmap_max=0"
"""Value of ``GLIBC_TUNABLES`` by which processes keep memory that they freed.

By default glibc may return it to the system after every step, and get it back in the next one. Whether it does depends
on what happens to lie at the end of the heap, and so differs from process to process, plain loops included: 10 to
12,654 page faults per step were counted in processes of one case, and the latter took 36 % more processor time."""


class TruthCase(msgspec.Struct, frozen=True):
    """A training case on the CPU that has a plain loop to compare with.

    Attributes:
        model, batch, imgsz: of the case.
        steps: timed steps of each process, and batches of the data set: every window has each of its batches once, and
            one epoch boundary. A multiple of the accumulation steps.
        turn: steps of a turn, about a third of a second; a divisor of ``steps``.
        warmup_steps: minimum steps of the plain loop before the first timed one.
    """

    model: str
    batch: int
    imgsz: int
    steps: int = 48
    turn: int = 4
    warmup_steps: int = PLAIN_WARMUP_STEPS


CASES: dict[str, TruthCase] = {
    "ultralytics:yolov8n": TruthCase("yolov8n", 4, 160),
    "ultralytics:yolov8n-seg": TruthCase("yolov8n-seg", 4, 96),
    "ultralytics:yolov8n-pose": TruthCase("yolov8n-pose", 4, 96),
    "ultralytics:yolov8n-obb": TruthCase("yolov8n-obb", 4, 96),
    "ultralytics:yolov8n-cls": TruthCase("yolov8n-cls", 8, 96),
    "ultralytics:yolov8n-rtdetr": TruthCase("yolov8n-rtdetr", 4, 128, steps=16, turn=1),
    "torch:resnet18": TruthCase("resnet18", 16, 32),
    "torch:vit-tiny-4": TruthCase("vit-tiny-4", 2, 32),
    "torch:vit_b_16": TruthCase("vit_b_16", 1, 224, steps=8, turn=1, warmup_steps=3),
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
    interpreter: Interpreter,
    cases: dict[str, TruthCase],
    processes: int,
    say: Callable[[str], None],
    keep: Path | None = None,
) -> Iterator[Check]:
    """Compare each case with its plain loop, and sum up. A case that fails is reported, and the others go on.

    Args:
        interpreter: of the environment.
        cases: by name.
        processes: processes of each side; at least 2.
        say: receives lines of progress.
        keep: folder in which the result of every pair of processes is kept; those that it has are not measured again.

    Raises:
        UsageError: where ``keep`` cannot be used.
    """
    means = []
    with steady_heap(), contextlib.closing(open_launcher(interpreter)) as launcher:
        for name, case in cases.items():
            kept = KeptPairs(keep, name, case, interpreter.environment)
            if why := interpreter.why_lacking(case.model):
                yield Check(f"Seconds per epoch, {name}", why, "", "not measured")
                continue
            try:
                logs = measure(launcher, name, case, processes, kept, say)
            except (WorkerFailed, DatasetUnavailable) as error:
                yield Check(f"Seconds per epoch, {name}", str(error), "", "not measured")
                continue
            means.append(mean_of(logs))
            say(f"{name}: case over plain loop {means[-1]}")
            yield Check(
                f"Seconds per epoch, case over plain loop, ln ratio, {name}",
                str(means[-1]),
                f"within ± {GOAL * 100:g} %",
                f"{processes} processes each, interleaved, {case.steps} steps each, {plan(case).case.id}",
            )
    if means:
        yield summary([mean.mean for mean in means])


def measure(
    launcher: Launcher, name: str, case: TruthCase, processes: int, kept: KeptPairs, say: Callable[[str], None]
) -> list[float]:
    """Return ``ln(case / plain loop)`` of so many pairs of processes; measure those that are not kept.

    Raises:
        WorkerFailed, DatasetUnavailable: where a process or the data set fails.
    """
    window = Window(WARMUP_SECONDS, window_steps=case.steps, window_seconds=0.0)
    missing = [number for number in range(processes) if number not in kept.logs]
    if missing:
        say(f"importing the libraries of {family_of(case.model).name} ...")
        launcher.wait(family_of(case.model).name)
    for number in missing:
        say(f"{name} against its plain loop, pair {number + 1} of {processes} ...")
        measured = group(
            launcher,
            plan(case),
            window,
            1,
            seed=number,
            steps=case.steps,
            turn=case.turn,
            warmup_steps=case.warmup_steps,
        )
        kept.add(number, measured.log)
    return [kept.logs[number] for number in range(processes)]


@contextlib.contextmanager
def steady_heap() -> Iterator[None]:
    """Let processes that are started keep memory that they freed (:data:`STEADY_HEAP`); without glibc, do nothing."""
    before = os.environ.get("GLIBC_TUNABLES")
    os.environ["GLIBC_TUNABLES"] = STEADY_HEAP
    try:
        yield
    finally:
        if before is None:
            del os.environ["GLIBC_TUNABLES"]
        else:
            os.environ["GLIBC_TUNABLES"] = before


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
    """Return the training case on the CPU, with its recipe; its data set is as long as its window."""
    values: dict[str, list[Any]] = {"mode": ["train"], "model": [case.model], "amp": ["off"]}
    values |= {"batch": [case.batch], "imgsz": [case.imgsz]}
    [planned] = expand_grid(profile("quick"), [HOST], values)
    return msgspec.structs.replace(planned, recipe=msgspec.structs.replace(planned.recipe, data_steps=case.steps))
