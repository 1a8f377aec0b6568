"""Notices that this process was stopped in a window: by a signal, a freezer (``docker pause``), or a suspended machine.

A stopped process uses no processor and waits for none, and no counter of the kernel says for how long. So a thread
sleeps and wakes four times a second: where it slept far longer, it was kept from waking. Not every such gap is a stop:

- It may have waited for a processor: the kernel tells for how long, and that is taken off.
- Python may have kept it waiting, while other code held its lock: it then wakes every few milliseconds to ask for it,
  which shows in its own switches.
- It may have waited for a page to be read in, which counts as a fault.

Where the system tells none of this (macOS), a gap counts only if the process was told to continue (``SIGCONT``).
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
"""Seconds between two wakings. One takes some 0.1 ms of a processor on a small virtual machine, most of it in the
kernel: 0.04 % of one processor. A stop that is shorter than this and :data:`LEAST` together may be missed."""

LEAST = 0.1
"""Seconds beyond the period from which a gap counts: threads that wake are late by some milliseconds."""

ASKING = 20
"""Switches a second from which a thread was awake in a gap: one that waits for Python's lock has some 200."""

LONG_READ = 1.0
"""Seconds from which a gap with page faults counts as a stop: reading a page takes less, and follows a long stop."""

STACK = 256 * 1024
"""Bytes of the thread's stack."""


class Gap(NamedTuple):
    """What happened between two wakings.

    Attributes:
        seconds: that it was, beyond :data:`PERIOD`.
        waited: seconds of those for which the thread stood ready without a processor, or a CPU quota held it back.
        switches: how often it went to sleep (voluntary context switches).
        faults: how often it waited for a page to be read in (major page faults).
    """

    seconds: float
    waited: float
    switches: int
    faults: int


def stopped(gap: Gap) -> float:
    """Seconds of a gap for which the process was stopped; 0.0 where it was not, as far as one knows."""
    missing = gap.seconds - gap.waited
    if missing < LEAST:
        return 0.0
    reading = gap.faults > 0 and missing < LONG_READ
    return 0.0 if reading or gap.switches > 1 + ASKING * missing else missing


class Watch:
    """Watches from :meth:`begin` to :meth:`end`; may be used for several windows, one after another."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._over = threading.Lock()
        """Held while the thread is to go on."""
        self._seconds = 0.0
        self._suspended = 0.0
        self._continued = self._used = 0
        """Signals to continue that were heard, and how many of them belong to what was seen already."""
        self._unproved = 0.0
        """Seconds of the last gap, where it takes a signal to call it a stop."""

    def hear_continue(self) -> None:
        """Have ``SIGCONT`` counted where a gap alone says too little; only the main thread may ask for it."""
        if TELLS:
            return
        with contextlib.suppress(ValueError, OSError):
            signal.signal(signal.SIGCONT, self._hear)
            signal.siginterrupt(signal.SIGCONT, False)

    def _hear(self, number: int, frame: Any) -> None:
        self._continued += 1

    def begin(self, throttled: Callable[[], float | None] | None = None) -> None:
        """Start the thread.

        Args:
            throttled: tells for how many seconds a CPU quota has held the process back; asked at every waking, so that
                a stop is not taken for what the quota did before and after it.
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
        """End the thread; seconds for which the process was stopped and the machine suspended, None if it never ran."""
        if self._thread is None:
            return None
        self._over.release()
        self._thread.join()
        self._thread = None
        self._seen(0.0)
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
                self._seen(stopped(gap))

    def _seen(self, seconds: float) -> None:
        """Take in for how long the process was stopped, as it seems, before this moment."""
        if TELLS:
            self._seconds += seconds
            return
        heard, self._unproved = self._continued, seconds or self._unproved
        if self._unproved and heard == self._used:
            return  # the main thread, which hears of the signal, may have time for that only later
        self._seconds, self._unproved, self._used = self._seconds + self._unproved, 0.0, heard


TELLS = hasattr(resource, "RUSAGE_THREAD")
"""Whether the system tells of a single thread (Linux)."""


def _own() -> tuple[int, int]:
    """Voluntary context switches and major page faults of the calling thread."""
    if not TELLS:
        return 0, 0
    usage = resource.getrusage(resource.RUSAGE_THREAD)
    return usage.ru_nvcsw, usage.ru_majflt


class _Waits:
    """Seconds for which the calling thread stood ready without a processor; always 0.0 where nobody tells."""

    def __init__(self) -> None:
        try:
            file = f"/proc/self/task/{threading.get_native_id()}/schedstat"
            self._descriptor: int | None = os.open(file, os.O_RDONLY)
        except OSError:
            self._descriptor = None

    def seconds(self) -> float:
        """Since the thread began."""
        if self._descriptor is None:
            return 0.0
        try:
            return int(os.pread(self._descriptor, 96, 0).split()[1]) / 1e9
        except (OSError, ValueError, IndexError):
            return 0.0

    def close(self) -> None:
        """Ask no more."""
        if self._descriptor is not None:
            os.close(self._descriptor)


def suspended() -> float:
    """Seconds for which the machine slept since some moment; 0.0 where its clocks do not tell."""
    mac = sys.platform == "darwin"  # the first of each counts sleep, the second does not
    names = ("CLOCK_MONOTONIC_RAW", "CLOCK_UPTIME_RAW") if mac else ("CLOCK_BOOTTIME", "CLOCK_MONOTONIC")
    if not all(hasattr(time, name) for name in names):
        return 0.0
    first, second = (time.clock_gettime(getattr(time, name)) for name in names)
    return max(first - second, 0.0)
