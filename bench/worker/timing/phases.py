"""Time the phases of a step: the workload marks the end of each phase, and durations are computed later.

On a CPU a mark reads the clock. On cuda it records an event, which costs the host microseconds and does not block the
device. On mps neither is accurate, so phases are timed in separate steps after the window, with the device
synchronised at every mark.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

from ..devices import Device

SEPARATE_STEPS = 8
"""Steps of the separate pass on a device that needs synchronisation: the short accumulation steps, and two more."""

PAUSE = "pause"
"""Name of the time between two marks that belongs to no phase: another worker had its turn."""


class Phases:
    """The phase marks of all steps.

    Args:
        stamp: takes the time stamp of a mark.
        between: returns the seconds between two stamps; called after timing has ended.
        method: description of the clock and of the steps that are timed.
    """

    def __init__(self, stamp: Callable[[], Any], between: Callable[[Any, Any], float], method: str) -> None:
        self.method = method
        self._stamp = stamp
        self._between = between
        self._steps: list[list[tuple[str, Any]]] = []
        self._marks: list[tuple[str, Any]] = []

    def step_began(self) -> None:
        """Note that the data of a step have arrived: its first phase begins."""
        self._marks = [("", self._stamp())]

    def phase_ended(self, part: str) -> None:
        """Note that a phase of the current step ended, and the next one begins."""
        if self._marks:
            self._marks.append((part, self._stamp()))

    def resumed(self) -> None:
        """Exclude the time since the last mark (a pause) from all phases."""
        self.phase_ended(PAUSE)

    def step_ended(self) -> None:
        """Note that the current step ended."""
        self._steps.append(self._marks)
        self._marks = []

    def seconds(self, start: int, end: int) -> dict[str, list[float]]:
        """Return the seconds of every phase in each step from ``start`` to ``end``; 0 where a step lacks a phase."""
        steps = self._steps[start:end]
        parts = dict.fromkeys(part for step in steps for part, _ in step[1:] if part != PAUSE)
        return {part: [round(self._of(step, part), 7) for step in steps] for part in parts}

    def _of(self, step: list[tuple[str, Any]], part: str) -> float:
        pairs = itertools.pairwise(step)
        return sum(self._between(before, now) for (_, before), (name, now) in pairs if name == part)


def by_clock(method: str, wait: Callable[[], None] | None = None) -> Phases:
    """Time phases by the host's clock; ``wait`` synchronises an asynchronous device before each reading."""
    if wait is None:
        return Phases(time.perf_counter, lambda a, b: b - a, method)

    def stamp() -> float:
        wait()
        return time.perf_counter()

    return Phases(stamp, lambda a, b: b - a, method)


def by_events(new_event: Callable[[], Any]) -> Phases:
    """Time phases by device events: ``record`` enqueues an event, ``elapsed_time`` returns milliseconds."""

    def stamp() -> Any:
        event = new_event()
        event.record()
        return event

    return Phases(stamp, lambda a, b: a.elapsed_time(b) / 1e3, "device events, steps of the window")


OF_WINDOW = "host clock, steps of the window"
SEPARATELY = "host clock after waiting for the device, separate steps after the window"


class PhaseTimer:
    """Phases of the steps of a window or, on a device that needs synchronisation, of a separate pass after it.

    Args:
        device: device of the case.
        separate_pass: whether a separate pass is allowed.
    """

    def __init__(self, device: Device, separate_pass: bool) -> None:
        self._device = device
        self._wants_separate = separate_pass and device.separate_pass
        self._window = by_events(device.event) if device.timer == "events" else by_clock(OF_WINDOW)
        self._separate: Phases | None = None
        self._optimizer: list[bool] = []

    @property
    def in_separate_pass(self) -> bool:
        """Whether the separate pass has begun."""
        return self._separate is not None

    @property
    def _current(self) -> Phases:
        return self._separate or self._window

    def step_began(self) -> None:
        """Note that the data of a step have arrived."""
        self._current.step_began()

    def phase_ended(self, phase: str) -> None:
        """Note that a phase of the current step ended."""
        self._current.phase_ended(phase)

    def resumed(self) -> None:
        """Exclude the time since the last mark (a pause)."""
        self._window.resumed()

    def window_step_ended(self) -> None:
        """Note that a step of the warm-up or the window ended."""
        self._window.step_ended()

    def begin_separate_pass(self) -> bool:
        """Begin the separate pass where the device needs one; return whether it does."""
        if self._wants_separate:
            self._separate = by_clock(SEPARATELY, self._device.synchronize)
            self._optimizer.append(False)
        return self._wants_separate

    def optimizer_stepped(self) -> None:
        """Note that the current step of the separate pass runs the optimizer."""
        self._optimizer[-1] = True

    def separate_step_ended(self) -> bool:
        """End a step of the separate pass; return whether it was the last one."""
        self._current.step_ended()
        if len(self._optimizer) == 1 + SEPARATE_STEPS:
            return True
        self._optimizer.append(False)
        return False

    def report(self, start: int, end: int) -> dict[str, Any]:
        """Return seconds of each phase in each step of a window, or of the separate pass.

        ``optimizer`` has the steps of the separate pass that ran the optimizer; None for the window's own steps.
        """
        if self._separate is None:
            return {"method": self._window.method, "seconds": self._window.seconds(start, end), "optimizer": None}
        # The first step may follow an optimizer step of the window, so its kind is unknown. Where it runs the optimizer
        # itself, the second step allocates gradients again, which no mark would show.
        count, first = len(self._optimizer), 2 if self._optimizer[0] else 1
        return {
            "method": self._separate.method,
            "seconds": self._separate.seconds(first, count),
            "optimizer": [index - first for index, ran in enumerate(self._optimizer) if ran and index >= first],
        }
