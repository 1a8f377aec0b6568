"""Stops of the process in a window: which gaps count, and real ones of a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from bench.worker.monitors import pauses
from bench.worker.monitors.pauses import LEAST, Gap, Watch, stopped, suspended

ROOT = Path(__file__).resolve().parents[3]


def gap(seconds: float, waited: float = 0.0, switches: int = 1, faults: int = 0) -> Gap:
    return Gap(seconds, waited, switches, faults)


@pytest.mark.parametrize(
    ("measured_gap", "seconds"),
    [
        (gap(2.0), 2.0),
        (gap(LEAST * 0.9), 0.0),  # threads wake late
        (gap(2.0, waited=1.5), 0.5),  # it stood ready without a processor
        (gap(2.0, waited=1.95), 0.0),
        (gap(2.0, switches=400), 0.0),  # it asked for Python's lock every 5 ms
        (gap(2.0, switches=30), 2.0),  # it was stopped, and asked for the lock for a moment before
        (gap(0.5, faults=1), 0.0),  # a page was read in
        (gap(2.0, faults=3), 2.0),  # after a stop, pages are
        (gap(-0.2), 0.0),
    ],
)
def test_which_gaps_are_stops(measured_gap: Gap, seconds: float) -> None:
    assert stopped(measured_gap) == pytest.approx(seconds)


@pytest.mark.parametrize(("signals", "seconds"), [(1, 1.0), (0, 0.0)])
def test_without_thread_counters_it_takes_a_signal(
    monkeypatch: pytest.MonkeyPatch, signals: int, seconds: float
) -> None:
    """The gap is seen first, and the signal heard when the main thread has time for it."""
    monkeypatch.setattr(pauses, "HAS_THREAD_USAGE", False)
    gaps = iter([1.0])
    monkeypatch.setattr(pauses, "stopped", lambda gap: next(gaps, 0.0))
    watch = Watch()
    before = signal.getsignal(signal.SIGCONT)
    try:
        watch.hear_continue()
        watch.begin()
        time.sleep(2 * pauses.PERIOD)
        for _ in range(signals):
            os.kill(os.getpid(), signal.SIGCONT)
        ended = watch.end()
    finally:
        signal.signal(signal.SIGCONT, before)
    assert ended is not None
    assert ended[0] == seconds


STOPPED = """
import json, os, select, signal, sys, time
from bench.worker.monitors import pauses as watch
watch.HAS_THREAD_USAGE = watch.HAS_THREAD_USAGE and sys.argv[1] == "linux"
seen = watch.Watch()
seen.hear_continue()
seen.begin()
began = time.perf_counter()
print(os.getpid(), flush=True)
while not select.select([sys.stdin], [], [], 0)[0]:
    pass
print(json.dumps([*seen.end(), time.perf_counter() - began]), flush=True)
"""


@pytest.mark.parametrize("how", ["linux", "signal"])
def test_a_process_that_is_stopped_knows_it(how: str) -> None:
    if how == "linux" and not pauses.HAS_THREAD_USAGE:
        pytest.skip("this system reports no usage of a single thread")
    command = [sys.executable, "-c", STOPPED, how]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.3)
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(0.9)
        os.kill(process.pid, signal.SIGCONT)
        time.sleep(0.3)
        output, _ = process.communicate("\n")
        seconds, slept, lasted = json.loads(output)
    assert 0.5 < seconds < lasted
    assert slept < 1


@pytest.mark.skipif(not pauses.HAS_THREAD_USAGE, reason="this system reports no usage of a single thread")
def test_what_a_quota_held_back_is_no_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each gap what the quota took in it, and no more: not what it took elsewhere in the window."""
    monkeypatch.setattr(pauses, "PERIOD", 0.02)
    watch, gaps = Watch(), []
    monkeypatch.setattr(pauses, "stopped", lambda gap: gaps.append(gap) or 0.0)
    throttled_seconds = iter([1.0, 5.0])
    watch.begin(lambda: next(throttled_seconds, 5.0))
    time.sleep(0.2)
    watch.end()
    assert [round(gap.waited) for gap in gaps] == [4] + [0] * (len(gaps) - 1)


def test_code_that_keeps_pythons_lock_is_no_stop() -> None:
    import ctypes

    watch = Watch()
    watch.begin()
    ctypes.PyDLL(None).usleep(500_000)  # with the lock held, and without using a processor
    ended = watch.end()
    assert ended is not None
    assert ended[0] < 0.2


def test_a_watch_serves_several_windows_and_leaves_no_thread() -> None:
    before = threading.active_count()
    watch = Watch()
    assert watch.end() is None
    for _ in range(3):
        watch.begin()
        assert threading.active_count() == before + 1
        assert watch.end() is not None
    watch.begin()
    watch.begin()  # the workload ended in the midst of a window
    watch.end()
    assert threading.active_count() == before


def test_a_suspended_machine_shows_in_its_clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert suspended() >= 0
    moments = iter([100.0, 100.0, 190.0, 110.0])  # with and without sleep, at the beginning and at the end
    watch = Watch()
    monkeypatch.setattr(pauses.time, "clock_gettime", lambda clock: next(moments))
    watch.begin()
    ended = watch.end()
    assert ended is not None
    assert ended[1] == 80.0


def test_clocks_that_a_system_lacks_tell_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CLOCK_BOOTTIME", "CLOCK_UPTIME_RAW"):
        monkeypatch.delattr(time, name, raising=False)
    assert suspended() == 0.0


def test_waits_that_cannot_be_read_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any) -> Any:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(pauses.os, "open", fail)
    unread = pauses._Waits()
    assert unread.seconds() == 0.0
    unread.close()
