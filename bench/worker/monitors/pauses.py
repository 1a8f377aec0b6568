"""Detect stops of this process during a window: by a signal, a freezer (``docker pause``), or a suspended machine.

A stopped process neither uses nor waits for a CPU, and no kernel counter says for how long. So a thread wakes four
times per second; a much longer sleep is a gap. Not every gap is a stop:

- The thread may have waited for a CPU. The kernel reports for how long, and that is subtracted.
- The thread may have waited for Python's lock. It then wakes every few milliseconds to request the lock, which shows
  in its context switches.
- The thread may have waited for a page to be read in, which counts as a major page fault.

Where the system reports none of this (macOS), a gap counts only if the process received ``SIGCONT``.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

PERIOD = 0.25
"""Seconds between two wakings. A waking takes about 0.1 ms of CPU time on a small virtual machine, 0.04 % of one CPU.
A stop shorter than ``PERIOD + LEAST`` may be missed."""

LEAST = 0.1
"""Seconds beyond the period from which a gap counts: threads that wake are late by some milliseconds."""

ASKING = 20
"""Context switches per second from which a thread was awake in a gap; a wait for Python's lock causes about 200."""

LONG_READ = 1.0
"""Seconds from which a gap with page faults counts as a stop: reading a page takes less, and may follow a long stop."""

STACK = 256 * 1024
"""Stack size of the thread in bytes."""


class Gap(NamedTuple):
    """The time between two wakings.

    Attributes:
        seconds: duration beyond :data:`PERIOD`.
        waited: seconds of it in which the thread waited for a CPU or was throttled by a CPU quota.
        switches: voluntary context switches of the thread.
        faults: major page faults of the thread.
    """

    seconds: float
    waited: float
    switches: int
    faults: int


def stopped(gap: Gap) -> float:
    """Return the seconds of a gap for which the process was stopped; 0.0 without evidence of a stop."""
    missing = gap.seconds - gap.waited
    if missing < LEAST:
        return 0.0
    reading = gap.faults > 0 and missing < LONG_READ
    return 0.0 if reading or gap.switches > 1 + ASKING * missing else missing


class Watch:
    """A thread that detects stops between :meth:`begin` and :meth:`end`; reusable for several windows."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._over = threading.Lock()
        """Locked while the thread runs."""
        self._seconds = 0.0
        self._suspended = 0.0
        self._continued = self._used = 0
        """``SIGCONT`` signals received, and how many of them are matched with a gap already."""
        self._unproved = 0.0
        """Seconds of the last gap that needs a signal to count as a stop."""

    def hear_continue(self) -> None:
        """Count ``SIGCONT`` where a gap alone does not prove a stop; call it from the main thread."""
        if HAS_THREAD_USAGE:
            return
        with contextlib.suppress(ValueError, OSError):
            signal.signal(signal.SIGCONT, self._hear)
            signal.siginterrupt(signal.SIGCONT, False)

    def _hear(self, number: int, frame: Any) -> None:
        self._continued += 1

    def begin(self, throttled: Callable[[], float | None] | None = None) -> None:
        """Start the thread.

        Args:
            throttled: returns the seconds for which a CPU quota has throttled the process so far. It is called at
                every waking, so that throttling before and after a stop is not subtracted from the stop.
        """
        self.end()
        self._over = threading.Lock()
        self._over.acquire()
        self._seconds, self._unproved, self._suspended = 0.0, 0.0, suspended()
        before = threading.stack_size(STACK)
        try:
            self._thread = threading.Thread(target=self._tick, args=(throttled,), name="watch", daemon=True)
            self._thread.start()
        finally:
            threading.stack_size(before)

    def end(self) -> tuple[float, float] | None:
        """End the thread; return seconds of stops and of machine suspension, or None if the thread never ran."""
        if self._thread is None:
            return None
        self._over.release()
        self._thread.join()
        self._thread = None
        self._add_stop(0.0)
        return round(self._seconds, 3), round(max(suspended() - self._suspended, 0.0), 3)

    def _tick(self, throttled: Callable[[], float | None] | None) -> None:
        with contextlib.closing(_Waits()) as waits:

            def kept_waiting() -> float:
                return waits.seconds() + ((throttled() or 0.0) if throttled is not None else 0.0)

            began, waited, own, over = time.perf_counter(), kept_waiting(), _own(), False
            while not over:
                over = self._over.acquire(timeout=PERIOD)
                now, now_waited, now_own = time.perf_counter(), kept_waiting(), _own()
                gap = Gap(now - began - PERIOD, now_waited - waited, now_own[0] - own[0], now_own[1] - own[1])
                began, waited, own = now, now_waited, now_own
                self._add_stop(stopped(gap))

    def _add_stop(self, seconds: float) -> None:
        """Add the seconds of a gap that looks like a stop; without thread counters, only once ``SIGCONT`` proves it."""
        if HAS_THREAD_USAGE:
            self._seconds += seconds
            return
        heard, self._unproved = self._continued, seconds or self._unproved
        if self._unproved and heard == self._used:
            return  # the main thread handles the signal, perhaps only later
        self._seconds, self._unproved, self._used = self._seconds + self._unproved, 0.0, heard


HAS_THREAD_USAGE = hasattr(resource, "RUSAGE_THREAD")
"""Whether the system reports the resource usage of a single thread (Linux)."""


def _own() -> tuple[int, int]:
    """Return voluntary context switches and major page faults of the calling thread."""
    if not HAS_THREAD_USAGE:
        return 0, 0
    usage = resource.getrusage(resource.RUSAGE_THREAD)
    return usage.ru_nvcsw, usage.ru_majflt


class _Waits:
    """Run delay of the calling thread: seconds runnable but without a CPU; always 0.0 where unavailable."""

    def __init__(self) -> None:
        try:
            file = f"/proc/self/task/{threading.get_native_id()}/schedstat"
            self._descriptor: int | None = os.open(file, os.O_RDONLY)
        except OSError:
            self._descriptor = None

    def seconds(self) -> float:
        """Return the run delay since the thread began."""
        if self._descriptor is None:
            return 0.0
        try:
            return int(os.pread(self._descriptor, 96, 0).split()[1]) / 1e9
        except (OSError, ValueError, IndexError):
            return 0.0

    def close(self) -> None:
        """Close the file of the kernel's counter."""
        if self._descriptor is not None:
            os.close(self._descriptor)


def suspended() -> float:
    """Return the seconds of machine sleep since a fixed moment; 0.0 where the clocks do not show it."""
    mac = sys.platform == "darwin"  # the first of each counts sleep, the second does not
    names = ("CLOCK_MONOTONIC_RAW", "CLOCK_UPTIME_RAW") if mac else ("CLOCK_BOOTTIME", "CLOCK_MONOTONIC")
    if not all(hasattr(time, name) for name in names):
        return 0.0
    first, second = (time.clock_gettime(getattr(time, name)) for name in names)
    return max(first - second, 0.0)
