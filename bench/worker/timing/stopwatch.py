"""When a step begins and ends, what is warm-up, and when a window is complete.

Knows nothing of torch or Ultralytics: the clock and the synchronisation are handed in.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

from ..protocol import SHORT_CYCLE, SLACK, Window

KEPT_WARMUP = 64
"""Steps of warm-up that a reading keeps, from its end; on a CPU that is mostly all of them."""


@dataclass(frozen=True)
class MeasurementPlan:
    """What counts as warm-up and how long a window is; ``cycle`` is the real accumulation, in steps.

    Warm-up is one cycle, though never more than a short one, and two steps, and at least ``warmup_seconds``: the first
    optimizer step allocates its state, and the step after it allocates its gradients again. A window is a whole number
    of cycles, so it holds optimizer steps in their real proportion wherever in a cycle it begins. Where accumulation
    is so long that this would take much longer than was asked for, the optimizer runs every :data:`SHORT_CYCLE` steps
    in the window, and the kinds of steps are weighted by their real proportion afterwards; ``only_whole`` rules that
    out. Two processes that are compared have to do the same steps: ``warmup_steps`` are a minimum on top of that, so
    that their windows hold the same images, and ``same_cycle`` is the pace of the optimizer in the window of the other.
    Where memory alone is looked at, ``short_cycle`` and ``settled_after`` (steps of warm-up after a cycle) are less.
    """

    cycle: int
    warmup_seconds: float
    window_steps: int
    window_seconds: float
    only_whole: bool = False
    warmup_steps: int = 0
    same_cycle: int = 0
    short_cycle: int = SHORT_CYCLE
    settled_after: int = 2

    @classmethod
    def of(cls, window: Window, cycle: int, only_whole: bool) -> MeasurementPlan:
        """Return the plan of a job's window.

        Args:
            window: of the job.
            cycle: real accumulation, in steps.
            only_whole: whether windows hold whole cycles, where the job leaves it to the device.
        """
        asked = {item.name: getattr(window, item.name) for item in fields(window)}
        whole = only_whole if window.only_whole is None else window.only_whole
        return cls(cycle=cycle, **{**asked, "only_whole": whole})

    @property
    def warmup_cycle(self) -> int:
        """Steps from one optimizer step to the next while warming up."""
        return min(self.cycle, self.short_cycle)

    def warm(self, steps: int, seconds: float) -> bool:
        """Whether ``steps`` steps that took ``seconds`` in all are warm-up enough."""
        return (
            steps >= max(self.warmup_cycle + self.settled_after, self.warmup_steps) and seconds >= self.warmup_seconds
        )

    def timed_accumulation_steps(self, step_seconds: float) -> int:
        """Steps from one optimizer step to the next in a window of steps that take about ``step_seconds``."""
        if self.same_cycle:
            return self.same_cycle
        asked = self.asked(step_seconds)
        whole = math.ceil(asked / self.cycle) * self.cycle
        return self.cycle if self.only_whole or whole <= SLACK * asked else self.warmup_cycle

    def asked(self, step_seconds: float) -> int:
        """Least steps of a window of steps that take about ``step_seconds``."""
        return max(self.window_steps, math.ceil(self.window_seconds / step_seconds))

    def complete(self, steps: int, seconds: float, timed_accumulation_steps: int) -> bool:
        """Whether a window of ``steps`` steps that took ``seconds`` in all is complete."""
        return steps % timed_accumulation_steps == 0 and steps >= self.window_steps and seconds >= self.window_seconds


@dataclass
class Stopwatch:
    """Takes the time of every step, from the end of one batch to the end of the next, waiting for data included.

    Attributes:
        accumulation: how many steps the optimizer is to wait for, from now on.
        windows: first step of each window, and the step that it ended before once it is complete.
        timed_accumulation_steps: ``accumulation`` in every window; 0 until warm-up is over.
        shared: whether other processes run the same steps, interleaved or at once: how many there are is then settled
            before they are timed.
        broadcast: takes what this process would do next, and returns what all of them do.
        on_begin: called where a window begins, after the steps of it that pass untimed.
        planned_steps: of a window, where that was settled; 0 where its own time settles when it is complete.
        epoch_gaps: how many steps had ended at the end of each epoch, and the seconds until the next one began.
        settle_steps: steps that pass after a window was opened before it begins. While the machine is read there,
            loader processes go on making batches: what they are ahead by belongs to no window.
        block: steps of a window after each of which another worker may have its turn; 0: none has.
    """

    rule: MeasurementPlan
    synchronize: Callable[[], None] = lambda: None
    clock: Callable[[], float] = time.perf_counter
    on_window: Callable[[], None] = lambda: None
    settle_steps: int = 0
    block: int = 0
    shared: bool = False
    broadcast: Callable[[Any], Any] = lambda value: value
    on_begin: Callable[[], None] = lambda: None
    seconds: list[float] = field(default_factory=list)
    data_wait: list[float] = field(default_factory=list)
    images: list[int] = field(default_factory=list)
    optimizer: list[int] = field(default_factory=list)
    windows: list[list[int]] = field(default_factory=list)
    epoch_gaps: list[tuple[int, float]] = field(default_factory=list)
    accumulation: int = 1
    timed_accumulation_steps: int = 0
    planned_steps: int = 0
    _last_boundary: float = 0.0
    _began: float = 0.0
    _total: float = 0.0
    _left: int = 0

    def start(self) -> None:
        """The first step begins now."""
        self.accumulation = self.rule.warmup_cycle
        self.synchronize()
        self._last_boundary = self.clock()

    @property
    def warm(self) -> bool:
        """Whether warm-up is over."""
        return self.timed_accumulation_steps > 0

    @property
    def timed_steps(self) -> int:
        """How many steps have ended since warm-up was over."""
        return len(self.seconds) - self.windows[0][0] if self.windows else 0

    @property
    def optimizer_steps(self) -> int:
        """How many of those ran the optimizer."""
        return sum(index >= self.windows[0][0] for index in self.optimizer) if self.windows else 0

    def batch_arrived(self) -> None:
        """Note that the data of the step under way are there."""
        self._began = self.clock()

    def optimizer_stepped(self) -> None:
        """Note that the step under way ran the optimizer."""
        self.optimizer.append(len(self.seconds))

    def epoch_boundary(self) -> None:
        """Exclude the time since the last step (an epoch boundary) from step times."""
        if self.seconds:
            now = self.clock()
            self.epoch_gaps.append((len(self.seconds), now - self._last_boundary))
            self._last_boundary = now

    def exclude(self, seconds: float) -> None:
        """Exclude a pause from the step under way; it began after the data of the step were there."""
        self._last_boundary += seconds
        self._began += seconds

    def restart_step(self) -> None:
        """Exclude the time since the last step (a pause) from step times."""
        self._last_boundary = self.clock()

    def step_ended(self, images: int) -> bool:
        """End the step under way, which had ``images`` images; return whether that completes a window.

        The device is synchronised at the edges of a window only, and where another worker has its turn: what was left
        to do would be done untimed.
        """
        now = self.clock()
        if self._completes(now - self._last_boundary) or self._ends_block():
            self.synchronize()
            now = self.clock()
        took = now - self._last_boundary
        self.seconds.append(took)
        self.data_wait.append(self._began - self._last_boundary)
        self.images.append(images)
        self._total += took
        self._last_boundary = now
        if not self.warm:
            if self.broadcast(self.rule.warm(len(self.seconds), self._total)):
                self._choose_cycle()
                self.open()
            return False
        if self._left:
            self._left -= 1
            if not self._left:
                self._begin()
            return False
        start = self.windows[-1][0]
        if not self._complete(len(self.seconds) - start, self._total):
            return False
        self.windows[-1].append(len(self.seconds))
        return True

    def _completes(self, took: float) -> bool:
        """Whether a step that took so many seconds would be the last of its window."""
        if not self.windows or self._left or len(self.windows[-1]) == 2:
            return False
        steps = len(self.seconds) - self.windows[-1][0] + 1
        return self._complete(steps, self._total + took)

    def _complete(self, steps: int, seconds: float) -> bool:
        if self.planned_steps:
            return steps >= self.planned_steps
        return self.rule.complete(steps, seconds, self.timed_accumulation_steps)

    def _ends_block(self) -> bool:
        """Whether the step that is under way is the last of a block."""
        if not self.block or not self.windows or self._left:
            return False
        return (self.timed_steps + 1) % self.block == 0

    def _choose_cycle(self) -> None:
        """Real accumulation from here on if a window can hold whole cycles of it: decided before it is timed."""
        last = self.seconds[-self.rule.warmup_cycle :]
        mean = sum(last) / len(last)
        cycle = self.rule.timed_accumulation_steps(mean)
        planned = math.ceil(self.rule.asked(mean) / cycle) * cycle if self.block or self.shared else 0
        self.timed_accumulation_steps, self.planned_steps = self.broadcast((cycle, planned))
        self.accumulation = self.timed_accumulation_steps

    def open(self) -> None:
        """Open a window: the first one by itself, and another one where one has to be measured again."""
        self.on_window()
        self._left = self.settle_steps
        if not self._left:
            self._begin()
        else:
            self._last_boundary = self.clock()

    def _begin(self) -> None:
        """The window's first step begins now."""
        self.windows.append([len(self.seconds)])
        self._total = 0.0
        self.synchronize()
        self.on_begin()
        self._last_boundary = self.clock()

    def reading(self, window: int = -1) -> dict[str, Any]:
        """Steps to the microsecond up to the end of a window, warm-up and earlier windows first.

        Lists run in parallel, ``optimizer`` holds indices. A GPU warms up for hundreds of steps: of what came before
        the window all but the last :data:`KEPT_WARMUP` are dropped and counted.
        """
        start, end = self.span(window)
        dropped = max(start - KEPT_WARMUP, 0)
        images = self.images[dropped:end]
        return {
            "warmup": start - dropped,
            "warmup_discarded": dropped,
            "seconds": [round(s, 6) for s in self.seconds[dropped:end]],
            "data_wait": [round(max(s, 0.0), 6) for s in self.data_wait[dropped:end]],
            "images": images[0] if len(set(images)) == 1 else images,
            "optimizer": [index - dropped for index in self.optimizer if dropped <= index < end],
            "accumulation_steps": self.rule.cycle,
            "timed_accumulation_steps": self.timed_accumulation_steps,
            "epoch_gaps": [round(s, 6) for index, s in self.epoch_gaps if start <= index < end],
        }

    def span(self, window: int = -1) -> tuple[int, int]:
        """The first step of a window and the step that it ended before; without a window, the end of all steps."""
        count = len(self.seconds)
        if not self.windows:
            return count, count
        start, *end = self.windows[window]
        return start, end[0] if end else count
