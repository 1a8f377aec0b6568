"""Background CPU load during an interleaved pair.

A worker's own monitor cannot measure it, because it would count its peer as a foreign process.
"""

from __future__ import annotations

import time

import psutil

from bench.machine.limits import processors
from bench.machine.try_read import try_read

MAX_STEAL = 0.01
"""Largest share of the machine's time that the hypervisor may take; the same as for a single window."""

MAX_OTHER_LOAD = 0.05
"""Share of the machine's CPUs that other processes may use; the same as for a single window."""

NOT_BUSY = {"idle", "iowait", "steal", "guest", "guest_nice"}
"""Fields of ``psutil.cpu_times`` that are not busy time; guests are counted in ``user`` and ``nice`` already."""


class BackgroundLoadMonitor:
    """CPU load of the whole machine, from the creation of the monitor on."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._times = try_read(psutil.cpu_times)
        self._own = time.process_time()

    def interference(self, workers: float) -> list[str]:
        """Describe the interference with a pair on the CPU since then, one phrase each; empty where unknown.

        Args:
            workers: CPU seconds that the measured processes used.
        """
        wall = max(time.monotonic() - self._began, 1e-3)
        before, after = self._times, try_read(psutil.cpu_times)
        if before is None or after is None:
            return []
        spent = {name: max(getattr(after, name) - getattr(before, name), 0.0) for name in after._fields}
        steal, count = spent.get("steal", 0.0), processors()
        busy = sum(seconds for name, seconds in spent.items() if name not in NOT_BUSY)
        others = max(busy - workers - (time.process_time() - self._own), 0.0) / wall
        phrases = []
        if steal > MAX_STEAL * wall * count:
            phrases.append(f"the hypervisor took {100 * steal / wall / count:.1f} % of the machine's time")
        if others > MAX_OTHER_LOAD * count:
            phrases.append(f"others used {others:.2f} of the machine's {count} processors")
        return phrases
