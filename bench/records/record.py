"""The record of one case: everything that tables, plots and verdicts are derived from.

History of the format, by ``schema``:

1. The first.
"""

from __future__ import annotations

from typing import Any

import msgspec

from bench.cases import Case, Recipe
from bench.records.outcome import Outcome

SCHEMA = 1


class Steps(msgspec.Struct, frozen=True):
    """Raw times of all steps, warm-up first. A step is from the end of one batch to the end of the next.

    Attributes:
        warmup: how many steps at the start are warm-up; the window is the rest.
        dropped: how many more steps of warm-up came before those, and are not kept.
        seconds: of each step, waiting for data included.
        data_wait: seconds of each step until its batch was there.
        images: images of each step, or one number where all are alike.
        optimizer: indices of the steps that ran the optimizer.
        cycle: steps from one optimizer step to the next (gradient accumulation); 1 in prediction.
        interludes: seconds between steps of the window that belong to none (the turn of an epoch).
    """

    warmup: int
    seconds: list[float]
    data_wait: list[float]
    images: int | list[int]
    optimizer: list[int]
    cycle: int
    interludes: list[float] = []
    dropped: int = 0

    def __post_init__(self) -> None:
        count = len(self.seconds)
        images = self.images if isinstance(self.images, list) else [self.images] * count
        if len(self.data_wait) != count or len(images) != count:
            raise ValueError("steps: the lists of one case differ in length")
        if not 0 <= self.warmup <= count or not all(0 <= index < count for index in self.optimizer):
            raise ValueError("steps: an index is out of range")
        if self.cycle < 1 or min(images, default=1) < 1 or min(self.seconds, default=1.0) <= 0:
            raise ValueError("steps: a step without images or without a duration")

    @property
    def window(self) -> list[float]:
        """Seconds of each step of the window."""
        return self.seconds[self.warmup :]

    @property
    def window_images(self) -> int:
        """Images of the window."""
        if isinstance(self.images, list):
            return sum(self.images[self.warmup :])
        return self.images * len(self.window)

    @property
    def images_per_second(self) -> float:
        """Images of the window over its seconds: the mean, since the median would leave out every optimizer step."""
        return self.window_images / sum(self.window)


class Phase(msgspec.Struct, frozen=True):
    """Times of one part of a step, such as ``forward``; ``how`` says from which steps."""

    seconds: list[float]
    how: str


class Memory(msgspec.Struct, frozen=True):
    """One memory figure and the way it was got; ``bytes`` is None where it cannot be had, and ``how`` says why."""

    bytes: int | None
    how: str


class Window(msgspec.Struct, frozen=True):
    """What the process and the machine did during the window."""

    wall_seconds: float
    cpu_seconds: float
    involuntary_switches: int
    processors: int


class Machine(msgspec.Struct, frozen=True):
    """Stable identity of a machine; what changes from hour to hour is in :class:`Conditions`.

    Attributes:
        fingerprint: twelve hexadecimal digits over all other fields.
        system: operating system and architecture, such as ``Linux x86_64``.
        cpu: name of the CPU.
        cores: logical processors.
        memory_gib: RAM, in whole GiB.
        gpus: names of the GPUs with their memory, such as ``NVIDIA H200 (139 GiB)``.
    """

    fingerprint: str
    system: str
    cpu: str
    cores: int
    memory_gib: int
    gpus: list[str] = []

    @property
    def title(self) -> str:
        """One line for headings."""
        parts = [*self.gpus, f"{self.cpu}, {self.cores} cores", f"{self.memory_gib} GiB", self.system]
        return " · ".join(parts)


class Conditions(msgspec.Struct, frozen=True):
    """What a machine was like at one moment; None where the system does not tell."""

    load: float | None = None
    memory_available_bytes: int | None = None
    swap_used_bytes: int | None = None
    on_battery: bool | None = None
    governor: str | None = None


class Environment(msgspec.Struct, frozen=True):
    """The software that was measured.

    Attributes:
        python: version of the interpreter.
        packages: versions by distribution; Ultralytics is ``ultralytics`` whichever distribution brought it.
        yolopace: version of this suite.
    """

    python: str
    packages: dict[str, str]
    yolopace: str

    @property
    def torch(self) -> str:
        """Version of torch."""
        return self.packages.get("torch", "")

    @property
    def ultralytics(self) -> str:
        """Version of Ultralytics."""
        return self.packages.get("ultralytics", "")


class Data(msgspec.Struct, frozen=True):
    """The data set that was run on: its name, a fingerprint of its files, and how many images it lists."""

    name: str
    fingerprint: str
    images: int


class Costs(msgspec.Struct, frozen=True):
    """What the case cost, in seconds from the request: until set-up was over, warm-up was over, and all was over."""

    setup: float | None = None
    warmup: float | None = None
    total: float = 0.0


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen of one case. Written once, never changed; frames, plots and verdicts are derived from it."""

    schema: int = SCHEMA
    run: str
    started: str
    case: Case
    recipe: Recipe
    outcome: Outcome
    machine: Machine
    environment: Environment
    conditions: Conditions = Conditions()
    effective: dict[str, Any] = {}
    data: Data | None = None
    steps: Steps | None = None
    phases: dict[str, Phase] = {}
    memory: dict[str, Memory] = {}
    energy: dict[str, Any] | None = None
    device: dict[str, Any] = {}
    window: Window | None = None
    extra: dict[str, Any] = {}
    costs: Costs = Costs()
    log: str = ""

    def __post_init__(self) -> None:
        measured = self.outcome.status.value == "measured"
        if measured and (self.steps is None or not self.steps.window):
            raise ValueError(f"{self.case.id}: a measured case needs steps")

    @property
    def id(self) -> str:
        """Unique over all runs: the run and the case."""
        return f"{self.run}/{self.case.id}"
