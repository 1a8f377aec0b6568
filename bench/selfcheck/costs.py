"""Time and memory that a case takes in addition to its warm-up and window."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.cases.device_kinds import HOST
from bench.cases.plan import PlannedRun, expand_grid, profile
from bench.machine.fingerprint import devices
from bench.records import store
from bench.records.record import Record
from bench.runner.estimate import Estimator
from bench.runner.jobs import case_job
from bench.runner.launchers.local import Launcher, SpawnLauncher, scratch_folder
from bench.runner.measure import SETUP_LIMIT, find_data
from bench.runner.run import Run
from bench.selfcheck.accuracy import plan
from bench.selfcheck.check import Check, checked
from bench.worker.protocol import PhaseBegan

SPAWNED = 3
COLLECTED = 10_000

SMALL = ("yolov8n", 4, 160, True)
"""The training case of profile quick that stands for its cost; see :func:`~bench.selfcheck.accuracy.plan`."""


def fixed_cost(launcher: Launcher, cases: int) -> Iterator[Check]:
    """Measure the time from the request for a training case to its first step, where the case is ended."""
    planned = plan(*SMALL)
    data = find_data(launcher, planned)
    first_steps(launcher, planned, data, 1)  # makes the label cache of this data set, once
    forked = first_steps(launcher, planned, data, cases)
    started = first_steps(SpawnLauncher(launcher.interpreter), planned, data, SPAWNED)
    spread = f"{min(forked):.2f} to {max(forked):.2f} s"
    yield Check(
        "Fixed cost of a training case",
        f"{statistics.median(forked):.2f} s",
        "<= 0.5 s",
        f"median of {cases} ({spread}), request to first step, {planned.case.id}, preloaded parent",
    )
    ratio = statistics.median(started) / statistics.median(forked)
    yield Check(
        "The same in a fresh Python",
        f"{statistics.median(started):.2f} s, {ratio:.1f} times as long",
        "",
        f"median of {SPAWNED}, measured in the same run",
    )


def first_steps(launcher: Launcher, planned: PlannedRun, data: dict[str, Any], cases: int) -> list[float]:
    """Return the seconds from request to first step of so many workers, which are ended there."""
    seconds = []
    for _ in range(cases):
        with scratch_folder() as scratch:
            worker = launcher.start(case_job(planned, data, scratch))
            try:
                while True:
                    event = checked(worker.next_event(SETUP_LIMIT))
                    if isinstance(event, PhaseBegan) and event.name == "warmup":
                        seconds.append(event.at - worker.requested)
                        break
            finally:
                worker.end(patience=0.0)
    return seconds


def smoke(launcher: Launcher) -> tuple[list[Record], list[Check]]:
    """Run the smoke profile: its records, and checks of its wall time and of the size of records."""
    planned = expand_grid(profile("smoke"), devices(), {})
    with tempfile.TemporaryDirectory(prefix="yolopace-") as folder:
        run = Run(planned, store.Store(Path(folder), "selfcheck"), launcher, Estimator())
        began = time.monotonic()
        records = [run.measure(plan) for plan in planned]
        wall = time.monotonic() - began
        sizes = [file.stat().st_size for file in store.files([Path(folder)])]
    measured = sum(timed_seconds(record) for record in records)
    return records, [
        Check(
            "Smoke profile, wall time over warm-up and windows",
            f"{wall / measured:.2f}" if measured else "nothing measured",
            "",
            f"{wall:.1f} s over {measured:.1f} s, {len(records)} cases, launcher warm",
        ),
        Check("Record of a case", f"{max(sizes):,} bytes", "<= 10,000", f"largest of {len(sizes)}"),
    ]


def one_case(launcher: Launcher) -> Iterator[Check]:
    """Measure a case of the quick profile: its wall time over warm-up and window, and the CPU time of the runner."""
    planned = plan(*SMALL)
    data = find_data(launcher, planned)
    with scratch_folder() as scratch:
        worker = launcher.start(case_job(planned, data, scratch))
        at: dict[str, tuple[float, float]] = {}
        try:
            while "ended" not in at:
                event = checked(worker.next_event(SETUP_LIMIT))
                name = event.name if isinstance(event, PhaseBegan) else event.event
                at[name] = event.at, time.process_time()
        finally:
            worker.end(patience=1.0)
        whole = time.monotonic() - worker.requested
    timed = at["measured"][0] - at["warmup"][0]
    window = at["measured"][0] - at["window"][0]
    awake = at["measured"][1] - at["window"][1]
    yield Check(
        "A case with one process, over its warm-up and windows",
        f"{whole / timed:.2f}",
        "<= 1.3",
        f"{whole:.1f} s over {timed:.1f} s, {planned.case.id}, profile quick",
    )
    yield Check(
        "Processor time of the runner while a worker measures",
        f"{awake / window * 100:.3f} % of one processor",
        "it sleeps",
        f"over {window:.1f} s",
    )


def timed_seconds(record: Record) -> float:
    """Return the seconds that a case spent in steps, warm-up included."""
    return sum(record.steps.seconds) if record.steps else 0.0


def collecting() -> Check:
    """Measure the wall time of pytest collecting ten thousand cases, interpreter start included."""
    batches = ",".join(str(n) for n in range(1, 101))
    sizes = ",".join(str(32 * n) for n in range(1, 51))
    root = Path(__file__).resolve().parents[2]  # the folder of bench/
    command = [sys.executable, "-m", "pytest", "bench", "--collect-only", "-q", f"--device={HOST}", "--amp=off"]
    command += ["--model=yolov8n", f"--batch={batches}", f"--imgsz={sizes}", "-p", "no:cacheprovider"]
    began = time.monotonic()
    done = subprocess.run(
        command, cwd=root, capture_output=True, encoding="utf-8", errors="replace", env=dict(os.environ), check=False
    )
    seconds = time.monotonic() - began
    collected = sum("::" in line for line in done.stdout.splitlines())
    return Check(
        f"Collecting {COLLECTED:,} cases", f"{seconds:.1f} s", "<= 3 s", f"{collected:,} cases, pytest --collect-only"
    )
