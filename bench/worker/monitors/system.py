"""Activity of the process, the machine and the device during a window, read at its edges and outside of timed steps."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from ..devices import Device
from ..devices.base import device_status
from . import macos, procfs
from .interference import describe_interference
from .pauses import Watch

Value = TypeVar("Value")


@dataclass(frozen=True)
class _Process:
    """Usage of this process so far: wall and CPU clock in seconds, and involuntary context switches."""

    wall: float
    cpu: float
    switches: int


@dataclass(frozen=True)
class _Machine:
    """Usage by this process's threads and by the machine so far, and the time of the reading."""

    wall: float
    cpu: float
    waits: dict[str, int] | None
    ticks: procfs.Ticks | None
    processes: procfs.Processes
    pressure: dict[str, int]
    swap: int | None
    throttled: float | None


def try_read(question: Callable[..., Value], *arguments: Any) -> Value | None:
    """Return the answer, or None on any error: a wrong answer of the system must not fail a measurement."""
    try:
        return question(*arguments)
    except Exception:
        return None


class SystemMonitor:
    """Read once where a window opens and once where it closes; may be used for several windows, one after another.

    Reading takes a few milliseconds of this process; none of them is within the window's own wall and CPU time.
    """

    def __init__(self, device: Device, root: str = "/proc", system: str = "/sys") -> None:
        """Read nothing yet, because the device may not be taken yet.

        Args:
            device: device of the case.
            root: mount point of procfs.
            system: mount point of sysfs.
        """
        self._device = device
        self._root = str(root)
        self._system = str(system)
        self._threads: int | None = None
        self._alone = True
        self._groups: set[int] = set()
        self._watch: Watch | None = Watch()
        self._opened: tuple[_Process, _Machine] | None = None

    def prepare(
        self, threads: int | None = None, alone: bool = True, groups: set[int] | None = None, watch: bool = True
    ) -> None:
        """Start slow readers such as NVML before warm-up, because :meth:`open` would let the device idle meanwhile.

        Args:
            threads: 1 where one thread does all the work, data loading included; used on the CPU only. See
                :func:`~.interference.describe_interference`.
            alone: False where another worker takes turns with this one. It would count as background load, although
                it waits during this worker's turns; the runner measures background load instead.
            groups: process groups of the ranks that train together on this machine; this process's own if None.
            watch: whether a thread detects stops of the process; False where its memory would count.
        """
        if not watch:
            self._watch = None
        elif self._watch is not None:
            self._watch.hear_continue()
        self._groups = groups or set()
        self._threads = threads if self._device.on_host and alone else None
        self._alone = alone
        try_read(self._device.read_status)

    def open(self) -> None:
        """Open the window: it begins when this returns."""
        try_read(self._device.read_status)  # restarts the device's counters
        machine = self._read_machine()
        if self._watch is not None:
            try_read(self._watch.begin, self._read_throttled if machine.throttled else None)
        self._opened = self._read_process(), machine

    def close(self, waiting_workers: int = 0) -> dict[str, Any]:
        """Close the window; return its readings by the field names of ``bench.records.record.Window``.

        Shares are rounded to 4 decimals; unavailable readings become None.

        Args:
            waiting_workers: workers that hold the device but wait for their turn; not counted as other processes.
        """
        process = self._read_process()
        stopped, suspended = (try_read(self._watch.end) if self._watch is not None else None) or (None, None)
        device = try_read(self._device.read_status) or device_status()  # at once: an idle device lowers its clocks
        machine = self._read_machine()
        assert self._opened is not None, "open() comes first"
        reading: dict[str, Any] = {
            "wall_seconds": round(process.wall - self._opened[0].wall, 6),
            "cpu_seconds": round(process.cpu - self._opened[0].cpu, 6),
            "involuntary_switches": process.switches - self._opened[0].switches,
            "processors": len(_processors()),
            "machine_processors": try_read(procfs.online, self._root) or try_read(_online),
            "run_delay_share": try_read(_wait_share, self._opened[1], machine),
            "steal_share": try_read(_steal_share, self._opened[1], machine),
            "other_processes_cpus": try_read(
                _other_processes_cpus, self._opened[1], machine, self._groups or {os.getpgrp()}
            ),
            "pressure": try_read(_pressure, self._opened[1], machine),
            "swap_bytes": _swapped(self._opened[1], machine),
            "clock_mhz": try_read(self._read_clock),
            "thermal": try_read(macos.thermal),
            "on_battery": try_read(self._read_battery),
            "throttled_share": try_read(_throttled_share, self._opened[1], machine),
            "stopped_seconds": _less_throttled(stopped, self._opened[1], machine),
            "suspended_seconds": suspended,
            **device,
        }
        if reading.get("device_others"):
            reading["device_others"] = max(reading["device_others"] - waiting_workers, 0)
        reading["interference"] = describe_interference(reading, self._threads, self._alone and self._device.on_host)
        return reading

    @staticmethod
    def _read_process() -> _Process:
        usage = resource.getrusage(resource.RUSAGE_SELF)  # all threads
        return _Process(time.perf_counter(), usage.ru_utime + usage.ru_stime, usage.ru_nivcsw)

    def _read_machine(self) -> _Machine:
        return _Machine(
            waits=try_read(procfs.waits, self._root),
            processes=try_read(procfs.processes, self._root) or {},
            ticks=try_read(procfs.ticks, self._root),
            pressure=try_read(procfs.pressure, self._root) or {},
            swap=self._read_swap(),
            throttled=self._read_throttled(),
            wall=time.perf_counter(),
            cpu=self._read_process().cpu,
        )

    def _read_throttled(self) -> float | None:
        return try_read(procfs.throttled, self._root, self._system)

    def _read_clock(self) -> float | None:
        clock = procfs.clock(self._root, self._system, _processors())
        return None if clock is None else float(round(clock))

    def _read_swap(self) -> int | None:
        size = try_read(procfs.swap_used, self._root)
        return try_read(macos.swap_used) if size is None else size

    def _read_battery(self) -> bool | None:
        state = procfs.on_battery(self._system)
        return macos.on_battery() if state is None else state


def _processors() -> set[int]:
    """Return the CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity") and (affinity := try_read(os.sched_getaffinity, 0)):
        return affinity
    return set(range(try_read(_online) or 1))


def _online() -> int:
    """Return the number of online CPUs; ``os.cpu_count`` obeys ``PYTHON_CPU_COUNT`` instead."""
    return os.sysconf("SC_NPROCESSORS_ONLN")


def _wait_share(before: _Machine, after: _Machine) -> float | None:
    if before.waits is None or after.waits is None:
        return None
    longest = max(waited - before.waits.get(thread, 0) for thread, waited in after.waits.items())
    return round(max(longest, 0) / 1e9 / (after.wall - before.wall), 4)


def _interval(before: _Machine, after: _Machine) -> procfs.Ticks | None:
    """Return the CPU time of all CPUs between two readings."""
    if before.ticks is None or after.ticks is None:
        return None
    return procfs.Ticks(*(max(late - early, 0) for early, late in zip(before.ticks, after.ticks)))


def _steal_share(before: _Machine, after: _Machine) -> float | None:
    machine = _interval(before, after)
    return round(machine.steal / machine.total, 4) if machine and machine.total else None


def _other_processes_cpus(before: _Machine, after: _Machine, groups: set[int]) -> float | None:
    machine = _interval(before, after)
    if machine is None or not before.processes or not after.processes:
        return None
    second = os.sysconf("SC_CLK_TCK")
    # Data loader processes stay in the group of the worker, which leads it.
    used = procfs.used(before.processes, after.processes, groups)
    own = max(used.own, (after.cpu - before.cpu) * second)
    ticks = procfs.others(machine, own, used.kernel, used.others)
    return round(ticks / second / (after.wall - before.wall), 4)


def _throttled(before: _Machine, after: _Machine) -> float | None:
    """Return the seconds for which a CPU quota throttled the process, summed over CPUs."""
    if before.throttled is None or after.throttled is None:
        return None
    return max(after.throttled - before.throttled, 0.0)


def _throttled_share(before: _Machine, after: _Machine) -> float | None:
    seconds = _throttled(before, after)
    return None if seconds is None else round(seconds / (after.wall - before.wall), 4)


def _less_throttled(stopped: float | None, before: _Machine, after: _Machine) -> float | None:
    """Subtract throttling by a CPU quota, which looks like a stop, from the seconds of stops.

    Where the quota had throttled the process before the window, the watch has subtracted it already.
    """
    if stopped is None or before.throttled:
        return stopped
    return round(max(stopped - (_throttled(before, after) or 0.0), 0.0), 3)


def _swapped(before: _Machine, after: _Machine) -> int | None:
    if before.swap is None or after.swap is None:
        return None
    return max(after.swap - before.swap, 0)


def _pressure(before: _Machine, after: _Machine) -> dict[str, float] | None:
    shares = {
        name: round(max(total - before.pressure[name], 0) / 1e6 / (after.wall - before.wall), 4)
        for name, total in after.pressure.items()
        if name in before.pressure
    }
    return shares or None
