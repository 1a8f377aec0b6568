"""Both workers of a pair on the same processors: those of one machine are not equally fast, and less so in a cloud."""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Iterable
from pathlib import Path


def set_cpu_affinity(pids: Iterable[int], threads: int, draw: random.Random) -> list[int]:
    """Bind processes that take turns, all their threads, to as many processors as one of them has threads to compute.

    Args:
        pids: of the processes.
        threads: that each of them computes with.
        draw: settles which of the processors that this process may use.

    Returns:
        The processors, or nothing where the system does not bind (macOS) or they need all there are.
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
