"""The parts of a step: their ends are marked where the workload passes them, and the times are taken out later.

On a CPU a mark reads the clock. On cuda it records an event, which costs the host microseconds and the device nothing
that it waits for. On mps neither tells the truth, so the parts are timed in steps of their own after the window, with
the device synchronised at every mark.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

SEPARATE_STEPS = 8
"""Steps of the separate pass on a device that has to be waited for: a short accumulation cycle and two."""

PAUSE = "pause"
"""The name of what is no part: another worker had its turn."""


class Phases:
    """Marks of all steps.

    Args:
        stamp: takes the moment of a mark.
        between: seconds between two of them; called when nothing is timed any more.
        method: the clock and the steps, in words.
    """

    def __init__(self, stamp: Callable[[], Any], between: Callable[[Any, Any], float], method: str) -> None:
        self.method = method
        self._stamp = stamp
        self._between = between
        self._steps: list[list[tuple[str, Any]]] = []
        self._marks: list[tuple[str, Any]] = []

    def step_began(self) -> None:
        """The data of a step are there: its parts begin."""
        self._marks = [("", self._stamp())]

    def part_ended(self, part: str) -> None:
        """A part of the step that is under way ended, and the next one begins."""
        if self._marks:
            self._marks.append((part, self._stamp()))

    def resumed(self) -> None:
        """What passed since the last mark was a pause and belongs to no part."""
        self.part_ended(PAUSE)

    def step_ended(self) -> None:
        """The step that is under way ended."""
        self._steps.append(self._marks)
        self._marks = []

    def seconds(self, start: int, end: int) -> dict[str, list[float]]:
        """Seconds of every part in each of the steps from ``start`` to ``end``; 0 where a step has no such part."""
        steps = self._steps[start:end]
        parts = dict.fromkeys(part for step in steps for part, _ in step[1:] if part != PAUSE)
        return {part: [round(self._of(step, part), 7) for step in steps] for part in parts}

    def _of(self, step: list[tuple[str, Any]], part: str) -> float:
        pairs = itertools.pairwise(step)
        return sum(self._between(before, now) for (_, before), (name, now) in pairs if name == part)


def by_clock(method: str, wait: Callable[[], None] | None = None) -> Phases:
    """Parts by the host's clock; ``wait`` is called before each reading, where a device runs behind."""
    if wait is None:
        return Phases(time.perf_counter, lambda a, b: b - a, method)

    def stamp() -> float:
        wait()
        return time.perf_counter()

    return Phases(stamp, lambda a, b: b - a, method)


def by_events(new_event: Callable[[], Any]) -> Phases:
    """Parts by events of a device: ``record`` enqueues them, ``elapsed_time`` gives milliseconds."""

    def stamp() -> Any:
        event = new_event()
        event.record()
        return event

    return Phases(stamp, lambda a, b: a.elapsed_time(b) / 1e3, "device events, steps of the window")
