"""Time steps, end warm-up, and complete windows.

Independent of torch and Ultralytics: the clock and the synchronisation are arguments.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

from ..protocol import SHORT_ACCUMULATION_STEPS, SLACK, Window

KEPT_WARMUP = 64
"""Maximum number of warm-up steps that a reading keeps, counted from the last; on a CPU usually all of them."""


@dataclass(frozen=True)
class MeasurementPlan:
    """Length of the warm-up and of a window.

    Warm-up lasts until the first optimizer step plus ``settled_after`` steps, because the first optimizer step
    allocates its state and the step after it allocates gradients again.

    A window is a multiple of the accumulation steps, so that it has optimizer steps in their real proportion. Where
    that takes too long, the optimizer runs every :data:`SHORT_ACCUMULATION_STEPS` steps, in the warm-up too, and the
    kinds of steps are weighted by their real proportion afterwards.

    Attributes:
        accumulation_steps: real accumulation steps.
        warmup_seconds: minimum duration of the warm-up.
        window_steps, window_seconds: minimum length and duration of a window.
        align_to_accumulation: whether a window is always a multiple of the real accumulation steps.
        warmup_steps: minimum steps of warm-up, so that the windows of two compared processes hold the same images.
        shared_accumulation_steps: steps between optimizer steps in the window of the compared process; 0 without one.
        short_accumulation_steps: maximum accumulation of the warm-up, and of a window too short for the real one.
        settled_after: steps of warm-up after its first optimizer step.
        most_seconds: seconds after which a window ends whatever its steps; 0: no such limit.
    """

    accumulation_steps: int
    warmup_seconds: float
    window_steps: int
    window_seconds: float
    align_to_accumulation: bool = False
    warmup_steps: int = 0
    shared_accumulation_steps: int = 0
    short_accumulation_steps: int = SHORT_ACCUMULATION_STEPS
    settled_after: int = 2
    most_seconds: float = 0.0

    @classmethod
    def of(cls, window: Window, accumulation_steps: int, align_to_accumulation: bool) -> MeasurementPlan:
        """Return the plan of a job's window.

        Args:
            window: window settings of the job.
            accumulation_steps: real accumulation steps.
            align_to_accumulation: default of the device, where the window does not set it.
        """
        asked = {item.name: getattr(window, item.name) for item in fields(window)}
        whole = align_to_accumulation if window.align_to_accumulation is None else window.align_to_accumulation
        return cls(accumulation_steps=accumulation_steps, **{**asked, "align_to_accumulation": whole})

    @property
    def warmup_accumulation_steps(self) -> int:
        """Steps from one optimizer step to the next while warming up."""
        return min(self.accumulation_steps, self.short_accumulation_steps)

    def warm(self, steps: int, seconds: float) -> bool:
        """Whether warm-up is over after ``steps`` steps and ``seconds``."""
        return (
            steps >= max(self.warmup_accumulation_steps + self.settled_after, self.warmup_steps)
            and seconds >= self.warmup_seconds
        )

    def timed_accumulation_steps(self, step_seconds: float) -> int:
        """Return the accumulation steps of a window whose steps take about ``step_seconds``."""
        if self.shared_accumulation_steps:
            return self.shared_accumulation_steps
        asked = self.asked(step_seconds)
        whole = math.ceil(asked / self.accumulation_steps) * self.accumulation_steps
        return (
            self.accumulation_steps
            if self.align_to_accumulation or whole <= SLACK * asked
            else self.warmup_accumulation_steps
        )

    def asked(self, step_seconds: float) -> int:
        """Return the minimum steps of a window whose steps take about ``step_seconds``."""
        steps = max(self.window_steps, math.ceil(self.window_seconds / step_seconds))
        return min(steps, math.ceil(self.most_seconds / step_seconds)) if self.most_seconds else steps

    def complete(self, steps: int, seconds: float, timed_accumulation_steps: int) -> bool:
        """Whether a window is complete after ``steps`` steps and ``seconds``."""
        enough = steps >= self.window_steps and seconds >= self.window_seconds
        over = 0 < self.most_seconds <= seconds
        return steps % timed_accumulation_steps == 0 and (enough or over)


@dataclass
class Stopwatch:
    """Times every step, from the end of one batch to the end of the next, data wait included.

    Attributes:
        accumulation: current accumulation steps of the optimizer.
        windows: first step of each window and, once it is complete, the step after its last.
        timed_accumulation_steps: ``accumulation`` in every window; 0 until warm-up is over.
        shared: whether other processes run the same steps, interleaved or at the same time. The length of a window
            is then fixed before it is timed.
        broadcast: takes this process's decision, and returns the decision of all processes.
        on_begin: called where a window begins, after its settling steps.
        planned_steps: fixed length of a window; 0 where its duration decides.
        epoch_gaps: number of steps at the end of each epoch, and the seconds until the next epoch began.
        settle_steps: untimed steps between the opening and the beginning of a window, which consume the batches that
            data loaders prefetched while the machine was read.
        block: steps of a time slice, after which another worker may have its turn; 0 without another worker.
        latency: seconds of each step from the arrival of its request, where :meth:`request_arrived` gave it.
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
    latency: list[float] = field(default_factory=list)
    _last_boundary: float = 0.0
    _began: float = 0.0
    _total: float = 0.0
    _left: int = 0
    _arrival: float | None = None

    def start(self) -> None:
        """Start timing: the first step begins now."""
        self.accumulation = self.rule.warmup_accumulation_steps
        self.synchronize()
        self._last_boundary = self.clock()

    @property
    def warm(self) -> bool:
        """Whether warm-up is over."""
        return self.timed_accumulation_steps > 0

    @property
    def timed_steps(self) -> int:
        """Number of steps since warm-up."""
        return len(self.seconds) - self.windows[0][0] if self.windows else 0

    @property
    def optimizer_steps(self) -> int:
        """Number of steps since warm-up that ran the optimizer."""
        return sum(index >= self.windows[0][0] for index in self.optimizer) if self.windows else 0

    def batch_arrived(self) -> None:
        """Note that the batch of the current step has arrived."""
        self._began = self.clock()

    def request_arrived(self, at: float) -> None:
        """Note when the request of the current step arrived, by this clock; call it in every step or in none."""
        self._arrival = at

    def optimizer_stepped(self) -> None:
        """Note that the current step ran the optimizer."""
        self.optimizer.append(len(self.seconds))

    def epoch_boundary(self) -> None:
        """Exclude the time since the last step (an epoch boundary) from step times."""
        if self.seconds:
            now = self.clock()
            self.epoch_gaps.append((len(self.seconds), now - self._last_boundary))
            self._last_boundary = now

    def exclude(self, seconds: float) -> None:
        """Exclude a pause from the current step; it must have begun after the batch arrived."""
        self._last_boundary += seconds
        self._began += seconds

    def restart_step(self) -> None:
        """Exclude the time since the last step (a pause) from step times."""
        self._last_boundary = self.clock()

    def step_ended(self, images: int) -> bool:
        """End the current step, which had ``images`` images; return whether that completes a window.

        The device is synchronised only at the edges of a window and before another worker's turn. Work that is still
        queued at these points would not be timed.
        """
        now = self.clock()
        if self._completes(now - self._last_boundary) or self._ends_block():
            self.synchronize()
            now = self.clock()
        took = now - self._last_boundary
        self.seconds.append(took)
        self.data_wait.append(self._began - self._last_boundary)
        self.images.append(images)
        if self._arrival is not None:
            self.latency.append(now - self._arrival)
        self._total += took
        self._last_boundary = now
        if not self.warm:
            if self.broadcast(self.rule.warm(len(self.seconds), self._total)):
                self._choose_accumulation_steps()
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
        """Whether the current step, of ``took`` seconds, is the last of its window."""
        if not self.windows or self._left or len(self.windows[-1]) == 2:
            return False
        steps = len(self.seconds) - self.windows[-1][0] + 1
        return self._complete(steps, self._total + took)

    def _complete(self, steps: int, seconds: float) -> bool:
        if self.planned_steps:
            return steps >= self.planned_steps
        return self.rule.complete(steps, seconds, self.timed_accumulation_steps)

    def _ends_block(self) -> bool:
        """Whether the current step is the last of a time slice."""
        if not self.block or not self.windows or self._left:
            return False
        return (self.timed_steps + 1) % self.block == 0

    def _choose_accumulation_steps(self) -> None:
        """Choose the accumulation steps of windows, and their length where it has to be fixed before timing."""
        last = self.seconds[-self.rule.warmup_accumulation_steps :]
        mean = sum(last) / len(last)
        timed = self.rule.timed_accumulation_steps(mean)
        planned = math.ceil(self.rule.asked(mean) / timed) * timed if self.block or self.shared else 0
        self.timed_accumulation_steps, self.planned_steps = self.broadcast((timed, planned))
        self.accumulation = self.timed_accumulation_steps

    def open(self) -> None:
        """Open a window. The first one opens itself after warm-up; call this to measure another window."""
        self.on_window()
        self._left = self.settle_steps
        if not self._left:
            self._begin()
        else:
            self._last_boundary = self.clock()

    def _begin(self) -> None:
        """Begin the timing of the window: its first step begins now."""
        self.windows.append([len(self.seconds)])
        self._total = 0.0
        self.synchronize()
        self.on_begin()
        self._last_boundary = self.clock()

    def reading(self, window: int = -1) -> dict[str, Any]:
        """Return the steps up to the end of a window, warm-up and earlier windows first, in microsecond resolution.

        Lists are parallel; ``optimizer`` holds indices. Of the steps before the window (hundreds on a GPU), only the
        last :data:`KEPT_WARMUP` are kept, and the others are counted.
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
            "accumulation_steps": self.rule.accumulation_steps,
            "timed_accumulation_steps": self.timed_accumulation_steps,
            "epoch_gaps": [round(s, 6) for index, s in self.epoch_gaps if start <= index < end],
            **({"latency": [round(s, 6) for s in self.latency[dropped:end]]} if self.latency else {}),
        }

    def span(self, window: int = -1) -> tuple[int, int]:
        """Return the first step of a window and the step after its last; without a window, the end of all steps."""
        count = len(self.seconds)
        if not self.windows:
            return count, count
        start, *end = self.windows[window]
        return start, end[0] if end else count
