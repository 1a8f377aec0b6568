"""Whether a window was disturbed: judged by what the system told of it, never by its speed.

A rule that looked at the speed would throw slow windows away, and so make every number too good.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .macos import THERMAL_LEVELS
from .nvml import POWER_CAP

STEAL = 0.01
"""Share of the machine's time that a hypervisor may take."""

WAIT = 0.02
"""Share of the time that a thread may stand ready without a processor. Of 39 fresh processes of one case on a shared
machine, those within 2 % of wall over CPU time had a standard deviation of 1.95 %, and all of them one of 15.5 %."""

OTHERS = 0.02
"""Processors that others may use while a thread waits. They can have kept it waiting no longer than they ran, so the
smaller of the two is what they may have cost; a process that waits for its own data loaders is not disturbed."""

MAX_OTHER_LOAD = 0.05
"""Share of the machine's processors that others may use while a case runs on the CPU. They share its caches, its memory
and its clocks, and in a virtual machine often its cores, which shows in no wait: see ``docs/noise.md``."""

STOPPED = WAIT
"""Share of the time for which the process may be stopped."""

QUOTA = WAIT
"""Share of the time for which a CPU quota may hold the process back."""

IDLE = WAIT
"""What wall time may exceed CPU time by where a single thread does all the work and the system tells of no waits."""

MEMORY_PRESSURE = WAIT
"""Share of the time in which some task may wait for memory: it cannot have cost more than that."""

SWAPPED = 64 * 2**20
"""Bytes by which swap may grow. On a Mac memory that is full is no error: training goes on, slower and slower."""

SUSPENDED = 0.1
"""Seconds of sleep of the machine that are worth a word: it is cold when it wakes, whatever its clock says."""

THERMAL = "moderate"
"""The last level that is fine: ``heavy`` is where macOS begins to throttle."""

THROTTLED = "a CPU quota held the process back"
BATTERY = "the machine ran on its battery"
HELD_BACK = "the device held its clocks back"
HOT = "the machine was under thermal pressure"
PERSISTENT = (BATTERY, HELD_BACK, HOT, THROTTLED)
"""How phrases begin of what stays when a window is measured again at once: a battery, heat, a quota."""


class Indicator(NamedTuple):
    """One covariate of a window beside its limit.

    Attributes:
        ratio: of the covariate to its limit; None for a mark that has no degree, and is there.
        phrase: what happened, in the past tense.
    """

    ratio: float | None
    phrase: str

    @property
    def disturbs(self) -> bool:
        """Whether the covariate is beyond its limit."""
        return self.ratio is None or self.ratio > 1


def describe_interference(reading: dict[str, Any], threads: int | None = None, on_cpu: bool = False) -> list[str]:
    """What disturbed a window, one phrase each; empty for a calm one.

    Args:
        reading: of a :class:`~.meter.SystemMonitor`; what is None or missing in it is not judged.
        threads: 1 where one thread does all the work of a case on the CPU, loading data included: it should never
            idle. None where idling is legitimate: on other devices and with data loader processes.
        on_cpu: whether the case runs on the CPU, so that whoever else uses it is felt.
    """
    return [sign.phrase for sign in indicators(reading, threads, on_cpu) if sign.disturbs]


def worth_retrying(reasons: list[str]) -> bool:
    """Whether any interference found is of a kind that a new window may avoid."""
    return any(not reason.startswith(PERSISTENT) for reason in reasons)


def severity(reading: dict[str, Any], threads: int | None = None, on_cpu: bool = False) -> float:
    """How disturbed a window was, to choose the least of several: 0 is calm.

    The greatest ratio of a covariate to its limit, and 1 more for every mark that has no degree: so windows that share
    a mark, such as the battery, are told apart by the rest.
    """
    found = indicators(reading, threads, on_cpu)
    marks = sum(sign.ratio is None for sign in found)
    return marks + max((sign.ratio for sign in found if sign.ratio is not None), default=0.0)


def indicators(reading: dict[str, Any], threads: int | None = None, on_cpu: bool = False) -> list[Indicator]:
    """Every covariate that a reading tells of, beside its limit."""
    found = []
    steal, waited, others = (reading.get(name) for name in ("steal_share", "run_delay_share", "other_processes_cpus"))
    if steal is not None:
        found.append(Indicator(steal / STEAL, f"the hypervisor took {_percent(steal)} of the machine's time"))
    held = reading.get("throttled_share")
    if waited is not None and others is not None:
        waited = max(waited - (held or 0.0), 0.0)  # time that its own quota took is not laid to others
        phrase = f"a thread waited {_percent(waited)} of the time for a processor; others used {others:.2f} processors"
        found.append(Indicator(min(waited / WAIT, others / OTHERS), phrase))
    elif waited is not None and threads == 1:  # nobody tells of others, and it has no helper that it could wait for
        waited = max(waited - (held or 0.0), 0.0)
        found.append(Indicator(waited / WAIT, f"its one thread waited {_percent(waited)} of the time for a processor"))
    # Of the machine's processors, whatever part of them this process may use: others are counted on all of them. Where
    # they take its own ones, its threads wait.
    count = reading.get("machine_processors")
    if on_cpu and others is not None and count:
        found.append(
            Indicator(others / count / MAX_OTHER_LOAD, f"others used {others:.2f} of the machine's {count} processors")
        )
    if held is not None:
        found.append(Indicator(held / QUOTA, f"{THROTTLED} for {_percent(min(held, 1.0))} of the time"))
    if reading.get("stopped_seconds") is not None:
        seconds = reading["stopped_seconds"]
        ratio = seconds / max(reading["wall_seconds"], 1e-3) / STOPPED
        found.append(Indicator(ratio, f"the process was stopped for {seconds:.1f} s"))
    if (reading.get("suspended_seconds") or 0.0) >= SUSPENDED:
        found.append(Indicator(None, f"the machine was suspended for {reading['suspended_seconds']:.1f} s"))
    if waited is None and threads == 1 and reading.get("cpu_seconds"):
        idle = reading["wall_seconds"] / reading["cpu_seconds"] - 1
        found.append(Indicator(idle / IDLE, f"its one thread took {_percent(idle)} longer than it ran"))
    memory = (reading.get("pressure") or {}).get("memory")
    if memory is not None:
        found.append(Indicator(memory / MEMORY_PRESSURE, f"some task waited {_percent(memory)} of the time for memory"))
    if reading.get("swap_bytes") is not None:
        grown = reading["swap_bytes"]
        found.append(Indicator(grown / SWAPPED, f"swap grew by {grown / 2**20:.0f} MiB"))
    if reading.get("device_others"):
        count = reading["device_others"]
        found.append(Indicator(None, f"{count} other process{'es' if count > 1 else ''} computed on the device"))
    heat = [reason for reason in reading.get("device_throttle") or [] if reason != POWER_CAP]
    if heat:
        found.append(Indicator(None, f"{HELD_BACK}: {', '.join(heat)}"))
    if reading.get("thermal") in THERMAL_LEVELS[THERMAL_LEVELS.index(THERMAL) + 1 :]:
        found.append(Indicator(None, f"{HOT}: {reading['thermal']}"))
    if reading.get("on_battery"):
        found.append(Indicator(None, BATTERY))
    return found


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
