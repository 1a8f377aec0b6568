"""What this machine is like right now."""

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
    """Load, memory, swap, power source, frequency governor and limits; None for what the system does not tell.

    Nothing here raises: each of these is only recorded.

    Args:
        variables: of the environment that change speed; None where nobody asked the interpreter that is measured.
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
    """Mean number of processes that wanted a processor in the last minute."""
    return round(os.getloadavg()[0], 2)


def on_battery() -> bool | None:
    """Whether the machine runs on its battery; None where it has none, or does not tell whether it is plugged in.

    Raises:
        OSError: where the kernel shows no power supplies at all; psutil lets that through.
    """
    battery = psutil.sensors_battery() if hasattr(psutil, "sensors_battery") else None
    plugged = battery.power_plugged if battery else None  # psutil may know of a battery, and not of its plug
    return None if plugged is None else not plugged
