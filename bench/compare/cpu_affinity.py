"""Bind both workers of a pair to the same CPUs: those of one machine are not equally fast, least of all in a cloud."""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Iterable
from pathlib import Path


def set_cpu_affinity(pids: Iterable[int], threads: int, draw: random.Random) -> list[int]:
    """Bind all threads of processes that take turns to as many CPUs as one of them has compute threads.

    Args:
        pids: process ids.
        threads: compute threads of each process.
        draw: chooses among the CPUs that this process may use.

    Returns:
        The CPUs; empty where the system does not bind (macOS) or the processes need all CPUs.
    """
    if not hasattr(os, "sched_setaffinity"):
        return []
    usable = sorted(os.sched_getaffinity(0))
    if not 0 < threads < len(usable):
        return []
    chosen = sorted(draw.sample(usable, threads))
    for pid in pids:
        for thread in _threads(pid):
            with contextlib.suppress(OSError):  # it has ended
                os.sched_setaffinity(thread, chosen)
    return chosen


def _threads(pid: int) -> list[int]:
    try:
        return [int(entry.name) for entry in Path(f"/proc/{pid}/task").iterdir()]
    except OSError:
        return [pid]
