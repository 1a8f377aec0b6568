"""Judge interference with a window from system counters, never from the window's speed.

A rule on speed would discard slow windows and so make every figure too good.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ..protocol import MAX_OTHER_LOAD, MAX_STEAL
from .macos import THERMAL_LEVELS
from .nvml import POWER_CAP

WAIT = 0.02
"""Maximum share of time that a runnable thread may wait for a CPU. Of 39 fresh processes of one case on a shared
machine, those within 2 % of wall over CPU time had a standard deviation of 1.95 %. All 39 had one of 15.5 %."""

OTHERS = 0.02
"""Maximum number of CPUs that other processes may use while a thread waits. They cannot delay it for longer than they
run, so the smaller of both ratios counts: a process that waits for its own data loaders has no interference."""

STOPPED = WAIT
"""Maximum share of time for which the process may be stopped."""

QUOTA = WAIT
"""Maximum share of time for which a CPU quota may throttle the process."""

IDLE = WAIT
"""Maximum excess of wall time over CPU time, for a single thread on a system that does not report run delay."""

MEMORY_PRESSURE = WAIT
"""Maximum share of time in which some task may wait for memory; an upper bound of what the wait costs."""

SWAPPED = 64 * 2**20
"""Maximum growth of swap in bytes. On a Mac, full memory is no error: training goes on and becomes ever slower."""

SUSPENDED = 0.1
"""Seconds of machine sleep from which a window is flagged: the machine is cold when it wakes."""

THERMAL = "moderate"
"""Highest thermal level without throttling; macOS throttles from ``heavy`` on."""

THROTTLED = "a CPU quota held the process back"
BATTERY = "the machine ran on its battery"
HELD_BACK = "the device held its clocks back"
HOT = "the machine was under thermal pressure"
PERSISTENT = (BATTERY, HELD_BACK, HOT, THROTTLED)
"""Prefixes of interference that persists when a window is measured again at once: battery, heat, quota."""


class Indicator(NamedTuple):
    """A covariate of a window, relative to its limit.

    Attributes:
        ratio: covariate divided by its limit; None for a covariate that is either present or absent.
        phrase: description in the past tense.
    """

    ratio: float | None
    phrase: str

    @property
    def exceeds_limit(self) -> bool:
        """Whether the covariate is beyond its limit."""
        return self.ratio is None or self.ratio > 1


def describe_interference(reading: dict[str, Any], threads: int | None = None, on_cpu: bool = False) -> list[str]:
    """List the interference with a window, one phrase per kind; empty for a calm window.

    Args:
        reading: of a :class:`~.system.SystemMonitor`; values that are missing or None are not judged.
        threads: 1 where a single thread does all the work of a CPU case, data loading included, and so never idles.
            None where idling is legitimate: on other devices, and with data loader processes.
        on_cpu: whether the case runs on the CPU, where load by other processes slows it down.
    """
    return [indicator.phrase for indicator in indicators(reading, threads, on_cpu) if indicator.exceeds_limit]


def worth_retrying(reasons: list[str]) -> bool:
    """Whether any interference found is of a kind that a new window may avoid."""
    return any(not reason.startswith(PERSISTENT) for reason in reasons)


def severity(reading: dict[str, Any], threads: int | None = None, on_cpu: bool = False) -> float:
    """Score the interference with a window, so that the calmest of several can be kept; 0 is calm.

    The score is the greatest ratio of a covariate to its limit, plus 1 for every covariate without a ratio. So windows
    that share such a covariate, such as the battery, are ranked by the others.
    """
    covariates = indicators(reading, threads, on_cpu)
    without_ratio = sum(indicator.ratio is None for indicator in covariates)
    return without_ratio + max(
        (indicator.ratio for indicator in covariates if indicator.ratio is not None), default=0.0
    )


def indicators(reading: dict[str, Any], threads: int | None = None, on_cpu: bool = False) -> list[Indicator]:
    """List every covariate that a reading has, relative to its limit."""
    covariates = []
    names = ("steal_share", "run_delay_share", "other_processes_cpus")
    steal, waited, others = (reading.get(name) for name in names)
    if steal is not None:
        covariates.append(Indicator(steal / MAX_STEAL, f"the hypervisor took {_percent(steal)} of the machine's time"))
    held = reading.get("throttled_share")
    if waited is not None and others is not None:
        waited = max(waited - (held or 0.0), 0.0)  # other processes are not blamed for the process's own quota
        phrase = f"a thread waited {_percent(waited)} of the time for a processor; others used {others:.2f} processors"
        covariates.append(Indicator(min(waited / WAIT, others / OTHERS), phrase))
    elif waited is not None and threads == 1:  # load of others is unknown; without helpers, only others can delay it
        waited = max(waited - (held or 0.0), 0.0)
        covariates.append(
            Indicator(waited / WAIT, f"its one thread waited {_percent(waited)} of the time for a processor")
        )
    # A share of all CPUs of the machine, because other processes are counted on all of them. Where they take the CPUs
    # that this process may use, its threads wait, which the run delay above shows.
    count = reading.get("machine_processors")
    if on_cpu and others is not None and count:
        covariates.append(
            Indicator(others / count / MAX_OTHER_LOAD, f"others used {others:.2f} of the machine's {count} processors")
        )
    if held is not None:
        covariates.append(Indicator(held / QUOTA, f"{THROTTLED} for {_percent(min(held, 1.0))} of the time"))
    if reading.get("stopped_seconds") is not None:
        seconds = reading["stopped_seconds"]
        ratio = seconds / max(reading["wall_seconds"], 1e-3) / STOPPED
        covariates.append(Indicator(ratio, f"the process was stopped for {seconds:.1f} s"))
    if (reading.get("suspended_seconds") or 0.0) >= SUSPENDED:
        covariates.append(Indicator(None, f"the machine was suspended for {reading['suspended_seconds']:.1f} s"))
    if waited is None and threads == 1 and reading.get("cpu_seconds"):
        idle = reading["wall_seconds"] / reading["cpu_seconds"] - 1
        covariates.append(Indicator(idle / IDLE, f"its one thread took {_percent(idle)} longer than it ran"))
    memory = (reading.get("pressure") or {}).get("memory")
    if memory is not None:
        covariates.append(
            Indicator(memory / MEMORY_PRESSURE, f"some task waited {_percent(memory)} of the time for memory")
        )
    if reading.get("swap_bytes") is not None:
        grown = reading["swap_bytes"]
        covariates.append(Indicator(grown / SWAPPED, f"swap grew by {grown / 2**20:.0f} MiB"))
    if reading.get("device_others"):
        count = reading["device_others"]
        covariates.append(Indicator(None, f"{count} other process{'es' if count > 1 else ''} computed on the device"))
    heat = [reason for reason in reading.get("device_throttle") or [] if reason != POWER_CAP]
    if heat:
        covariates.append(Indicator(None, f"{HELD_BACK}: {', '.join(heat)}"))
    if reading.get("thermal") in THERMAL_LEVELS[THERMAL_LEVELS.index(THERMAL) + 1 :]:
        covariates.append(Indicator(None, f"{HOT}: {reading['thermal']}"))
    if reading.get("on_battery"):
        covariates.append(Indicator(None, BATTERY))
    return covariates


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
