"""What this machine has and what it is doing, for ``doctor``: asked of the system, never of torch."""

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
from bench.machine.try_read import try_read

POWERCAP = Path("/sys/class/powercap")
PROC = Path("/proc")


class Card(msgspec.Struct, frozen=True):
    """One NVIDIA card as its driver sees it; None for what it does not tell.

    Attributes:
        name: by its maker.
        total, used: bytes of memory.
        processes: that compute on it now.
        held_back: bits of ``nvmlClocksEventReasons`` at this moment.
        energy: whether it counts the energy that it used (Volta and later).
    """

    name: str
    total: int | None = None
    used: int | None = None
    processes: int | None = None
    held_back: int | None = None
    energy: bool = False


class Nvidia(msgspec.Struct, frozen=True):
    """The NVIDIA driver.

    Attributes:
        driver: its version; empty where there is none.
        cuda: the newest CUDA that it serves, such as ``(12, 4)``.
        cards: in its order.
        trouble: what it says where it, or a card, does not answer.
    """

    driver: str = ""
    cuda: tuple[int, int] | None = None
    cards: tuple[Card, ...] = ()
    trouble: str = ""


class SystemInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A machine at one moment; None for what it does not tell.

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
        governor, governed_by: of the first processor's frequency, and the driver that follows it.
        on_battery, low_power: power source and power mode.
        pressure, waits: whether the kernel tells of pressure, and of threads that wait for a processor.
        nvidia: driver and cards.
        rapl: ``readable``, ``needs root``, or None where there is no such counter.
        uv: version; None where it is not here.
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
    governed_by: str | None = None
    on_battery: bool | None = None
    low_power: bool | None = None
    pressure: bool = False
    waits: bool = False
    nvidia: Nvidia = Nvidia()
    rapl: str | None = None
    uv: str | None = None


def system_info(cache: Path | None, **known: Any) -> SystemInfo:
    """This machine now.

    Args:
        cache: the folder whose disk is asked for room; where it is not there yet, the nearest one above it. None where
            nobody knows where it is.
        known: fields that somebody else has to ask for, since only the runner starts processes.
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
        "governed_by": text_of(GOVERNOR.with_name("scaling_driver")) or None,
        "on_battery": try_read(on_battery),
        "pressure": (PROC / "pressure" / "cpu").exists(),
        "waits": (PROC / "self" / "schedstat").exists(),
        "nvidia": try_read(nvidia) or Nvidia(),
        "rapl": try_read(rapl, POWERCAP),
    }
    return SystemInfo(**{**fields, **known})


def numbers(version: str) -> tuple[int, ...]:
    """``14.5`` as ``(14, 5)``."""
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def free_bytes(folder: Path) -> int | None:
    """Bytes free on the disk of a folder, or of the nearest one above it that is there."""
    for place in (folder, *folder.parents):
        with contextlib.suppress(OSError):
            return shutil.disk_usage(place).free
    return None


def rapl(root: Path) -> str | None:
    """Whether the counters of energy of an x86 processor can be read; the kernel gives them to root alone."""
    counters = sorted(root.glob("*/energy_uj"))
    if not counters:
        return None
    return "readable" if os.access(counters[0], os.R_OK) else "needs root"


LOST = Card("")
"""Keeps the place of a card that does not answer: they are numbered."""


def nvidia() -> Nvidia:
    """The driver and its cards, by NVML."""
    try:
        import pynvml as nvml

        nvml.nvmlInit()
    except Exception as error:  # no library of the driver, or a driver that does not fit to it
        absent = type(error).__name__ in ("NVMLError_LibraryNotFound", "ImportError", "ModuleNotFoundError")
        return Nvidia(trouble="" if absent else " ".join(str(error).split()))
    try:
        served = int(nvml.nvmlSystemGetCudaDriverVersion())  # 12040 is 12.4
        cards, lost = [], []
        for index in range(nvml.nvmlDeviceGetCount()):
            try:
                cards.append(_card(nvml, index))
            except Exception as error:  # it fell off the bus; the others may work
                cards.append(LOST)
                lost.append(f"card {index}: {' '.join(str(error).split()) or type(error).__name__}")
        return Nvidia(
            driver=str(nvml.nvmlSystemGetDriverVersion()),
            cuda=(served // 1000, served % 1000 // 10),
            cards=tuple(cards),
            trouble="; ".join(lost),
        )
    except Exception as error:
        return Nvidia(trouble=" ".join(str(error).split()) or type(error).__name__)
    finally:
        try_read(nvml.nvmlShutdown)


def _card(nvml: Any, index: int) -> Card:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)

    def ask(function: str) -> Any:  # None for what is not of this card, or not of this library
        return try_read(lambda: getattr(nvml, function)(handle))

    memory, running = ask("nvmlDeviceGetMemoryInfo"), ask("nvmlDeviceGetComputeRunningProcesses")
    reasons = ask("nvmlDeviceGetCurrentClocksEventReasons")
    if reasons is None:  # its name before driver 535
        reasons = ask("nvmlDeviceGetCurrentClocksThrottleReasons")
    return Card(
        name=str(ask("nvmlDeviceGetName") or "NVIDIA card"),
        total=int(memory.total) if memory else None,
        used=int(memory.used) if memory else None,
        processes=None if running is None else len({process.pid for process in running}),
        held_back=None if reasons is None else int(reasons),
        energy=ask("nvmlDeviceGetTotalEnergyConsumption") is not None,
    )
