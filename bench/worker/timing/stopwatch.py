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
from . import precision

KEPT_WARMUP = 64
"""Maximum number of warm-up steps that a reading keeps, counted from the last; on a CPU usually all of them."""

PRECISE = 0.08
"""Half the width of a window's interval, over its mean, above which the window goes on.

The drift of a CPU (``HOST_DRIFT`` in ``bench/analysis/intervals.py``) adds 5 %, by the sum of the squares, so that the
figure has less than ± 10 %."""

EXTENDABLE = range(6, 65)
"""Lengths of windows that go on, in steps: a shorter one is for a look alone, and a longer one is precise enough.

A window of so few steps has long ones: the computing of an interval takes no time in comparison."""

MOST_EXTENDED = 3
"""Length of a window that goes on, at most, over the length at which it would have ended."""


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
        extends: whether a short window goes on while its interval is wide.
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
    extends: bool = False

    @classmethod
    def of(
        cls, window: Window, accumulation_steps: int, align_to_accumulation: bool, extends: bool = False
    ) -> MeasurementPlan:
        """Return the plan of a job's window.

        Args:
            window: window settings of the job.
            accumulation_steps: real accumulation steps.
            align_to_accumulation: default of the device, where the window does not set it.
            extends: see the attribute.
        """
        asked = {item.name: getattr(window, item.name) for item in fields(window)}
        whole = align_to_accumulation if window.align_to_accumulation is None else window.align_to_accumulation
        return cls(accumulation_steps=accumulation_steps, extends=extends, **{**asked, "align_to_accumulation": whole})

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

    def goes_on(self, steps: int, seconds: float, completed_at: int) -> bool:
        """Whether a complete window may go on.

        Args:
            steps: its steps.
            seconds: its duration.
            completed_at: steps at which it was complete first.
        """
        over = 0 < self.most_seconds <= seconds
        extendable = completed_at in EXTENDABLE and self.window_steps >= EXTENDABLE.start
        return self.extends and extendable and steps < MOST_EXTENDED * completed_at and not over


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
    _completed_at: int = 0

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
        completes = self._completes(now - self._last_boundary, images)
        if completes or self._ends_block():
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
        if completes:
            self.windows[-1].append(len(self.seconds))
        return completes

    def _completes(self, took: float, images: int) -> bool:
        """Whether the current step, of ``took`` seconds and so many images, is the last of its window."""
        if not self.windows or self._left or len(self.windows[-1]) == 2:
            return False
        steps = len(self.seconds) - self.windows[-1][0] + 1
        if self.planned_steps:
            return steps >= self.planned_steps
        if not self.rule.complete(steps, self._total + took, self.timed_accumulation_steps):
            return False
        self._completed_at = self._completed_at or steps
        if self._arrival is not None:  # steps differ by when requests arrive, which is no noise
            return True
        return not self.rule.goes_on(steps, self._total + took, self._completed_at) or self._precise(took, images)

    def _precise(self, took: float, images: int) -> bool:
        """Whether the window has a narrow interval, the current step included."""
        counts = [*self.images, images]
        times = [seconds / count for seconds, count in zip([*self.seconds, took], counts, strict=True)]
        start, timed = self.windows[-1][0], self.timed_accumulation_steps
        kinds = precision.kinds_of(len(times), self.optimizer, timed)[start:]
        weights = precision.weights_of(
            kinds, self.rule.accumulation_steps, timed not in (0, self.rule.accumulation_steps)
        )
        half = precision.relative_half_width(times[start:], kinds, weights, quantile=precision.approximate_quantile)
        return half is not None and half <= PRECISE

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
        self._total, self._completed_at = 0.0, 0
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
