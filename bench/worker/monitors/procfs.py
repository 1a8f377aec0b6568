"""Readings from Linux's ``/proc`` and ``/sys``; None where a reading is unavailable."""

from __future__ import annotations

import math
import os
from collections.abc import Container, Iterable
from typing import NamedTuple

PRESSURES = ("cpu", "memory", "io")

KERNEL_THREAD = 0x00200000  # PF_KTHREAD among the flags of a process


class Ticks(NamedTuple):
    """CPU time of all CPUs since boot, in clock ticks.

    Linux samples these at every tick, unlike the CPU time of a process, which is exact.
    """

    busy: int
    steal: int
    total: int


class Process(NamedTuple):
    """CPU time of a process in ticks: its own (``used``), and that of children it has waited for (``reaped``)."""

    parent: int
    group: int
    kernel: bool
    used: int
    reaped: int


class Used(NamedTuple):
    """CPU ticks of an interval: of this process's groups, of kernel threads, and of all other processes."""

    own: int
    kernel: int
    others: int


Processes = dict[tuple[int, int], Process]
"""All processes, by process ID and start time, because the kernel reuses IDs."""


def read(path: str) -> bytes | None:
    """Return the content of a small file, or None where it cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        parts = []
        while part := os.read(descriptor, 1 << 16):
            parts.append(part)
        return b"".join(parts)
    except OSError:  # the process is gone (ESRCH), or the kernel is set not to count (EOPNOTSUPP)
        return None
    finally:
        os.close(descriptor)


def swap_used(root: str) -> int | None:
    """Return the bytes of swap in use."""
    sizes = {}
    for line in (read(f"{root}/meminfo") or b"").splitlines():
        name, _, rest = line.partition(b":")
        if name in (b"SwapTotal", b"SwapFree") and (fields := rest.split()):
            sizes[name] = int(fields[0]) * 1024
    return sizes[b"SwapTotal"] - sizes[b"SwapFree"] if len(sizes) == 2 else None


def waits(root: str) -> dict[str, int] | None:
    """Return the run delay of each thread of this process since it began, in nanoseconds."""
    delays = {}
    try:
        threads = os.listdir(f"{root}/self/task")
    except OSError:
        return None
    for thread in threads:
        fields = (read(f"{root}/self/task/{thread}/schedstat") or b"").split()
        if len(fields) >= 2 and fields[1].isdigit():
            delays[thread] = int(fields[1])
    return delays or None


def ticks(root: str) -> Ticks | None:
    """Return the CPU time of all CPUs since boot."""
    fields = (read(f"{root}/stat") or b"").partition(b"\n")[0].split()
    if len(fields) < 9 or fields[0] != b"cpu":
        return None
    try:  # the guests' time, which follows, is part of ``user`` and ``nice``
        user, nice, system, idle, wait, irq, softirq, steal = (int(field) for field in fields[1:9])
    except ValueError:
        return None
    busy = user + nice + system + irq + softirq
    return Ticks(busy, steal, busy + steal + idle + wait)


def online(root: str) -> int | None:
    """Return the number of CPUs that :func:`ticks` covers."""
    lines = (read(f"{root}/stat") or b"").splitlines()
    return sum(line[:3] == b"cpu" and line[3:4].isdigit() for line in lines) or None


def throttled(root: str, system: str) -> float | None:
    """Return the seconds for which a CPU quota throttled this process's control groups, summed over CPUs.

    Of nested groups, the most throttled one counts, because throttling an outer group also throttles the inner one.
    """
    seconds = []
    for folder in _groups(root, f"{system}/fs/cgroup"):
        for line in (read(f"{folder}/cpu.stat") or b"").splitlines():
            name, _, value = line.partition(b" ")
            if name in THROTTLED and value.strip().isdigit():
                seconds.append(int(value) / THROTTLED[name])
    return max(seconds, default=None)


THROTTLED = {b"throttled_usec": 1e6, b"throttled_time": 1e9}
"""Counters of throttled time by name, and their units per second, of versions 2 and 1 of control groups."""


def _groups(root: str, top: str) -> list[str]:
    """Return the folders of this process's control groups that may have a CPU quota, and of their parents."""
    folders = [top, f"{top}/cpu"]  # a container may show its own group as the root
    for line in (read(f"{root}/self/cgroup") or b"").decode(errors="replace").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers and "cpu" not in controllers.split(","):
            continue
        trees = [f"{top}/cpu", f"{top}/{controllers}"] if controllers else [top, f"{top}/unified"]
        parts = [part for part in path.split("/") if part]
        folders += [f"{tree}/{'/'.join(parts[:depth])}" for tree in trees for depth in range(1, len(parts) + 1)]
    return list(dict.fromkeys(folders))


def processes(root: str) -> Processes:
    """Return all visible processes."""
    snapshot: Processes = {}
    try:
        names = os.listdir(root)
    except OSError:
        return snapshot
    for name in names:
        if not name.isdigit():
            continue
        # The name of the program is in brackets, and may itself contain brackets, spaces and line ends.
        fields = (read(f"{root}/{name}/stat") or b"").rpartition(b")")[2].split()
        try:
            snapshot[int(name), int(fields[19])] = Process(
                parent=int(fields[1]),
                group=int(fields[2]),
                kernel=bool(int(fields[6]) & KERNEL_THREAD),
                used=int(fields[11]) + int(fields[12]),
                reaped=int(fields[13]) + int(fields[14]),
            )
        except (IndexError, ValueError):
            continue  # it ended in the meantime
    return snapshot


def used(before: Processes, after: Processes, groups: Container[int]) -> Used:
    """Return the CPU ticks used between two snapshots.

    A process that ended hands its whole CPU time to the process that waited for it. What it had used before the first
    snapshot is subtracted again.
    """
    old = _handed_on(before, after)
    ticks = {"own": 0, "kernel": 0, "others": 0}
    for key, process in after.items():
        earlier = before.get(key)
        gain = process.used - (earlier.used if earlier else 0)
        handed = process.reaped - (earlier.reaped if earlier else 0) - old.get(key[0], 0)
        who = "own" if process.group in groups else "kernel" if process.kernel else "others"
        ticks[who] += max(gain, 0) + max(handed, 0)
    return Used(**ticks)


def _handed_on(before: Processes, after: Processes) -> dict[int, int]:
    """Return the ticks of ended processes before the first snapshot, by ID of the process that reaped them."""
    alive = {number for number, _ in after}
    parents = {number: process.parent for (number, _), process in before.items()}
    handed: dict[int, int] = {}
    for key, process in before.items():
        if key in after:
            continue
        heir = process.parent
        for _ in parents:  # bounded: parents that were read while processes came and went may form a loop
            if heir in alive or heir not in parents:
                break
            heir = parents[heir]  # it ended too, and passed on the ticks that it had reaped
        handed[heir] = handed.get(heir, 0) + process.used + process.reaped
    return handed


def others(machine: Ticks, own: float, kernel: float, visible: float) -> float:
    """Return the CPU ticks of an interval that belong to neither this process nor its helpers.

    CPU times of processes are exact, but some processes are invisible (of another container) or miscounted (ended
    without being reaped). CPU time of the machine is complete, but sampled. So the exact times count, within three
    standard deviations of the samples plus two ticks.

    Args:
        machine: all ticks of the interval.
        own: ticks of this process and its helpers.
        kernel: ticks of kernel threads; they serve every process, this one included (disk, GPU).
        visible: ticks of all other visible processes.
    """
    left = machine.busy - own - kernel
    share = min(machine.busy / machine.total, 1.0) if machine.total else 0.0
    slack = 3 * math.sqrt(machine.busy * (1 - share)) + 2
    # The kernel may count what a hypervisor stole as time of the process that it stole it from.
    return max(min(max(visible, left - slack), left + machine.steal + slack), 0.0)


def pressure(root: str) -> dict[str, int]:
    """Return microseconds since boot in which some task waited, by resource (pressure-stall information)."""
    stalls = {}
    for name in PRESSURES:
        for line in (read(f"{root}/pressure/{name}") or b"").splitlines():
            words = line.split()
            total = words[-1].partition(b"=") if words else (b"", b"", b"")
            if words and words[0] == b"some" and total[0] == b"total" and total[2].isdigit():
                stalls[name] = int(total[2])
    return stalls


def clock(root: str, system: str, processors: Iterable[int]) -> float | None:
    """Return the mean clock of CPUs in MHz: ``scaling_cur_freq``, else ``cpu MHz`` of ``/proc/cpuinfo``.

    ``cpu MHz`` is a measured clock only where the CPU counts its cycles (flag ``aperfmperf``). Elsewhere, as in most
    virtual machines, it is a constant, and the result is unknown (None).
    """
    wanted = set(processors)
    clocks = []
    for processor in wanted:
        text = (read(f"{system}/devices/system/cpu/cpu{processor}/cpufreq/scaling_cur_freq") or b"").strip()
        if text.isdigit():
            clocks.append(int(text) / 1000)
    if not clocks:
        clocks = _measured_clocks(read(f"{root}/cpuinfo") or b"", wanted)
    return sum(clocks) / len(clocks) if clocks else None


def _measured_clocks(cpuinfo: bytes, wanted: set[int]) -> list[float]:
    clocks = []
    for block in cpuinfo.split(b"\n\n"):
        facts = dict(_fact(line) for line in block.splitlines())
        if b"aperfmperf" not in facts.get(b"flags", b"").split():
            continue
        try:
            if int(facts[b"processor"]) in wanted:
                clocks.append(float(facts[b"cpu MHz"]))
        except (KeyError, ValueError):
            continue
    return clocks


def _fact(line: bytes) -> tuple[bytes, bytes]:
    name, _, value = line.partition(b":")
    return name.strip(), value.strip()


def on_battery(system: str) -> bool | None:
    """Whether the machine runs on its battery; None where no power supply reports it."""
    folder = f"{system}/class/power_supply"
    try:
        names = os.listdir(folder)
    except OSError:
        return None
    plugged: list[bool] = []
    batteries: list[bytes] = []
    for name in names:

        def fact(key: str, name: str = name) -> bytes:
            return (read(f"{folder}/{name}/{key}") or b"").strip()

        if fact("scope") == b"Device":
            continue  # the battery of a mouse
        kind, online = fact("type"), fact("online")
        if kind in (b"Mains", b"USB") and online.isdigit():
            plugged.append(online != b"0")  # 2 stands for a supply that can be programmed
        elif kind == b"Battery":
            batteries.append(fact("status"))
    if any(plugged):
        return False
    if b"Discharging" in batteries:
        return True
    if not batteries:
        return False if plugged else None
    if plugged:
        return True  # unplugged, whatever the battery says of itself
    return False if any(status in (b"Charging", b"Full", b"Not charging") for status in batteries) else None
