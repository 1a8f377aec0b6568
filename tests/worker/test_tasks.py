"""Processes that a worker started: they can start, and none is left when the runner ends."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from bench.worker import tasks
from bench.worker.distributed.process_group import SingleProcess
from bench.worker.protocol import CaseJob, Window
from bench.worker.rejection import CaseRejected

ROOT = Path(__file__).resolve().parents[2]

LOADER = """
import multiprocessing, sys, time
from bench.worker import tasks

tasks.die_with_runner(sys.stdin.fileno())
time.sleep(0.2)
loader = multiprocessing.get_context("fork").Process(target=time.sleep, args=(float(sys.argv[1]),))
loader.start()
print(loader.pid, flush=True)
loader.join({limit})
print(loader.exitcode, flush=True)
"""
"""A spawned worker that forks a data loader process while its thread waits for the runner to end."""


@pytest.mark.parametrize(
    ("amp", "takes"),
    [("half", "takes off, on, bf16, forced-bf16, forced-fp16, int8."), ("", "takes off, on, bf16, forced-")],
)
def test_a_precision_that_a_workload_does_not_take_is_unsupported(amp: str, takes: str) -> None:
    case = {"mode": "train", "model": "yolov8n", "device": "cpu", "amp": amp, "batch": 4, "imgsz": 64}
    job = CaseJob("ultralytics", case, {}, 1, Window(0.0, 1, 0.0), "", "")
    with pytest.raises(CaseRejected) as caught:
        tasks.measure(job, None, None, SingleProcess())  # type: ignore[arg-type]
    assert (caught.value.status, caught.value.scope) == ("unsupported", ("model", "amp"))
    assert caught.value.reason.startswith(f"amp {amp} requested: the workload ultralytics {takes}")


@pytest.fixture
def start_worker():
    started: list[subprocess.Popen[str]] = []

    def start(seconds: float, limit: float) -> subprocess.Popen[str]:
        worker = subprocess.Popen(
            [sys.executable, "-c", LOADER.format(limit=limit), str(seconds)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(worker)
        return worker

    yield start
    for worker in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(worker.pid, signal.SIGKILL)
        worker.stdout.close()
        worker.wait()


def test_a_data_loader_process_of_a_spawned_worker_starts_and_ends(start_worker) -> None:
    """It closes its standard input first, whose lock must not be held by a thread that it does not have."""
    worker = start_worker(seconds=0.1, limit=20)
    loader, exit_code = worker.stdout.readline(), worker.stdout.readline()
    assert int(loader) > 0 and exit_code.strip() == "0"


def test_data_loader_processes_end_with_the_runner(start_worker) -> None:
    worker = start_worker(seconds=60, limit=60)
    loader = psutil.Process(int(worker.stdout.readline()))
    worker.stdin.close()
    worker.wait(20)
    deadline = time.monotonic() + 20
    while loader.is_running() and loader.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not loader.is_running() or loader.status() == psutil.STATUS_ZOMBIE
