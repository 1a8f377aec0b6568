"""Interface of a device in a worker, and the memory of this process."""

from __future__ import annotations

import functools
import gc
import multiprocessing
import os
import re
import resource
import sys
from collections.abc import Callable
from typing import Any

from ..monitors.energy import EnergyMeter, EnergyUnavailable
from ..rejection import CaseRejected


class Device:
    """A device of a case in one process; the defaults are those of a device that computes on the host.

    Only the file of a kind calls ``torch.<kind>``. The rest of the worker asks these properties, never the kind's name;
    ``bench/cases/device_kinds.py`` has the same properties for the runner, and a test compares both.

    Attributes:
        kind: name of the kind in torch.
        indexed: whether there may be several devices, distinguished by an index.
        on_host: whether it computes on the machine's processors, so that other programs' load slows it down.
        own_memory: whether its memory is separate from the machine's: it then runs out without making the machine swap.
        caches_memory: whether its allocator keeps freed memory, which peaks then include.
        asynchronous: whether the host runs ahead of it.
        weighs_steps: whether a window may weight kinds of steps, in place of a multiple of the real accumulation steps.
        compare_losses: when the first losses are compared with the CPU's: ``always``, ``on_request``, ``never``.
        name: name of the device in the case.
        device_argument: device argument for Ultralytics; differs from ``name`` where other cards are hidden.
        local_name: name of this process's device under that numbering, as :meth:`called` gives it.
        index: index of this process's device among those that it sees.
        indices: indices of all devices of the case on this machine, among those that it sees.
        taken: number of devices that this process takes; the first one is asked for figures.
    """

    kind: str
    indexed = False
    on_host = True
    own_memory = False
    caches_memory = False
    asynchronous = False
    weighs_steps = True
    compare_losses = "never"
    device_argument: str
    local_name: str
    taken = 1

    def __init__(self, name: str, rank: int = 0) -> None:
        """Take no device yet.

        Args:
            name: device of the case, or several joined by ``+``.
            rank: rank of this process, which selects one of them.
        """
        self.name = name
        parts = devices_of_node(name)
        self.index = index_of(parts[min(rank, len(parts) - 1)])
        self.indices = [index_of(part) for part in parts]

    @classmethod
    def called(cls, index: int) -> str:
        """Return the name that cases give to the device of an index."""
        return f"{cls.kind}:{index}" if cls.indexed and index else cls.kind

    @property
    def torch_device(self) -> str:
        """Name of this process's device for ``torch.device``, such as ``cuda:0``."""
        return f"{self.kind}:{self.index}" if self.indexed else self.kind

    @classmethod
    def probe_backend(cls) -> dict[str, Any]:
        """Return torch's facts about this kind, for :mod:`bench.machine.doctor`."""
        return {}

    @property
    def timer(self) -> str:
        """Clock of the phases: ``events``, ``synchronized_pass`` or ``clock``."""
        return "clock"

    @property
    def separate_pass(self) -> bool:
        """Whether phases are timed in separate steps after the window, with the device synchronised at each mark."""
        return self.timer == "synchronized_pass"

    def why_unusable(self) -> str:
        """Return one sentence on why this process cannot use it, or an empty string; may take the device."""
        return ""

    def synchronize(self) -> None:
        """Wait until everything that was enqueued has run."""

    def limit_memory(self, size: int) -> None:
        """Limit this process to ``size`` bytes of the device's memory; 0 for as many as are safe.

        Raises:
            CaseRejected: where the device has less, so that the limit would have no effect.
        """

    def reset_peaks(self) -> None:
        """Reset peak memory."""
        reset_process_peak()

    def memory(self) -> dict[str, dict[str, Any]]:
        """Return peaks since :meth:`reset_peaks`: ``allocated``, ``reserved``, ``process``, ``device``.

        Each is ``{bytes, method}``. Without a figure, ``bytes`` has no value (None) and ``method`` says why.
        """
        raise NotImplementedError

    def sample_memory(self) -> None:
        """Sample the allocated memory at the end of a phase, where no allocator keeps the peak; takes microseconds."""

    def info(self) -> dict[str, Any]:
        """Return the properties and settings of the device."""
        return {}

    def release(self) -> None:
        """Collect garbage, and give back memory that is kept for later use, so that no peak includes it."""
        gc.collect()

    def event(self) -> Any:
        """Return a new event with ``record`` and ``elapsed_time`` in milliseconds; only with the timer ``events``."""
        raise NotImplementedError

    def energy(self) -> EnergyMeter:
        """Return a counter of the joules of a case, or raise :class:`EnergyUnavailable`."""
        raise EnergyUnavailable(f"nothing counts the energy of {self.kind}")

    def set_warmup(self, begins: bool) -> None:
        """Note that warm-up begins, or is over: some checks may run only in untimed steps."""

    def read_status(self) -> dict[str, Any]:
        """Return clocks, temperature and load (:func:`device_status`) at an edge of a window; never raises."""
        return device_status()


def devices_of_node(name: str) -> list[str]:
    """Return the devices of a case on one machine: ``["0", "1"]`` of ``0+1`` and of ``2x0+1``."""
    return MACHINES.sub("", name).split("+")


def index_of(part: str) -> int:
    """Return the index of one device as cases name it: 1 of ``1`` and ``xpu:1``, 0 of ``cpu`` and ``xpu``."""
    match = re.search(r"[0-9]+$", part)
    return int(match[0]) if match else 0


MACHINES = re.compile(r"^[0-9]+x(?=.)")
"""Number of machines before the devices of a case."""

CAPACITY_TOLERANCE = 1.05
"""Maximum ratio of a limit to the memory that torch reports: a card of 24 GiB keeps some of it for itself."""


def share_of(name: str, size: int, there: int) -> float:
    """Return a memory limit as a share of the device's memory, at most 1.

    Raises:
        CaseRejected: where the device has less memory than the limit.
    """
    if size > CAPACITY_TOLERANCE * there:
        asked, has = (f"{round(amount / 2**30, 1):,g} GiB" for amount in (size, there))
        reason = f"device {name}: a memory limit of {asked} is more than it has, {has}."
        raise CaseRejected("unsupported", reason)
    return min(size / there, 1.0)


def memory_value(value: int | None, method: str) -> dict[str, Any]:
    """Return a memory figure with the method by which it was read."""
    return {"bytes": value, "method": method}


Figure = Callable[[], dict[str, Any]]


def recorded(read: Figure) -> Figure:
    """Return a reader of a memory figure that never raises: an implausible answer of the system reads as None."""

    @functools.wraps(read)
    def reader() -> dict[str, Any]:
        try:
            return read()
        except (OSError, ValueError, KeyError, IndexError) as error:
            return memory_value(None, f"the system's answer cannot be read ({type(error).__name__})")

    return reader


def device_status(
    clock: float | None = None,
    temperature: float | None = None,
    throttle: list[str] | None = None,
    others: int | None = None,
    utilization: float | None = None,
) -> dict[str, Any]:
    """Return the state of a device at one moment; None for values that it does not report.

    Args:
        clock: in MHz.
        temperature: in degrees Celsius.
        throttle: reasons for which it holds its clocks back; empty without throttling.
        others: other processes that compute on it.
        utilization: share of the time since the last reading in which it computed anything.
    """
    return {
        "device_clock_mhz": clock,
        "device_temperature": temperature,
        "device_throttle": throttle,
        "device_others": others,
        "device_utilization": utilization,
    }


forked_from: int | None = None
"""Process ID of the preloaded parent of this process, if it has one."""

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
    """Return the sizes of a process in bytes, by their names in ``/proc``; empty where that is unavailable."""
    try:
        with open(f"/proc/{process}/status", encoding="utf-8", errors="replace") as status:
            fields = [line.split() for line in status]
    except OSError:
        return {}
    return {words[0].rstrip(":"): int(words[1]) * 1024 for words in fields if words[-1] == "kB"}


@recorded
def private_peak() -> dict[str, Any]:
    """Return the peak of this process's memory that no file backs, which a control group cannot reclaim."""
    own = _status("self")
    if "VmHWM" not in own:
        return memory_value(None, "this system does not report it separately")
    since = "set-up" if _peak_is_reset else "the start of the process"
    return memory_value(own["VmHWM"] - own.get("RssFile", 0), f"VmHWM less RssFile, peak since {since}")


@recorded
def data_peak() -> dict[str, Any]:
    """Return the peak of this process's private writable memory, touched or not, which RLIMIT_DATA limits."""
    own = _status("self")
    if "VmPeak" not in own:
        return memory_value(None, "this system does not report it separately")
    grown = max(own["VmPeak"] - own["VmSize"], 0)
    return memory_value(own["VmData"] + grown, "VmData, and by how much VmSize was larger once")


def loader_processes() -> list[int]:
    """Return the process IDs of the data loader processes of this process."""
    return [child.pid for child in multiprocessing.active_children() if child.pid is not None]


@recorded
def loaders_memory() -> dict[str, Any]:
    """Return the present private memory of data loader processes: private pages that no file backs."""
    loaders = loader_processes()
    if not loaders:
        return memory_value(None, "there were no data loader processes")
    sizes = [size for loader in loaders if (size := _private(loader)) is not None]
    if not sizes:
        return memory_value(None, "this system does not report it for other processes")
    return memory_value(
        sum(sizes),
        f"private memory of {len(sizes)} data loader process{'es' * (len(sizes) > 1)} at the end of the window",
    )


def _private(process: int) -> int | None:
    """Return the private bytes of a process; for a forked one, the pages that are no longer shared with its parent."""
    try:
        with open(f"/proc/{process}/smaps_rollup", encoding="utf-8") as rollup:
            fields = [line.split() for line in rollup]
    except OSError:
        return None
    return sum(int(words[1]) * 1024 for words in fields if words[0] in ("Private_Clean:", "Private_Dirty:"))


@recorded
def process_peak() -> dict[str, Any]:
    """Return the peak resident set of this process, without data loader processes.

    A forked worker has not touched all library pages that its preloaded parent has read. A fresh process would have
    touched them, so they are added.
    """
    own = _status("self")
    if "VmHWM" in own:
        method = f"VmHWM, peak resident set since {'set-up' if _peak_is_reset else 'the start of the process'}"
        shared = 0
        if forked_from is not None:
            shared = max(_status(forked_from).get("RssFile", 0) - own.get("RssFile", 0), 0)
            method += ", with the libraries that the preloaded parent holds"
        return memory_value(own["VmHWM"] + shared, method)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    unit = 1 if sys.platform == "darwin" else 1024  # bytes on macOS, KiB elsewhere
    return memory_value(peak * unit, f"ru_maxrss, peak resident set since start on {os.uname().sysname}")
