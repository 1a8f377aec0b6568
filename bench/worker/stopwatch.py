"""When a step begins and ends, what is warm-up, and when the window is complete.

Knows nothing of torch or Ultralytics: the clock and the synchronisation are handed in.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

KEPT_WARMUP = 64
"""Steps of warm-up that a reading keeps, from its end; on a CPU that is mostly all of them."""


@dataclass(frozen=True)
class Rule:
    """What counts as warm-up and how long the window is; ``cycle`` is the accumulation, in steps.

    Warm-up is one whole accumulation cycle and two steps, and at least ``warmup_seconds``: the first optimizer step
    allocates its state, and the step after it allocates its gradients anew. The window is a whole number of cycles, so
    it holds optimizer steps in their real proportion wherever in a cycle it begins.
    """

    cycle: int
    warmup_seconds: float
    window_steps: int
    window_seconds: float

    def warm(self, steps: int, seconds: float) -> bool:
        """Whether ``steps`` steps that took ``seconds`` together are warm-up enough."""
        return steps >= self.cycle + 2 and seconds >= self.warmup_seconds

    def complete(self, steps: int, seconds: float) -> bool:
        """Whether a window of ``steps`` steps that took ``seconds`` together is complete."""
        return steps % self.cycle == 0 and steps >= self.window_steps and seconds >= self.window_seconds


@dataclass
class Stopwatch:
    """Takes the time of every step, from the end of one batch to the end of the next, waiting for data included."""

    rule: Rule
    synchronize: Callable[[], None] = lambda: None
    clock: Callable[[], float] = time.perf_counter
    on_window: Callable[[], None] = lambda: None
    seconds: list[float] = field(default_factory=list)
    data_wait: list[float] = field(default_factory=list)
    images: list[int] = field(default_factory=list)
    optimizer: list[int] = field(default_factory=list)
    interludes: list[float] = field(default_factory=list)
    warmup: int | None = None
    _edge: float = 0.0
    _began: float = 0.0
    _total: float = 0.0

    def start(self) -> None:
        """The first step begins now."""
        self.synchronize()
        self._edge = self.clock()

    def batch_arrived(self) -> None:
        """The data of the step that is under way are there."""
        self._began = self.clock()

    def optimizer_stepped(self) -> None:
        """The step that is under way ran the optimizer."""
        self.optimizer.append(len(self.seconds))

    def resume(self) -> None:
        """What passed since the last step ended belongs to no step (the turn of an epoch)."""
        if self.seconds:
            now = self.clock()
            self.interludes.append(now - self._edge)
            self._edge = now

    def step_ended(self, images: int) -> bool:
        """The step that is under way ended with ``images`` images done; whether that completes the window.

        The device is synchronised at the window's edges only.
        """
        now = self.clock()
        if self._completes(now - self._edge):
            self.synchronize()
            now = self.clock()
        took = now - self._edge
        self.seconds.append(took)
        self.data_wait.append(self._began - self._edge)
        self.images.append(images)
        self._total += took
        self._edge = now
        if self.warmup is None:
            if self.rule.warm(len(self.seconds), self._total):
                self._open()
            return False
        return self.rule.complete(len(self.seconds) - self.warmup, self._total)

    def _completes(self, took: float) -> bool:
        """Whether a step that took so many seconds would be the last of the window."""
        if self.warmup is None:
            return False
        return self.rule.complete(len(self.seconds) - self.warmup + 1, self._total + took)

    def _open(self) -> None:
        self.warmup = len(self.seconds)
        self._total = 0.0
        self.interludes.clear()
        self.on_window()
        self.synchronize()
        self._edge = self.clock()

    def reading(self) -> dict[str, Any]:
        """Steps to the microsecond, the end of warm-up first; lists run in parallel, ``optimizer`` holds their indices.

        A GPU warms up for hundreds of steps: all but the last :data:`KEPT_WARMUP` are dropped and counted.
        """
        warmup = self.warmup if self.warmup is not None else len(self.seconds)
        dropped = max(warmup - KEPT_WARMUP, 0)
        images = self.images[dropped:]
        return {
            "warmup": warmup - dropped,
            "dropped": dropped,
            "seconds": [round(s, 6) for s in self.seconds[dropped:]],
            "data_wait": [round(max(s, 0.0), 6) for s in self.data_wait[dropped:]],
            "images": images[0] if len(set(images)) == 1 else images,
            "optimizer": [index - dropped for index in self.optimizer if index >= dropped],
            "cycle": self.rule.cycle,
            "interludes": [round(s, 6) for s in self.interludes],
        }
