"""Current conditions of this machine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import psutil

from bench.machine.description import Conditions
from bench.machine.limits import limits
from bench.machine.try_read import try_read

GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


def conditions(variables: Mapping[str, str] | None = None) -> Conditions:
    """Read load, memory, swap, power source, frequency governor and limits; None for unknown facts.

    Nothing here raises: conditions are only recorded.

    Args:
        variables: environment variables that change speed; None where the measured interpreter was not asked.
    """
    return Conditions(
        load=try_read(load),
        memory_available_bytes=try_read(lambda: psutil.virtual_memory().available),
        swap_used_bytes=try_read(lambda: psutil.swap_memory().used),
        on_battery=try_read(on_battery),
        governor=try_read(lambda: GOVERNOR.read_text(encoding="utf-8").strip()),
        limits=try_read(limits),
        variables=None if variables is None else dict(variables),
    )


def load() -> float:
    """Return the mean number of runnable processes in the last minute."""
    return round(os.getloadavg()[0], 2)


def on_battery() -> bool | None:
    """Return whether the machine runs on battery; None without a battery, or where its plug is unknown.

    Raises:
        OSError: where the kernel shows no power supplies at all; psutil lets that through.
    """
    battery = psutil.sensors_battery() if hasattr(psutil, "sensors_battery") else None
    plugged = battery.power_plugged if battery else None  # psutil may know of a battery, and not of its plug
    return None if plugged is None else not plugged
