"""What this machine is like right now."""

from __future__ import annotations

import os
from pathlib import Path

import psutil

from bench.records.record import Conditions

GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


def conditions() -> Conditions:
    """Load, memory, swap, power source and frequency governor; None where the system does not tell."""
    battery = psutil.sensors_battery() if hasattr(psutil, "sensors_battery") else None
    plugged = battery.power_plugged if battery else None  # psutil may know of a battery, and not of its plug
    try:
        governor: str | None = GOVERNOR.read_text(encoding="utf-8").strip()
    except OSError:
        governor = None
    return Conditions(
        load=round(os.getloadavg()[0], 2),
        memory_available_bytes=psutil.virtual_memory().available,
        swap_used_bytes=psutil.swap_memory().used,
        on_battery=None if plugged is None else not plugged,
        governor=governor,
    )
