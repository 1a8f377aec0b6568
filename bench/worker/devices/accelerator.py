"""Drive an accelerator by ``torch.accelerator``, or the kind's own module where the measured torch lacks a call.

``torch.accelerator`` has availability, ``synchronize`` and events since 2.6, memory statistics since 2.9, and
``get_memory_info`` since 2.10. Each figure names the call that returned it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

from ..rejection import CaseRejected
from ..text import one_line
from . import events
from .base import Device, device_status, devices_of_node, index_of, memory_value, process_peak, share_of

WITHOUT_INDEX = ("is_available", "device_count", "empty_cache")
"""Calls that concern all devices of a kind, and so take no index."""

MISSING = (AttributeError, RuntimeError, AssertionError)
"""Errors of a call that this torch lacks, or lacks for this kind (NotImplementedError among them)."""


class NotReported(Exception):
    """Error where no call of this torch answers; the text says what was tried."""


class Accelerator(Device):
    """A device that torch drives asynchronously, with separate memory and an allocator that keeps freed memory.

    Attributes:
        title: name of the kind in messages.
        install: instruction for a torch that is built without it.
        events_since: the first torch (major, minor) whose events of this kind may be tried.
    """

    indexed = True
    on_host = False
    own_memory = True
    caches_memory = True
    asynchronous = True
    weighs_steps = False
    compare_losses = "always"
    title = ""
    install = ""
    events_since = (2, 6)

    def __init__(self, name: str, rank: int = 0) -> None:
        """Take no device yet; see :class:`~.base.Device`."""
        super().__init__(name, rank)
        if self.indexed:
            self.device_argument = f"{self.kind}:{','.join(str(index_of(part)) for part in devices_of_node(name))}"
        else:
            self.device_argument = self.kind
        self.local_name = self.called(self.index)
        self._wait: Callable[[], Any] | None = None
        self._new_event: Callable[[], Any] | None = None
        self._events_trouble: str | None = None
        self._keeps_peaks = True
        self._allocated: list[int] = []
        self._allocated_now: tuple[Callable[[], Any], str] | None = None

    # Calls of torch

    def calls(self, function: str, *of_module: str) -> list[tuple[Callable[[], Any], str]]:
        """Return the calls of this torch for a question, the most general first, each with its name.

        Args:
            function: name in ``torch.accelerator``.
            of_module: names in the kind's own module, where they differ.
        """
        import torch

        calls: list[tuple[Callable[[], Any], str]] = []
        places = [("accelerator", function)] if self._is_current() else []
        for place, name in [*places, *((self.kind, name) for name in of_module or (function,))]:
            call = getattr(getattr(torch, place, None), name, None)
            if call is not None:
                takes_index = name not in WITHOUT_INDEX and (self.indexed or place == "accelerator")
                arguments = (self.index,) if takes_index else ()
                calls.append((functools.partial(call, *arguments), f"torch.{place}.{name}"))
        return calls

    def ask(self, function: str, *of_module: str) -> tuple[Any, str]:
        """Return the answer of the first call that has one, and the name of that call.

        Raises:
            NotReported: where no call answers.
        """
        import torch

        trouble = "no call for it"
        for call, name in self.calls(function, *of_module):
            try:
                return call(), name
            except MISSING as error:
                trouble = f"{name}: {one_line(str(error), 120)}"
        raise NotReported(f"torch {torch.__version__} does not report it on {self.kind} ({trouble})")

    def _is_current(self) -> bool:
        """Whether this kind is the one that ``torch.accelerator`` means."""
        import torch

        try:
            current = torch.accelerator.current_accelerator()
        except MISSING:
            return False
        return current is not None and current.type == self.kind

    def _module(self) -> Any:
        """Return the kind's own module, such as ``torch.xpu``; None where this torch has none."""
        import torch

        return getattr(torch, self.kind, None)

    # Availability

    def why_unusable(self) -> str:
        """Check that torch was built for the kind and sees the device; return one sentence, or an empty string."""
        import torch

        count, reason = self.count()
        if self.index < count:
            return ""
        if count:
            reason = f"this machine has {count} {self.title} device(s), numbered from 0."
        elif not self.is_built():
            reason = f"this torch {torch.__version__} is built without {self.title}; {self.install}."
        return (
            f"device {self.name}: {reason or f'torch {torch.__version__} sees no {self.title} device on this machine.'}"
        )

    def is_built(self) -> bool:
        """Whether this torch was built for the kind; called where torch sees no device."""
        return self._module() is not None

    def count(self) -> tuple[int, str]:
        """Return the number of devices that torch sees, and the error where it sees none."""
        try:
            available, _ = self.ask("is_available")
            return (int(self.ask("device_count")[0]), "") if available else (0, "")
        except NotReported as error:
            return 0, f"{error}."
        except Exception as error:  # a driver that does not start
            return 0, one_line(f"{type(error).__name__}: {error}")

    @classmethod
    def probe_backend(cls) -> dict[str, Any]:
        """Return ``reason`` (why it cannot be used, or empty), and ``devices``: ``name`` and ``bytes`` of each."""
        first = cls(cls.called(0))
        reason = first.why_unusable()
        devices = []
        for index in range(0 if reason else first.count()[0]):
            facts = cls(cls.called(index)).info()
            devices.append({"name": facts.get("name") or cls.title, "bytes": facts.get("total_memory")})
        return {"reason": reason, "devices": devices}

    # Time

    @property
    def timer(self) -> str:
        """Return ``events`` where they pass a self-test on this device, else ``synchronized_pass``."""
        if self._events_trouble is None:
            self._new_event, self._events_trouble = self._find_events()
        return "synchronized_pass" if self._events_trouble else "events"

    def _find_events(self) -> tuple[Callable[[], Any] | None, str]:
        """Return a function that makes events that measure time, or the reason for its absence."""
        import torch

        if major_minor(torch.__version__) < self.events_since:
            since = ".".join(map(str, self.events_since))
            return None, f"events of {self.kind} are not to be trusted before torch {since}"
        trouble = f"torch {torch.__version__} has no events of {self.kind}"
        of_kind = getattr(self._module(), "Event", None)
        makers: list[Callable[[], Any]] = []
        if of_kind is not None:  # first, since CUDA's has been in use for longest
            makers.append(lambda: of_kind(enable_timing=True))
        if (general := getattr(torch, "Event", None)) is not None:
            makers.append(lambda: general(self.kind, enable_timing=True))
        for make in makers:
            try:
                trouble = events.trouble(make, self.synchronize, self._work)
            except Exception as error:
                trouble = f"events of {self.kind} cannot be used ({type(error).__name__}: {one_line(str(error), 120)})"
            if not trouble:
                return make, ""
        return None, trouble

    def _work(self) -> Callable[[], Any]:
        """Return work of a few milliseconds that enqueues quickly and needs no library that keeps memory."""
        import torch

        place = torch.device(self.kind, self.index) if self.indexed else torch.device(self.kind)
        numbers = torch.ones(events.NUMBERS, device=place)
        return lambda: [numbers.mul_(1.0) for _ in range(events.REPEATS)]

    def event(self) -> Any:
        """Return a new event of the current stream, which measures time."""
        if self.timer != "events":
            raise NotImplementedError(self._events_trouble)
        assert self._new_event is not None
        return self._new_event()

    def synchronize(self) -> None:
        """Wait for all streams of the device."""
        if self._wait is not None:
            self._wait()
            return
        calls = self.calls("synchronize")
        for number, (call, _) in enumerate(calls, 1):  # the first that works is used from then on
            try:
                call()
            except MISSING:
                if number == len(calls):
                    raise
            else:
                self._wait = call
                return
        raise NotReported(f"this torch cannot wait for {self.kind}")

    # Memory

    def limit_memory(self, size: int) -> None:
        """Hold the caching allocator to a fraction of the device; context and libraries do not count."""
        if not size:
            return
        total = self.total_memory()
        limit = getattr(self._module(), "set_per_process_memory_fraction", None)
        if total is None or limit is None:
            reason = f"device {self.name}: this torch cannot hold {self.kind} to a memory limit: leave the limit out."
            raise CaseRejected("unsupported", reason, scope=("device",))
        limit(share_of(self.name, size, total), self.index)

    def total_memory(self) -> int | None:
        """Return the bytes of the device; None where torch does not say."""
        try:
            return int(self._module().get_device_properties(self.index).total_memory)
        except MISSING:
            pass
        try:
            return int(self.ask("get_memory_info", "mem_get_info")[0][1])
        except NotReported:
            return None

    def reset_peaks(self) -> None:
        """Reset the allocator's peaks; where torch keeps no peaks, samples stand in."""
        super().reset_peaks()
        self._allocated = []
        try:
            self.ask("reset_peak_memory_stats")
            self._keeps_peaks = True
        except NotReported:
            self._keeps_peaks = False

    def sample_memory(self) -> None:
        """Sample the allocated memory where torch keeps no peak; the host counts it, so this does not synchronise."""
        if self._keeps_peaks:
            return
        if self._allocated_now is None:
            calls = self.calls("memory_allocated", "memory_allocated", "current_allocated_memory")
            self._allocated_now = next(((call, name) for call, name in calls if _answers(call)), (lambda: None, ""))
        if (size := self._allocated_now[0]()) is not None:
            self._allocated.append(int(size))

    def memory(self) -> dict[str, dict[str, Any]]:
        """Return the allocator's peaks; the device figure is the present memory of all processes on it."""
        figures = {
            "allocated": self._peak("max_memory_allocated") or self._sampled_peak(),
            "reserved": self._peak("max_memory_reserved")
            or memory_value(None, f"torch keeps no peak of reserved memory on {self.kind}"),
            "device": self._in_use(),
        }
        if self.taken > 1:
            first = f"first of {self.taken} devices"
            figures = {name: {**read, "method": f"{read['method']}; {first}"} for name, read in figures.items()}
        return {**figures, "process": process_peak()}

    def _peak(self, function: str) -> dict[str, Any] | None:
        """Return a peak that torch keeps; None without one. Torch returns 0 where it counts nothing."""
        try:
            size, how = self.ask(function)
        except NotReported:
            return None
        return memory_value(int(size), how) if size and self._keeps_peaks else None

    def _sampled_peak(self) -> dict[str, Any]:
        import torch

        missing = f"torch {torch.__version__} has no peak statistics on {self.kind}"
        if not self._allocated or self._allocated_now is None:
            return memory_value(None, f"{missing}, and nothing was sampled")
        how = f"largest of {len(self._allocated)} samples of {self._allocated_now[1]} where parts of steps end"
        return memory_value(max(self._allocated), f"{how}: {missing}")

    def _in_use(self) -> dict[str, Any]:
        try:
            (free, total), how = self.ask("get_memory_info", "mem_get_info")
        except NotReported as error:
            return memory_value(None, str(error))
        return memory_value(int(total) - int(free), f"{how}, whole card at the end of the window")

    def release(self) -> None:
        """Collect garbage, and give back the memory that the caching allocator holds."""
        super().release()
        for call, _ in self.calls("empty_cache"):
            try:
                call()
            except MISSING:
                continue
            return

    # Properties and state

    def info(self) -> dict[str, Any]:
        """Return name, memory, and allocator retries (above 0: at the edge of memory), as far as torch reports them."""
        description: dict[str, Any] = {"name": self._named(), "total_memory": self.total_memory()}
        try:
            retries = self.ask("memory_stats")[0].get("num_alloc_retries")
        except NotReported:
            retries = None
        return {**description, "allocator_retries": retries, **self.why_no_events()}

    def why_no_events(self) -> dict[str, Any]:
        """Return the reason why phases are not timed by events, where events were tested and failed."""
        return {"events": self._events_trouble} if self._events_trouble else {}

    def _named(self) -> str | None:
        try:
            return str(self._module().get_device_name(self.index))
        except MISSING:
            return None

    def read_status(self) -> dict[str, Any]:
        """Return clock and temperature where the kind's module has them (xpu since torch 2.13)."""
        return device_status(clock=self._reading("clock_rate"), temperature=self._reading("temperature"))

    def _reading(self, function: str) -> float | None:
        try:
            return float(getattr(self._module(), function)(self.index))
        except Exception:  # no such function, no library that it needs, or no right to ask
            return None


def _answers(call: Callable[[], Any]) -> bool:
    try:
        call()
    except MISSING:
        return False
    return True


def major_minor(version: str) -> tuple[int, int]:
    """Return major and minor number of a version such as ``2.15.0+cu132``."""
    match = re.match(r"(\d+)\.(\d+)", version)
    return (int(match[1]), int(match[2])) if match else (0, 0)
