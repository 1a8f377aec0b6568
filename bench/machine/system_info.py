"""Facts on this machine and its current state for ``doctor``, read from the system without torch."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
from pathlib import Path
from typing import Any

import msgspec
import psutil

from bench.machine.conditions import GOVERNOR, load, on_battery
from bench.machine.fingerprint import cpu_name
from bench.machine.limits import (
    cpu_quota,
    memory_bytes,
    memory_left,
    memory_limit,
    processors,
    text_of,
    usable_processors,
)
from bench.machine.nvml import Nvidia, nvidia
from bench.machine.try_read import try_read

POWERCAP = Path("/sys/class/powercap")
PROC = Path("/proc")


class SystemInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A machine at one moment; None for unknown facts.

    Attributes:
        system: ``Linux``, ``Darwin``.
        architecture: ``x86_64``, ``arm64``.
        macos: its version, such as ``(14, 5)``; None elsewhere.
        cpu: name.
        processors: of the machine; ``usable`` those that this process may use, ``quota`` what a control group allows.
        load: of the last minute, in processors.
        memory, available, memory_limit, memory_left: bytes; the last two are those of a control group.
        swap, swap_used: bytes.
        free: bytes free in the folder of the cache.
        cache_trouble: a sentence on why the cache cannot be used; empty where it can be.
        governor, scaling_driver: frequency governor and driver of the first CPU.
        on_battery, low_power: power source and power mode.
        has_pressure, has_schedstat: whether the kernel counts pressure stalls, and run delay of threads.
        nvidia: driver and cards.
        rapl: ``readable``, ``needs root``, or None where there is no such counter.
        uv: version; None where it is not installed.
    """

    system: str
    architecture: str
    macos: tuple[int, ...] | None = None
    cpu: str
    processors: int
    usable: int
    quota: float | None = None
    load: float | None
    memory: int | None
    available: int | None
    memory_limit: int | None = None
    memory_left: int | None = None
    swap: int | None
    swap_used: int | None
    free: int | None = None
    cache_trouble: str = ""
    governor: str | None = None
    scaling_driver: str | None = None
    on_battery: bool | None = None
    low_power: bool | None = None
    has_pressure: bool = False
    has_schedstat: bool = False
    nvidia: Nvidia = Nvidia()
    rapl: str | None = None
    uv: str | None = None


def system_info(cache: Path | None, **known: Any) -> SystemInfo:
    """Read the facts of this machine now.

    Args:
        cache: folder whose disk space counts; where it does not exist yet, its nearest parent. None where unknown.
        known: fields that the caller reads, since only the runner starts processes.
    """
    memory, swap = try_read(psutil.virtual_memory), try_read(psutil.swap_memory)
    version = try_read(platform.mac_ver)
    fields: dict[str, Any] = {
        "system": platform.system(),
        "architecture": platform.machine(),
        "macos": numbers(version[0]) if version and version[0] else None,
        "cpu": cpu_name(),
        "processors": processors(),
        "usable": usable_processors(),
        "quota": try_read(cpu_quota),
        "load": try_read(load),
        "memory": memory.total if memory else memory_bytes() or None,
        "available": memory.available if memory else None,
        "memory_limit": try_read(memory_limit),
        "memory_left": try_read(memory_left),
        "swap": swap.total if swap else None,
        "swap_used": swap.used if swap else None,
        "free": try_read(free_bytes, cache) if cache else None,
        "governor": text_of(GOVERNOR) or None,
        "scaling_driver": text_of(GOVERNOR.with_name("scaling_driver")) or None,
        "on_battery": try_read(on_battery),
        "has_pressure": (PROC / "pressure" / "cpu").exists(),
        "has_schedstat": (PROC / "self" / "schedstat").exists(),
        "nvidia": try_read(nvidia) or Nvidia(),
        "rapl": try_read(rapl, POWERCAP),
    }
    return SystemInfo(**{**fields, **known})


def numbers(version: str) -> tuple[int, ...]:
    """``14.5`` as ``(14, 5)``."""
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def free_bytes(folder: Path) -> int | None:
    """Return the free bytes on the disk of a folder, or of its nearest parent that exists."""
    for place in (folder, *folder.parents):
        with contextlib.suppress(OSError):
            return shutil.disk_usage(place).free
    return None


def rapl(root: Path) -> str | None:
    """Return whether the energy counters of an x86 CPU can be read: by default only root may."""
    counters = sorted(root.glob("*/energy_uj"))
    if not counters:
        return None
    return "readable" if os.access(counters[0], os.R_OK) else "needs root"
