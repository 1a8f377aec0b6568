"""What the rest of the worker may ask of a device."""

from __future__ import annotations

import functools
import multiprocessing
import os
import resource
import sys
from collections.abc import Callable
from typing import Any, Protocol

from ..monitors.energy import EnergyMeter
from ..rejection import CaseRejected


class Device(Protocol):
    """A kind of device. Only its own file calls ``torch.<kind>``."""

    name: str
    kind: str
    asked: str
    """What torch and Ultralytics are asked for; differs from ``name`` where only the case's cards are left visible."""
    own: str
    """What this process's device is called there: one of ``asked``."""

    def why_unusable(self) -> str:
        """One sentence on why this process cannot use it, or an empty string."""

    def synchronize(self) -> None:
        """Wait until everything that was enqueued has run."""

    def limit_memory(self, size: int) -> None:
        """Let this process have so many bytes of the device's memory; 0 for as many as are safe.

        Raises:
            Refused: where the device has less, so that nothing would be held to it.
        """

    def reset_peaks(self) -> None:
        """Begin to measure peak memory anew."""

    def memory(self) -> dict[str, dict[str, Any]]:
        """Peaks since :meth:`reset_peaks`: ``allocated``, ``reserved``, ``process``, ``device``, each ``{bytes, how}``.

        ``bytes`` is None where a figure cannot be had; ``how`` then says why.
        """

    def sample_memory(self) -> None:
        """A part of a step ended: look how much is allocated, where nothing keeps the peak; takes microseconds."""

    def facts(self) -> dict[str, Any]:
        """What the device is and how it is set."""

    def release(self) -> None:
        """Give back memory that is kept for later use, so that it counts in no peak."""

    def event(self) -> Any:
        """A new event with ``record`` and ``elapsed_time`` (milliseconds); only where marks are taken by events."""

    def energy(self) -> EnergyMeter:
        """Return a counter of the joules of a case; raise :class:`EnergyUnavailable` where there is none."""

    def warming(self, begins: bool) -> None:
        """Warm-up begins, or is over: what may be looked for in untimed steps alone."""

    def sample(self) -> dict[str, Any]:
        """Return clocks, temperature and load (:func:`device_status`) at an edge of a window; never raises."""


CAPACITY_TOLERANCE = 1.05
"""Times what torch tells of a device that a limit may be: a card of 24 GiB keeps some of them for itself."""


def share_of(name: str, size: int, there: int) -> float:
    """The share of a device's bytes that a limit is, at most 1; :class:`~..refusal.CaseRejected` where it has less."""
    if size > CAPACITY_TOLERANCE * there:
        asked, has = (f"{round(one / 2**30, 1):,g} GiB" for one in (size, there))
        reason = f"device {name}: a memory limit of {asked} is more than it has, {has}."
        raise CaseRejected("unsupported", reason)
    return min(size / there, 1.0)


def memory_value(value: int | None, how: str) -> dict[str, Any]:
    """A memory figure with the way it was got."""
    return {"bytes": value, "how": how}


Figure = Callable[[], dict[str, Any]]


def recorded(read: Figure) -> Figure:
    """A reader of a memory figure that never raises: the figure is None where the system tells something odd."""

    @functools.wraps(read)
    def reader() -> dict[str, Any]:
        try:
            return read()
        except (OSError, ValueError, KeyError, IndexError) as error:
            return memory_value(None, f"what the system tells cannot be read ({type(error).__name__})")

    return reader


def device_status(
    clock: float | None = None,
    temperature: float | None = None,
    throttle: list[str] | None = None,
    others: int | None = None,
) -> dict[str, Any]:
    """A device at one moment; None for what it does not tell.

    Args:
        clock: in MHz.
        temperature: in degrees Celsius.
        throttle: reasons for which it holds its clocks back; empty for none.
        others: other processes that compute on it.
    """
    return {
        "device_clock_mhz": clock,
        "device_temperature": temperature,
        "device_throttle": throttle,
        "device_others": others,
    }


forked_from: int | None = None
"""The preloaded parent of this process, if it has one."""

_peak_is_reset = False


def reset_process_peak() -> None:
    """Lower the peak resident set of this process to its present size, where the system can (Linux)."""
    global _peak_is_reset
    try:
        with open("/proc/self/clear_refs", "w", encoding="utf-8") as control:
            control.write("5")
        _peak_is_reset = True
    except OSError:
        _peak_is_reset = False


def _status(process: int | str) -> dict[str, int]:
    """Sizes of a process in bytes, by their names in ``/proc``; nothing where there is no such thing."""
    try:
        with open(f"/proc/{process}/status", encoding="utf-8", errors="replace") as status:
            fields = [line.split() for line in status]
    except OSError:
        return {}
    return {words[0].rstrip(":"): int(words[1]) * 1024 for words in fields if words[-1] == "kB"}


@recorded
def private_peak() -> dict[str, Any]:
    """Peak of the memory of this process that no file backs: what a control group cannot take back from it."""
    own = _status("self")
    if "VmHWM" not in own:
        return memory_value(None, "this system does not tell it apart")
    since = "set-up" if _peak_is_reset else "the start of the process"
    return memory_value(own["VmHWM"] - own.get("RssFile", 0), f"VmHWM less RssFile, peak since {since}")


@recorded
def data_peak() -> dict[str, Any]:
    """Peak of the private memory that this process may write to, touched or not: what RLIMIT_DATA holds down."""
    own = _status("self")
    if "VmPeak" not in own:
        return memory_value(None, "this system does not tell it apart")
    grown = max(own["VmPeak"] - own["VmSize"], 0)
    return memory_value(own["VmData"] + grown, "VmData, and by how much VmSize was larger once")


@recorded
def loaders_memory() -> dict[str, Any]:
    """What data loader processes have for themselves at this moment: pages that no file backs and nobody shares."""
    loaders = [child.pid for child in multiprocessing.active_children() if child.pid is not None]
    if not loaders:
        return memory_value(None, "there were no data loader processes")
    sizes = [size for loader in loaders if (size := _private(loader)) is not None]
    if not sizes:
        return memory_value(None, "this system does not tell it of other processes")
    return memory_value(
        sum(sizes),
        f"private memory of {len(sizes)} data loader process{'es' * (len(sizes) > 1)} at the end of the window",
    )


def _private(process: int) -> int | None:
    """Bytes of a process that are its own: of a forked one that is what it has not left as its parent had it."""
    try:
        with open(f"/proc/{process}/smaps_rollup", encoding="utf-8") as rollup:
            fields = [line.split() for line in rollup]
    except OSError:
        return None
    return sum(int(words[1]) * 1024 for words in fields if words[0] in ("Private_Clean:", "Private_Dirty:"))


@recorded
def process_peak() -> dict[str, Any]:
    """Peak resident set of this process, data loader processes apart.

    A forked worker has not touched all library pages that its preloaded parent has read; a fresh process would have, so
    they are added.
    """
    own = _status("self")
    if "VmHWM" in own:
        how = f"VmHWM, peak resident set since {'set-up' if _peak_is_reset else 'the start of the process'}"
        shared = 0
        if forked_from is not None:
            shared = max(_status(forked_from).get("RssFile", 0) - own.get("RssFile", 0), 0)
            how += ", with the libraries that the preloaded parent holds"
        return memory_value(own["VmHWM"] + shared, how)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    unit = 1 if sys.platform == "darwin" else 1024  # bytes on macOS, KiB elsewhere
    return memory_value(peak * unit, f"ru_maxrss, peak resident set since start on {os.uname().sysname}")
