"""What the rest of the worker may ask of a device."""

from __future__ import annotations

import os
import resource
import sys
from typing import Any, Protocol


class Device(Protocol):
    """A kind of device. Only its own file calls ``torch.<kind>``."""

    name: str
    kind: str

    def why_unusable(self) -> str:
        """One sentence on why this process cannot use it, or an empty string."""

    def synchronize(self) -> None:
        """Wait until everything that was enqueued has run."""

    def reset_peaks(self) -> None:
        """Begin to measure peak memory anew."""

    def memory(self) -> dict[str, dict[str, Any]]:
        """Peaks since :meth:`reset_peaks`: ``allocated``, ``reserved``, ``process``, ``device``, each ``{bytes, how}``.

        ``bytes`` is None where a figure cannot be had; ``how`` then says why.
        """

    def facts(self) -> dict[str, Any]:
        """What the device is and how it is set."""


def figure(value: int | None, how: str) -> dict[str, Any]:
    """A memory figure with the way it was got."""
    return {"bytes": value, "how": how}


def reset_process_peak() -> None:
    """Lower the peak resident set of this process to its present size, where the system can (Linux)."""
    try:
        with open("/proc/self/clear_refs", "w") as control:
            control.write("5")
    except OSError:
        pass


def process_peak() -> dict[str, Any]:
    """Peak resident set of this process, data loader processes apart."""
    try:
        with open("/proc/self/status") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return figure(int(line.split()[1]) * 1024, "VmHWM, peak resident set since set-up")
    except OSError:
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    unit = 1 if sys.platform == "darwin" else 1024  # bytes on macOS, KiB elsewhere
    return figure(peak * unit, f"ru_maxrss, peak resident set since start on {os.uname().sysname}")
