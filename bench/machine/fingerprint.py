"""Stable identity of this machine: facts that survive a reboot, an upgrade of software and a change of name."""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import subprocess
from pathlib import Path

import msgspec
import psutil

from bench.records.record import Machine


def _sysctl(name: str) -> str:
    """A value of macOS' sysctl, or an empty string."""
    try:
        return subprocess.run(
            ["sysctl", "-n", name], capture_output=True, encoding="utf-8", errors="replace", timeout=5
        ).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


def cpu_name() -> str:
    """Name of the CPU as its maker gives it; py-cpuinfo takes a second, so it comes last."""
    if platform.system() == "Darwin":
        name = _sysctl("machdep.cpu.brand_string")
        if name:
            return name
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return " ".join(line.partition(":")[2].split())
    except OSError:
        pass
    import cpuinfo

    return str(cpuinfo.get_cpu_info().get("brand_raw") or platform.machine())


@functools.cache
def nvidia_gpus() -> tuple[tuple[str, int], ...]:
    """Name and bytes of memory of every NVIDIA GPU that the driver knows, in its order; () without a driver."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # the library is there but there is no driver, or none that it can talk to
        return ()
    try:
        found = []
        for index in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            name = pynvml.nvmlDeviceGetName(handle)
            found.append((str(name), int(pynvml.nvmlDeviceGetMemoryInfo(handle).total)))
        return tuple(found)
    except Exception:
        return ()
    finally:
        pynvml.nvmlShutdown()


def devices() -> list[str]:
    """Devices that this machine has, as cases name them, without asking torch: one card of each kind, mps, cpu.

    Whether torch can use them is for the worker to find out; where it cannot, the case says why.
    """
    found = []
    names: set[str] = set()
    for index, name in enumerate(_visible([name for name, _ in nvidia_gpus()])):
        if name not in names:
            names.add(name)
            found.append(str(index))
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        found.append("mps")
    return [*found, "cpu"]


def _visible(names: list[str]) -> list[str]:
    """The cards that CUDA_VISIBLE_DEVICES leaves, in its order: torch numbers those.

    One that is named by its UUID counts as a kind of its own.
    """
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is None or not names:
        return names
    known = {str(index): name for index, name in enumerate(names)}
    parts = [part.strip() for part in chosen.split(",")]
    return [known.get(part, part) for part in parts if part in known or part.startswith(("GPU-", "MIG-"))]


def card_bytes(device: str) -> int | None:
    """Bytes of memory of the card that a case calls by an index; None where that is not certain.

    ``CUDA_VISIBLE_DEVICES`` numbers cards anew, and may name them in other ways than by number.
    """
    order = os.environ.get("CUDA_VISIBLE_DEVICES")
    places = list(range(len(nvidia_gpus())))
    if order is not None:
        parts = [part.strip() for part in order.split(",")]
        places = [int(part) if part.isdigit() else -1 for part in parts]
    place = places[int(device)] if device.isdigit() and int(device) < len(places) else -1
    return nvidia_gpus()[place][1] if 0 <= place < len(nvidia_gpus()) else None


@functools.cache
def machine() -> Machine:
    """This machine."""
    gib = 2**30
    gpus = [f"{name} ({round(size / gib)} GiB)" for name, size in nvidia_gpus()]
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        gpus.append(f"{cpu_name()} GPU")
    facts = Machine(
        fingerprint="",
        system=f"{platform.system()} {platform.machine()}",
        cpu=cpu_name(),
        cores=psutil.cpu_count() or 1,
        memory_gib=round(psutil.virtual_memory().total / gib),
        gpus=gpus,
    )
    digest = hashlib.sha256(msgspec.json.encode(facts, order="sorted")).hexdigest()
    return msgspec.structs.replace(facts, fingerprint=digest[:12])
