"""The steps of a window: their seconds, kinds and weights, and what follows for the mean step."""

from __future__ import annotations

import functools
import operator

import msgspec

from bench.worker.timing.precision import AFTER, OPTIMIZER, PLAIN, kinds_of, weights_of

MOST_IMAGES, MOST_SECONDS, LEAST_SECONDS = 2**24, 1e7, 1e-9
"""Bounds of the images and seconds of one step; a record beyond them is invalid."""

PERCENTILES = (0, 1, 5, 10, 25, 50, 75, 90, 95, 99, 99.9, 100)
"""Percentiles of all steps of a window that a record has where it does not have all these steps."""


class WholeWindow(msgspec.Struct, frozen=True):
    """All steps of a window, of which the record has some.

    Attributes:
        steps: their number.
        seconds: their sum.
        images: their images.
        optimizer_steps: number of them that ran the optimizer.
        blocks: first step of each block that the record has, counted in the window from 0; all blocks have one length.
        percentiles: :data:`PERCENTILES` of their seconds.
    """

    steps: int
    seconds: float
    images: int
    optimizer_steps: int
    blocks: list[int]
    percentiles: list[float]

    def __post_init__(self) -> None:
        if len(self.percentiles) != len(PERCENTILES) or self.seconds <= 0 or not self.images >= self.steps > 0:
            raise ValueError("steps: totals of a window that cannot be")
        if (
            self.blocks != sorted(self.blocks)
            or not self.blocks
            or not 0 <= self.blocks[0] <= self.blocks[-1] < self.steps
        ):
            raise ValueError("steps: blocks of a window that cannot be")


class Steps(msgspec.Struct, dict=True, frozen=True):
    """Raw times of all steps, warm-up first. A step is from the end of one batch to the end of the next.

    Attributes:
        warmup: number of steps before the window: warm-up, and discarded windows.
        warmup_discarded: number of earlier steps, which are not stored.
        seconds: seconds of each step, data wait included.
        data_wait: seconds of each step until its batch was there.
        images: images of each step, or one number where all are alike.
        optimizer: indices of the steps that ran the optimizer.
        accumulation_steps: batches for one optimizer step in real training (gradient accumulation); 1 in prediction.
        timed_accumulation_steps: accumulation steps in the window; 0 where they are ``accumulation_steps``. Where a
            window cannot hold all real accumulation steps, the optimizer runs more often in it, and every kind of step
            is weighted by its real frequency (:attr:`weights`).
        epoch_gaps: seconds between two epochs in the window, which belong to no step.
        latency: seconds of each step from the arrival of its request, the wait in a queue included; empty where a
            step's own duration is its latency.
        whole: the whole window, where only blocks of it are stored (:mod:`bench.records.thinning`).
    """

    warmup: int
    seconds: list[float]
    data_wait: list[float]
    images: int | list[int]
    optimizer: list[int]
    accumulation_steps: int
    epoch_gaps: list[float] = []
    warmup_discarded: int = 0
    timed_accumulation_steps: int = 0
    latency: list[float] = []
    whole: WholeWindow | msgspec.UnsetType = msgspec.UNSET

    def __post_init__(self) -> None:
        count = len(self.seconds)
        images = self.images if isinstance(self.images, list) else [self.images] * count
        if len(self.data_wait) != count or len(images) != count or len(self.latency) not in (0, count):
            raise ValueError("steps: the lists of one case differ in length")
        if not 0 <= self.warmup <= count or not all(0 <= index < count for index in self.optimizer):
            raise ValueError("steps: an index is out of range")
        if self.accumulation_steps < 1 or min(images, default=1) < 1 or min(self.seconds, default=1.0) < LEAST_SECONDS:
            raise ValueError("steps: a step without images or without a duration")
        if min(self.latency, default=1.0) < LEAST_SECONDS:
            raise ValueError("steps: a latency without a duration")
        longest = max((*self.seconds, *self.data_wait, *self.latency), default=0.0)
        if max(images, default=1) > MOST_IMAGES or longest > MOST_SECONDS:
            raise ValueError("steps: more images or seconds than a step can have")
        if self.modelled and self.timed_accumulation_steps < 3:
            raise ValueError("steps: a window without plain steps says nothing of them")
        if self.modelled and set(self.kinds) != {PLAIN, OPTIMIZER, AFTER}:
            raise ValueError("steps: a modelled window needs steps of every kind")
        if self.whole is not msgspec.UNSET and (self.modelled or len(self.window) % len(self.whole.blocks)):
            raise ValueError("steps: blocks of a window that cannot be")

    @property
    def window(self) -> list[float]:
        """Seconds of each stored step of the window: all of them, or several blocks."""
        return self.seconds[self.warmup :]

    @property
    def window_steps(self) -> int:
        """Number of steps of the window, whether or not they are stored."""
        return len(self.window) if self.whole is msgspec.UNSET else self.whole.steps

    @property
    def window_optimizer_steps(self) -> int:
        """Number of steps of the window that ran the optimizer, whether or not they are stored."""
        if self.whole is not msgspec.UNSET:
            return self.whole.optimizer_steps
        return sum(index >= self.warmup for index in self.optimizer)

    @property
    def window_range(self) -> tuple[float, float]:
        """Seconds of the shortest and of the longest step of the window, whether or not they are stored."""
        if self.whole is not msgspec.UNSET:
            return self.whole.percentiles[0], self.whole.percentiles[-1]
        return min(self.window), max(self.window)

    @property
    def block_steps(self) -> int:
        """Number of successive steps of the window that are stored together."""
        return len(self.window) if self.whole is msgspec.UNSET else len(self.window) // len(self.whole.blocks)

    @property
    def numbers(self) -> list[int]:
        """Number of each stored step since the first one of warm-up, from 1."""
        first = self.warmup_discarded + 1
        before = list(range(first, first + self.warmup))
        blocks = [0] if self.whole is msgspec.UNSET else self.whole.blocks
        start = first + self.warmup
        return before + [start + block + index for block in blocks for index in range(self.block_steps)]

    @property
    def window_images(self) -> int:
        """Images of the window, whether or not its steps are stored."""
        if self.whole is not msgspec.UNSET:
            return self.whole.images
        if isinstance(self.images, list):
            return sum(self.images[self.warmup :])
        return self.images * len(self.window)

    @property
    def modelled(self) -> bool:
        """Whether the optimizer ran more often in the window than in real training."""
        return self.timed_accumulation_steps not in (0, self.accumulation_steps)

    @functools.cached_property
    def kinds(self) -> list[int]:
        """Kind of each step of the window; all are plain where every step runs the optimizer."""
        return kinds_of(len(self.seconds), self.optimizer, self.timed_accumulation_steps or self.accumulation_steps)[
            self.warmup :
        ]

    @functools.cached_property
    def weights(self) -> list[float]:
        """Weight of each step of the window in the mean step (:func:`bench.worker.timing.precision.weights_of`)."""
        return weights_of(self.kinds, self.accumulation_steps, self.modelled)

    @functools.cached_property
    def shares(self) -> list[float]:
        """Sum of the weights of each kind of step: :data:`PLAIN`, :data:`OPTIMIZER`, :data:`AFTER`."""
        shares = [0.0, 0.0, 0.0]
        for kind, weight in zip(self.kinds, self.weights, strict=True):
            shares[kind] += weight
        return shares

    @functools.cached_property
    def step_seconds(self) -> float:
        """Seconds of the mean training step; a median would ignore optimizer steps."""
        if self.whole is not msgspec.UNSET:
            return self.whole.seconds / self.whole.steps
        return float(sum(map(operator.mul, self.weights, self.window)))

    @property
    def images_per_second(self) -> float:
        """Throughput: images per step over the seconds of the mean step."""
        return self.window_images / self.window_steps / self.step_seconds
