"""Checks of the machine's conditions and meters: whether they allow good measurements."""

from __future__ import annotations

from collections.abc import Iterator

from bench.machine.doctor.check import GIB, Check, State
from bench.machine.interpreter_info import Software
from bench.machine.system_info import SystemInfo

SCARCE = 2 * GIB
"""Bytes of memory below which a training case may not fit."""

ROOM = GIB
"""Bytes of disk below which the made data set and records may not fit."""

TORCH_ROOM = 8 * GIB
"""Bytes of disk that a second environment with a CUDA build of torch may take."""

BUSY = 0.25
"""Share of the processors that others may use before figures of the CPU suffer."""

SWAPPED = 0.25
"""Share of swap in use from which a machine is short of memory, or was."""


def meters(machine: SystemInfo, software: Software) -> Iterator[Check]:
    """Yield the checks of the machine's conditions and meters."""
    yield memory(machine)
    yield swap(machine)
    yield disk(machine)
    yield load(machine)
    yield power(machine)
    yield heat(software)
    yield noise(machine)
    yield from card_meter(machine, software)
    yield from energy(machine, software)
    yield weights(software)
    yield upgrades(machine)


def memory(machine: SystemInfo) -> Check:
    """Return the check of memory and its limits."""
    if machine.memory is None or machine.available is None:
        return Check("memory", State.LIMITED, "the system does not report available memory")
    detail = f"{machine.available / GIB:.1f} of {machine.memory / GIB:.1f} GiB are available"
    if machine.memory_limit is not None and machine.memory_limit < machine.memory:
        detail += f"; a control group allows {machine.memory_limit / GIB:.1f} GiB"
    left = machine.memory_left if machine.memory_left is not None else machine.available
    if min(machine.available, left) < SCARCE:
        return Check("memory", State.LIMITED, detail, "close other programs: a training case takes 1 to 2 GiB or more.")
    return Check("memory", State.USABLE, detail)


def swap(machine: SystemInfo) -> Check:
    """Return the check of swap: on a Mac what does not fit goes there without an error."""
    if machine.swap is None or machine.swap_used is None:
        return Check("swap", State.LIMITED, "not reported by this system")
    if not machine.swap:
        return Check("swap", State.USABLE, "no swap: a process that runs out of memory is stopped")
    detail = f"{machine.swap_used / GIB:.1f} of {machine.swap / GIB:.1f} GiB are in use"
    if machine.swap_used > SWAPPED * machine.swap and machine.swap_used > GIB / 4:
        return Check("swap", State.LIMITED, detail, "close other programs, or restart: swapping slows cases down.")
    return Check("swap", State.USABLE, detail)


def disk(machine: SystemInfo) -> Check:
    """Return the check of the cache folder and its disk space."""
    if machine.cache_trouble:
        return Check("disk", State.UNUSABLE, machine.cache_trouble)
    if machine.free is None:
        return Check("disk", State.LIMITED, "free space of the cache folder: unknown")
    detail = f"{machine.free / GIB:.1f} GiB free for the cache"
    if machine.free < ROOM:
        return Check(
            "disk", State.LIMITED, detail, "free some space, or set YOLOPACE_CACHE to a folder on another disk."
        )
    if machine.free < TORCH_ROOM:
        return Check("disk", State.USABLE, f"{detail}; regress may need {TORCH_ROOM / GIB:.0f} GiB for another torch")
    return Check("disk", State.USABLE, detail)


def load(machine: SystemInfo) -> Check:
    """Return the check of the load."""
    if machine.load is None:
        return Check("load", State.LIMITED, "not reported by this system")
    detail = f"{machine.load:.1f} on {machine.processors} core{'s' * (machine.processors > 1)}"
    if machine.load > BUSY * machine.processors and machine.load > 0.5:
        return Check(
            "load", State.LIMITED, detail, "close other programs, or wait: results will be flagged as interfered."
        )
    return Check("load", State.USABLE, detail)


def power(machine: SystemInfo) -> Check:
    """Return the check of power source and power mode."""
    if machine.on_battery:
        return Check("power", State.LIMITED, "on battery", "connect power: CPUs throttle on battery.")
    if machine.low_power:
        return Check("power", State.LIMITED, "low power mode is on", "switch it off: it lowers all clocks.")
    detail = "mains power" if machine.on_battery is False else "no battery found"
    return Check("power", State.USABLE, detail)


def heat(software: Software) -> Check:
    """Return the check of thermal pressure."""
    if software.thermal is None:
        return Check("heat", State.UNUSABLE, "not reported by this system; NVIDIA GPUs report their own")
    detail = f"thermal pressure is {software.thermal}"
    if software.thermal not in ("nominal", "moderate"):
        return Check("heat", State.LIMITED, detail, "let the machine cool down: its clocks are lowered.")
    return Check("heat", State.USABLE, detail)


def noise(machine: SystemInfo) -> Check:
    """Return the check of the sources of interference that the system reports."""
    reported = {"threads that wait for a processor": machine.has_schedstat, "pressure": machine.has_pressure}
    there = [name for name, known in reported.items() if known]
    lacking = [name for name, known in reported.items() if not known]
    if not there:
        return Check("noise", State.LIMITED, "the system reports neither waiting threads nor pressure")
    detail = f"the kernel reports {' and '.join(there)}"
    if lacking:
        return Check("noise", State.LIMITED, f"{detail}, not {' and '.join(lacking)}")
    return Check("noise", State.USABLE, detail)


def card_meter(machine: SystemInfo, software: Software) -> Iterator[Check]:
    """Yield the check of NVML: clocks, heat and other processes of NVIDIA cards."""
    if not machine.nvidia.cards:
        return
    if "pynvml" in software.meters:
        yield Check("NVML", State.USABLE, "clocks, temperature, throttling and other processes are recorded")
    else:
        advice = "install nvidia-ml-py in the measured interpreter."
        yield Check("NVML", State.LIMITED, "the measured interpreter has no pynvml: GPUs report nothing", advice)


def energy(machine: SystemInfo, software: Software) -> Iterator[Check]:
    """Yield the checks of energy counters."""
    counting = [card.energy for card in machine.nvidia.cards]
    if counting:
        count = f"{sum(counting)} of {len(counting)} GPU{'s' if len(counting) > 1 else ''}"
        state = State.USABLE if all(counting) else State.LIMITED if any(counting) else State.UNUSABLE
        yield Check("energy of cards", state, f"{count} can measure it, with --energy")
    if machine.system == "Darwin":
        if "zeus_apple_silicon" in software.meters:
            yield Check("energy of the Mac", State.USABLE, "zeus-apple-silicon estimates it by a model, with --energy")
        elif machine.architecture != "arm64":
            yield Check("energy of the Mac", State.UNUSABLE, "requires Apple silicon")
        else:
            advice = "install zeus-apple-silicon in the measured interpreter."
            yield Check("energy of the Mac", State.UNUSABLE, "zeus-apple-silicon is not installed", advice)
    elif machine.rapl == "readable":
        yield Check("energy of the CPU", State.USABLE, "RAPL can be read, with --energy")
    elif machine.rapl:
        yield Check(
            "energy of the CPU", State.UNUSABLE, "RAPL counters are readable by root only", "run as root to read them."
        )
    else:
        yield Check("energy of the CPU", State.UNUSABLE, "no RAPL counter on this machine")


def weights(software: Software) -> Check:
    """Return the check of weight files that are available without the network."""
    if not software.weights:
        return Check("weights", State.USABLE, "no weight files here: random weights have the same speed")
    shown = ", ".join(software.weights[:5])
    more = f" and {len(software.weights) - 5} more" if len(software.weights) > 5 else ""
    return Check("weights", State.USABLE, f"{shown}{more}")


def upgrades(machine: SystemInfo) -> Check:
    """Return the check of uv, which builds the environments of ``regress``."""
    if machine.uv is None:
        return Check("uv", State.UNUSABLE, "not installed: regress, sweep and bisect need it", "pip install uv")
    return Check("uv", State.USABLE, f"{machine.uv}, for regress, sweep and bisect")
