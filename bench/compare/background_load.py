"""What the machine did beside two workers that take turns: each of them would take the other one for a stranger."""

from __future__ import annotations

import time

import psutil

from bench.machine.limits import processors
from bench.machine.try_read import try_read

STEAL = 0.01
"""Largest share of the machine's time that a hypervisor may take, as for a single window."""

MAX_OTHER_LOAD = 0.05
"""Share of the machine's processors that others may use while cases run on the CPU; as there."""


class BackgroundLoadMonitor:
    """From its making on."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._times = try_read(psutil.cpu_times)
        self._own = _own()

    def interference(self, workers: float) -> list[str]:
        """What disturbed whoever ran on the CPU since then, one phrase each; nothing where the system tells nothing.

        Args:
            workers: processor seconds that the measured processes used.
        """
        wall = max(time.monotonic() - self._began, 1e-3)
        before, after = self._times, try_read(psutil.cpu_times)
        if before is None or after is None:
            return []
        spent = {name: max(getattr(after, name) - getattr(before, name), 0.0) for name in after._fields}
        steal, count = spent.get("steal", 0.0), processors()
        busy = sum(seconds for name, seconds in spent.items() if name not in NOT_BUSY)
        others = max(busy - workers - (_own() - self._own), 0.0) / wall
        found = []
        if steal > STEAL * wall * count:
            found.append(f"the hypervisor took {100 * steal / wall / count:.1f} % of the machine's time")
        if others > MAX_OTHER_LOAD * count:
            found.append(f"others used {others:.2f} of the machine's {count} processors")
        return found


NOT_BUSY = {"idle", "iowait", "steal", "guest", "guest_nice"}
"""Of what ``psutil.cpu_times`` gives: guests are within ``user`` and ``nice`` already."""


def _own() -> float:
    """Processor seconds of this process, the runner's own."""
    return time.process_time()
