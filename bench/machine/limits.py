"""Limits of this process: control groups, CPU affinity, NUMA nodes and limits of the shell."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import psutil

from bench.machine.description import Limits
from bench.machine.try_read import try_read

CGROUP = Path("/sys/fs/cgroup")
PROC = Path("/proc")
NODES = Path("/sys/devices/system/node/has_memory")

Number = TypeVar("Number", int, float)

UNLIMITED = 2**60
"""Bytes from which a limit counts as no limit: version 1 of control groups writes a number close to 2**63."""


def limits() -> Limits:
    """Return the limits of this process, which its workers inherit.

    An unknown limit, and one that is no lower than what the machine has, counts as no limit.
    """
    return Limits(
        cpu_quota=_below(try_read(cpu_quota, CGROUP, PROC), processors()),
        processors=try_read(affinity),
        memory_nodes=try_read(allowed_nodes, PROC, NODES),
        memory_bytes=_below(try_read(memory_limit, CGROUP, PROC), memory_bytes() or UNLIMITED),
        address_space_bytes=try_read(shell_limit, resource.RLIMIT_AS),
        data_bytes=try_read(shell_limit, resource.RLIMIT_DATA),
    )


def _below(limit: Number | None, there: int) -> Number | None:
    return limit if limit is not None and limit < there else None


def affinity() -> list[int] | None:
    """Return the numbers of the CPUs that this process may use; None where those are all that are online."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    usable = sorted(os.sched_getaffinity(0))
    return usable if len(usable) < processors() else None


def processors() -> int:
    """Return the number of CPUs online; 1 where unknown."""
    return try_read(lambda: psutil.cpu_count() or 1) or 1


def memory_bytes() -> int:
    """Return the bytes of memory of this machine; 0 where unknown."""
    total = try_read(lambda: psutil.virtual_memory().total)
    return total or try_read(lambda: os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")) or 0


def usable_processors() -> int:
    """Return the number of CPUs that this process may use."""
    bound = try_read(affinity)
    return len(bound) if bound else processors()


def allowed_nodes(proc: Path, nodes: Path) -> list[int] | None:
    """Return the NUMA nodes that this process may take memory from; None where those are all that have memory."""
    prefix = "Mems_allowed_list:"
    lines = text_of(proc / "self" / "status").splitlines()
    allowed = next((numbers(line.removeprefix(prefix)) for line in lines if line.startswith(prefix)), [])
    there = numbers(text_of(nodes))
    return allowed if allowed and set(allowed) < set(there) else None


def numbers(text: str) -> list[int]:
    """Parse ``0-2,8`` into ``[0, 1, 2, 8]``; empty for anything else."""
    parsed: list[int] = []
    for part in text.strip().split(","):
        first, _, last = part.strip().partition("-")
        if not first.isdigit() or not (last or first).isdigit():
            return []
        parsed += range(int(first), int(last or first) + 1)
    return parsed


def shell_limit(which: int) -> int | None:
    """Return the bytes of a limit of ``ulimit``; None for no limit."""
    soft = resource.getrlimit(which)[0]
    return None if soft == resource.RLIM_INFINITY or soft >= UNLIMITED else soft


def text_of(file: Path) -> str:
    """Return the text of a small file, stripped; empty where it cannot be read."""
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""


def memberships(proc: Path = PROC) -> Iterator[tuple[str, str]]:
    """Yield controllers (empty for version 2) and path of each control group of this process."""
    for line in text_of(proc / "self" / "cgroup").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        yield controllers, path


def control_groups(root: Path, proc: Path, controller: str) -> list[Path]:
    """Return the folders of the control groups of this process and their parents: each may set a limit.

    Args:
        root: where control groups are shown.
        proc: where the kernel shows processes.
        controller: ``memory`` or ``cpu``; version 1 has a tree for each, version 2 one for all.
    """
    folders = []
    for controllers, path in memberships(proc):
        if controllers and controller not in controllers.split(","):
            continue
        # Trees of version 1 are called by their controllers; where both versions are there, the second has a folder.
        for top in (root / controller, root / controllers) if controllers else (root, root / "unified"):
            own = top / path.strip("/")
            folders += [place for place in (own, *own.parents) if place.is_relative_to(top)]
    # A container may show its own group as the root, and name it as the host does.
    return list(dict.fromkeys([*folders, root, root / controller]))


def memory_limit(root: Path = CGROUP, proc: Path = PROC) -> int | None:
    """Return the memory limit of the control groups of this process, versions 2 and 1; None for no limit."""
    limits = [
        int(text)
        for place in control_groups(root, proc, "memory")
        for name in ("memory.max", "memory.high", "memory.limit_in_bytes")
        if (text := text_of(place / name)).isdigit() and int(text) < UNLIMITED
    ]
    return min(limits, default=None)


def memory_left(root: Path = CGROUP, proc: Path = PROC) -> int | None:
    """Return the bytes that the control groups of this process may still take; None for no limit."""
    pairs = (
        ("memory.max", "memory.current"),
        ("memory.high", "memory.current"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes"),
    )
    remaining = []
    for place in control_groups(root, proc, "memory"):
        for limit, used in pairs:
            most, now = text_of(place / limit), text_of(place / used)
            if most.isdigit() and int(most) < UNLIMITED:
                remaining.append(max(int(most) - (int(now) if now.isdigit() else 0), 0))
    return min(remaining, default=None)


def cpu_quota(root: Path = CGROUP, proc: Path = PROC) -> float | None:
    """Return the CPU quota of the control groups of this process, versions 2 and 1; None for no limit."""
    quotas = []
    for place in control_groups(root, proc, "cpu"):
        quota, _, period = text_of(place / "cpu.max").partition(" ")
        if not quota:
            quota, period = text_of(place / "cpu.cfs_quota_us"), text_of(place / "cpu.cfs_period_us")
        if quota.isdigit() and period.isdigit() and int(period):
            quotas.append(int(quota) / int(period))
    return min(quotas, default=None)
