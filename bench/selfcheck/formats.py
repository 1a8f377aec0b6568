"""The time of the forward pass of each format against a loop of its runtime alone, which take turns in one process."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import statistics
from collections.abc import Callable, Iterator
from typing import Any

from bench.cases.device_kinds import HOST
from bench.cases.plan import PlannedRun, expand_grid, profile
from bench.environments.interpreter import Interpreter
from bench.records.outcome import Status
from bench.runner.jobs import case_job
from bench.runner.launchers.local import Launcher, open_launcher, scratch_folder
from bench.runner.measure import DatasetUnavailable, find_data, run_job
from bench.selfcheck.check import Check, mean_of
from bench.selfcheck.truth import steady_heap
from bench.worker.protocol import Window

FORMATS = ("pt", "torchscript", "onnx", "openvino")
BATCHES = (1, 8)
IMGSZ = 160
GOAL = 0.03
"""Largest difference between the forward pass of a case and the loop."""

WINDOW = Window(warmup_seconds=2.0, window_steps=60, window_seconds=3.0)
LIMIT = 600.0


def plan(name: str, batch: int) -> PlannedRun:
    """Return the prediction case of a format and a batch on the CPU."""
    values: dict[str, list[Any]] = {"mode": ["predict"], "model": ["yolov8n"], "amp": ["off"], "format": [name]}
    [planned] = expand_grid(profile("quick"), [HOST], {**values, "batch": [batch], "imgsz": [IMGSZ]})
    return planned


def checks(interpreter: Interpreter, processes: int, say: Callable[[str], None]) -> Iterator[Check]:
    """Compare each format at each batch with its bare loop, and sum up.

    Args:
        interpreter: of the environment.
        processes: of each cell; at least 2.
        say: receives lines of progress.
    """
    means = []
    with steady_heap(), contextlib.closing(open_launcher(interpreter)) as launcher:
        launcher.wait()
        for name in FORMATS:
            for batch in BATCHES:
                planned = plan(name, batch)
                title = f"Forward pass over bare loop, ln ratio, {name}, batch {batch}"
                try:
                    logs = []
                    for number in range(processes):
                        say(f"{name}, batch {batch}, process {number + 1} of {processes} ...")
                        logs.append(measure(launcher, planned))
                except DatasetUnavailable as error:
                    yield Check(title, error.outcome.reason, "", "not measured")
                    continue
                means.append(mean_of(logs).mean)
                yield Check(
                    title,
                    str(mean_of(logs)),
                    f"within ± {GOAL * 100:g} %",
                    f"{processes} processes, a call of the predictor and one of the loop in turn, {planned.case.id}",
                )
    if means:
        yield Check(
            "Cells within the goal",
            f"{sum(abs(mean) <= GOAL for mean in means)} of {len(means)}, worst {max(map(abs, means)) * 100:.2f} %",
            f"all within ± {GOAL * 100:g} %",
            "by their means",
        )


def measure(launcher: Launcher, planned: PlannedRun) -> float:
    """Return ``ln(forward / bare)`` of one process: the median over the calls of its window, each with the next loop.

    Raises:
        DatasetUnavailable: where the case cannot be measured.
    """
    data = find_data(launcher, planned)
    with scratch_folder() as scratch:
        job = dataclasses.replace(case_job(planned, data, scratch), window=WINDOW, bare=True, retry_noisy=False)
        result = run_job(launcher, job, LIMIT)
    if result.outcome.status is not Status.MEASURED:
        raise DatasetUnavailable(result.outcome, result.worker_output)
    forward = result.measured["phases"]["seconds"]["forward"]
    bare = result.measured["extra"]["bare_seconds"][-len(forward) :]
    return statistics.median(math.log(call / loop) for call, loop in zip(forward, bare, strict=True))
