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

from bench.machine.conditions import GOVERNOR
from bench.machine.fingerprint import cpu_name

POWERCAP = Path("/sys/class/powercap")
CGROUP = Path("/sys/fs/cgroup")
PROC = Path("/proc")

UNLIMITED = 2**60
"""Bytes from which on a limit is none: version 1 of control groups writes a number close to 2**63."""


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


class Survey(msgspec.Struct, frozen=True, kw_only=True):
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
    load: float
    memory: int
    available: int
    memory_limit: int | None = None
    memory_left: int | None = None
    swap: int
    swap_used: int
    free: int | None = None
    governor: str | None = None
    governed_by: str | None = None
    on_battery: bool | None = None
    low_power: bool | None = None
    pressure: bool = False
    waits: bool = False
    nvidia: Nvidia = Nvidia()
    rapl: str | None = None
    uv: str | None = None


def survey(cache: Path, **known: Any) -> Survey:
    """This machine now.

    Args:
        cache: the folder whose disk is asked for room; where it is not there yet, the nearest one above it.
        known: fields that somebody else has to ask for, since only the runner starts processes.
    """
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    battery = psutil.sensors_battery() if hasattr(psutil, "sensors_battery") else None
    plugged = battery.power_plugged if battery else None
    version = platform.mac_ver()[0]
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else psutil.cpu_count() or 1
    fields: dict[str, Any] = {
        "system": platform.system(),
        "architecture": platform.machine(),
        "macos": tuple(int(part) for part in version.split(".") if part.isdigit()) if version else None,
        "cpu": cpu_name(),
        "processors": psutil.cpu_count() or 1,
        "usable": usable,
        "quota": cpu_quota(CGROUP, PROC),
        "load": round(os.getloadavg()[0], 2),
        "memory": memory.total,
        "available": memory.available,
        "memory_limit": memory_limit(CGROUP, PROC),
        "memory_left": memory_left(),
        "swap": swap.total,
        "swap_used": swap.used,
        "free": free_bytes(cache),
        "governor": text_of(GOVERNOR) or None,
        "governed_by": text_of(GOVERNOR.with_name("scaling_driver")) or None,
        "on_battery": None if plugged is None else not plugged,
        "pressure": (PROC / "pressure" / "cpu").exists(),
        "waits": (PROC / "self" / "schedstat").exists(),
        "nvidia": nvidia(),
        "rapl": rapl(POWERCAP),
    }
    return Survey(**{**fields, **known})


def text_of(file: Path) -> str:
    """A small file without the white space around it; empty where it cannot be read."""
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""


def control_groups(root: Path, proc: Path, controller: str) -> list[Path]:
    """Folders of the control groups that this process is in, its own first: each of them may set a limit.

    Args:
        root: where control groups are shown.
        proc: where the kernel shows processes.
        controller: ``memory`` or ``cpu``; version 1 has a tree for each, version 2 one for all.
    """
    found = []
    for line in text_of(proc / "self" / "cgroup").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers and controller not in controllers.split(","):
            continue
        top = root / controller if controllers else root
        own = top / path.strip("/")
        found += [place for place in (own, *own.parents) if place.is_relative_to(top)]
    # A container may show its own group as the root, and name it as the host does.
    return [*found, root, root / controller]


def memory_limit(root: Path = CGROUP, proc: Path = PROC) -> int | None:
    """Bytes that the control groups of this process leave it, versions 2 and 1; None for no limit."""
    limits = [
        int(text)
        for place in control_groups(root, proc, "memory")
        for name in ("memory.max", "memory.limit_in_bytes")
        if (text := text_of(place / name)).isdigit() and int(text) < UNLIMITED
    ]
    return min(limits, default=None)


def memory_left(root: Path = CGROUP, proc: Path = PROC) -> int | None:
    """Bytes that the control groups of this process leave it beside what they use now; None for no limit."""
    found = []
    for place in control_groups(root, proc, "memory"):
        for limit, used in (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")):
            most, now = text_of(place / limit), text_of(place / used)
            if most.isdigit() and int(most) < UNLIMITED:
                found.append(max(int(most) - (int(now) if now.isdigit() else 0), 0))
    return min(found, default=None)


def cpu_quota(root: Path, proc: Path) -> float | None:
    """Processors that the control groups of this process let it use together, versions 2 and 1; None for no limit."""
    found = []
    for place in control_groups(root, proc, "cpu"):
        quota, _, period = text_of(place / "cpu.max").partition(" ")
        if not quota:
            quota, period = text_of(place / "cpu.cfs_quota_us"), text_of(place / "cpu.cfs_period_us")
        if quota.isdigit() and period.isdigit() and int(period):
            found.append(int(quota) / int(period))
    return min(found, default=None)


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
        nvml.nvmlShutdown()


def _card(nvml: Any, index: int) -> Card:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)

    def told(function: str) -> Any:
        try:
            return getattr(nvml, function)(handle)
        except Exception:  # not of this card, or not of this library
            return None

    memory, running = told("nvmlDeviceGetMemoryInfo"), told("nvmlDeviceGetComputeRunningProcesses")
    reasons = told("nvmlDeviceGetCurrentClocksEventReasons")
    if reasons is None:  # its name before driver 535
        reasons = told("nvmlDeviceGetCurrentClocksThrottleReasons")
    return Card(
        name=str(told("nvmlDeviceGetName") or "NVIDIA card"),
        total=int(memory.total) if memory else None,
        used=int(memory.used) if memory else None,
        processes=None if running is None else len({process.pid for process in running}),
        held_back=None if reasons is None else int(reasons),
        energy=told("nvmlDeviceGetTotalEnergyConsumption") is not None,
    )
