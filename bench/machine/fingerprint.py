"""Stable identity of this machine: facts that survive a reboot, an upgrade of software and a change of name."""

from __future__ import annotations

import functools
import os
import platform
import subprocess
from pathlib import Path

import msgspec

from bench.cases.device_kinds import HOST
from bench.machine.description import Machine
from bench.machine.identity import machine_id
from bench.machine.limits import memory_bytes, processors
from bench.machine.nvml import nvidia_gpus
from bench.machine.try_read import try_read


def _sysctl(name: str) -> str:
    """Return a value of macOS' sysctl, or an empty string."""
    try:
        return subprocess.run(
            ["sysctl", "-n", name], capture_output=True, encoding="utf-8", errors="replace", timeout=5
        ).stdout.strip()
    except (OSError, ValueError, subprocess.SubprocessError):
        return ""


def cpu_name() -> str:
    """Name of the CPU as its maker gives it; py-cpuinfo takes a second, so it comes last."""
    if platform.system() == "Darwin":
        name = _sysctl("machdep.cpu.brand_string")
        if name:
            return name
    for line in (try_read(lambda: Path("/proc/cpuinfo").read_text(encoding="utf-8")) or "").splitlines():
        if line.startswith("model name") and (words := line.partition(":")[2].split()):
            return " ".join(words)
    return try_read(_slow_cpu_name) or platform.machine() or "unknown CPU"


def _slow_cpu_name() -> str:
    """Return the name by py-cpuinfo, or nothing; it starts programs, and raises where it does not know the CPU."""
    import cpuinfo

    return str(cpuinfo.get_cpu_info().get("brand_raw") or "")


def devices() -> list[str]:
    """Devices that this machine has, as cases name them, without asking torch: one card of each kind, mps, cpu.

    Whether torch can use them is for the worker to find out; where it cannot, the case says why.
    """
    names = []
    kinds: set[str] = set()
    for index, place in enumerate(visible_cards()):
        kind = f"card {index}" if place is None else nvidia_gpus()[place][0]
        if kind not in kinds:
            kinds.add(kind)
            names.append(str(index))
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        names.append("mps")
    return [*names, HOST]


def visible_cards() -> list[int | None]:
    """Cards in the order in which a worker's torch numbers them, each by its place in :func:`nvidia_gpus`.

    ``CUDA_VISIBLE_DEVICES`` renumbers cards, and ends at the first number without a card. None stands for a card
    whose place is not certain: a card that is named by its UUID, or any card where ``CUDA_DEVICE_ORDER`` is not that of
    the driver. Workers have the driver's order unless the user chose another.
    """
    count = len(nvidia_gpus())
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    ordered = os.environ.get("CUDA_DEVICE_ORDER", "PCI_BUS_ID") == "PCI_BUS_ID"
    if not count:
        return []
    places: list[int | None] = []
    for part in map(str, range(count)) if chosen is None else (part.strip() for part in chosen.split(",")):
        if part.isdigit() and int(part) < count:
            places.append(int(part) if ordered else None)
        elif part.startswith(("GPU-", "MIG-")):
            places.append(None)
        else:
            break
    return places


def card_bytes(device: str) -> int | None:
    """Return the bytes of memory of the card that a case names by an index; None where that is not certain."""
    places = visible_cards()
    if not device.isdigit() or int(device) >= len(places):
        return None
    place, sizes = places[int(device)], {size for _, size in nvidia_gpus()}
    if place is not None:
        return nvidia_gpus()[place][1]
    return sizes.pop() if len(sizes) == 1 and "MIG-" not in os.environ.get("CUDA_VISIBLE_DEVICES", "") else None


@functools.cache
def machine() -> Machine:
    """Return this machine."""
    gib = 2**30
    gpus = [f"{name} ({round(size / gib)} GiB)" for name, size in nvidia_gpus()]
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        gpus.append(f"{cpu_name()} GPU")
    facts = Machine(
        fingerprint="",
        system=f"{platform.system()} {platform.machine()}",
        cpu=cpu_name(),
        cores=processors(),
        memory_gib=round(memory_bytes() / gib),
        gpus=gpus,
    )
    return msgspec.structs.replace(facts, fingerprint=facts.digest, id=machine_id(facts.digest))
