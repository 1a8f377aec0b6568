"""The record of one case: everything that tables, plots and verdicts are derived from."""

from __future__ import annotations

import functools
import operator
from typing import Any

import msgspec

from bench.cases import Case, Recipe
from bench.cases.case import check_measured
from bench.cases.fingerprints import digest
from bench.cases.plan import process_name
from bench.machine.description import Conditions, Machine
from bench.records import migrations
from bench.records.outcome import Outcome

SCHEMA = migrations.NEWEST[migrations.RECORD]

MOST_IMAGES, MOST_SECONDS, LEAST_SECONDS = 2**24, 1e7, 1e-9
"""Bounds of the images and seconds of one step; a record beyond them is invalid."""

PLAIN, OPTIMIZER, AFTER = range(3)
"""Kinds of steps: a plain step, one that runs the optimizer, and the step after that, which reallocates gradients."""


def kinds_of(count: int, optimizer: list[int], accumulation_steps: int) -> list[int]:
    """Return the kind of each of ``count`` steps; ``optimizer`` has the indices of steps that ran the optimizer."""
    kinds = [PLAIN] * count
    if accumulation_steps > 1:
        for index in optimizer:
            kinds[index] = OPTIMIZER
        for index in optimizer:
            if index + 1 < count and kinds[index + 1] == PLAIN:
                kinds[index + 1] = AFTER
    return kinds


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
        """Weight of each step of the window in the mean step; they sum to 1.

        In a window with all accumulation steps, all weights are equal. In a modelled window the optimizer step and the
        step after it each have the weight ``1 / accumulation_steps``, together with others of their kind. The plain
        steps have the rest.
        """
        kinds = self.kinds
        if not self.modelled:
            return [1 / len(kinds)] * len(kinds)
        share = {
            PLAIN: 1 - 2 / self.accumulation_steps,
            OPTIMIZER: 1 / self.accumulation_steps,
            AFTER: 1 / self.accumulation_steps,
        }
        return [share[kind] / kinds.count(kind) for kind in kinds]

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


class Phase(msgspec.Struct, frozen=True):
    """One phase of a step, such as ``forward``.

    Attributes:
        seconds: mean by kind of step: :data:`PLAIN`, :data:`OPTIMIZER`, :data:`AFTER`; None for a kind without steps,
            and a single number where there is one kind.
        method: clock, and timed steps.
    """

    seconds: list[float | None]
    method: str

    def __post_init__(self) -> None:
        if len(self.seconds) not in (1, 3):
            raise ValueError("phases: means of one kind of step or of all three")

    @classmethod
    def over(cls, seconds: list[float], kinds: list[int], how: str) -> Phase:
        """Return the phase from its seconds in each step and the kinds of the steps."""
        if set(kinds) == {PLAIN}:
            return cls([round(sum(seconds) / len(seconds), 7)], how)
        means: list[float | None] = []
        for kind in (PLAIN, OPTIMIZER, AFTER):
            own = [s for s, of in zip(seconds, kinds, strict=True) if of == kind]
            means.append(round(sum(own) / len(own), 7) if own else None)
        return cls(means, how)

    def mean(self, steps: Steps) -> float | None:
        """Return the seconds of the phase in the mean training step."""
        if len(self.seconds) == 1:
            return self.seconds[0]
        parts = [(weight, seconds) for weight, seconds in zip(steps.shares, self.seconds, strict=True) if weight]
        if any(seconds is None for _, seconds in parts):
            return None
        return sum(weight * seconds for weight, seconds in parts if seconds is not None)


class Memory(msgspec.Struct, frozen=True):
    """A memory figure and the method of its measurement; for an unavailable figure ``method`` says why."""

    bytes: int | None
    method: str

    def __post_init__(self) -> None:
        if self.bytes is not None and not 0 <= self.bytes < 2**63:
            raise ValueError("memory: bytes out of range")


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """Activity of the process, the machine and the device during a window; unavailable values are null.

    Shares are of the window's wall time unless said otherwise.

    Attributes:
        wall_seconds: duration of the window.
        cpu_seconds: CPU time of the process in the window, over all threads.
        involuntary_switches: involuntary context switches of the process.
        processors: CPUs that the process may use.
        machine_processors: online CPUs of the machine.
        run_delay_share: time in which a runnable thread waited for a CPU; the maximum over threads.
        steal_share: CPU time that the hypervisor took, as a share of the machine's CPU time.
        other_processes_cpus: mean number of CPUs that other processes of the machine used.
        pressure: share of time in which some task waited, by ``cpu``, ``memory`` and ``io`` (pressure-stall).
        swap_bytes: growth of the machine's swap.
        clock_mhz: mean clock of the CPUs at the end.
        thermal: the system's level of thermal pressure, such as ``nominal`` or ``heavy``.
        on_battery: whether the machine ran on its battery.
        device_clock_mhz: clock of the device at the end.
        device_temperature: temperature of the device at the end, in degrees Celsius.
        device_throttle: reasons for which the device throttled its clocks.
        device_others: number of other processes that computed on the device.
        device_utilization: share of time in which the device computed anything.
        throttled_share: time for which a CPU quota throttled the process, summed over CPUs.
        stopped_seconds: time for which a signal or a freezer stopped the process.
        suspended_seconds: time for which the whole machine was suspended.
        interference: effects of other processes, the hypervisor or the clock on the window, one phrase each; judged by
            the values above, never by speed.
        step_seconds: mean training step of a discarded window; the kept window has its steps in the record.
    """

    wall_seconds: float
    cpu_seconds: float
    involuntary_switches: int
    processors: int
    machine_processors: int | None = None
    run_delay_share: float | None = None
    steal_share: float | None = None
    other_processes_cpus: float | None = None
    pressure: dict[str, float] | None = None
    swap_bytes: int | None = None
    clock_mhz: float | None = None
    thermal: str | None = None
    on_battery: bool | None = None
    device_clock_mhz: float | None = None
    device_temperature: float | None = None
    device_throttle: list[str] | None = None
    device_others: int | None = None
    device_utilization: float | None = None
    throttled_share: float | None = None
    stopped_seconds: float | None = None
    suspended_seconds: float | None = None
    interference: list[str] = []
    step_seconds: float | None = None


class EpochOverhead(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds of an epoch outside its steps; values that were not requested or not measured are null.

    Attributes:
        epoch_gap_seconds: from the last step of an epoch to the start of the next one, without validation and
            checkpoint.
        validation: one validation of the validation set.
        validation_images: number of images of the validation set.
        checkpoint: saving one checkpoint.
        validation_memory: peaks of validation, with the keys of the record's ``memory``.
    """

    epoch_gap_seconds: float | None = None
    validation: float | None = None
    validation_images: int | None = None
    checkpoint: float | None = None
    validation_memory: dict[str, Memory] = {}

    def __post_init__(self) -> None:
        if self.validation_images is not None and not 0 <= self.validation_images < 2**63:
            raise ValueError("epoch_overhead: a number of images that cannot be")


class Energy(msgspec.Struct, frozen=True, kw_only=True):
    """Energy of a window.

    Attributes:
        joules: total energy, idle power included; None without a counter, and ``method`` says why.
        seconds, images: duration and images of the window.
        idle_watts: power before warm-up, with the model in memory and nothing to do.
        method: what is counted, and with what.
        scope: ``card`` for the energy of one device, ``machine`` for that of the whole machine.
    """

    joules: float | None
    seconds: float
    images: int
    idle_watts: float | None = None
    method: str
    scope: str = ""

    @property
    def joules_per_image(self) -> float | None:
        """Joules per image, idle power included."""
        return self.joules / self.images if self.joules and self.images else None


class CalibrationSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A machine's calibration of a device and a mode, as a record has it.

    Attributes:
        stdev: standard deviation of the logarithm of the mean step between fresh processes of one case.
        processes: number of processes.
        calibrated: date of the calibration.
        case: calibrated case.
        torch, ultralytics: measured versions; empty in older records.
    """

    stdev: float
    processes: int
    calibrated: str
    case: str
    torch: str = ""
    ultralytics: str = ""


class Origin(msgspec.Struct, frozen=True, omit_defaults=True):
    """Origin of an imported package that is not as a distribution installed it.

    Attributes:
        source: ``distribution``, which was edited after it was installed; ``checkout`` of git; or ``path``, another
            folder or file.
        hash: twelve hexadecimal digits over its files.
        commit: twelve digits of the commit that is checked out.
        edited: whether its files differ from that commit, or from what the distribution installed.
    """

    source: str
    hash: str = ""
    commit: str = ""
    edited: bool = False

    @property
    def frozen(self) -> dict[str, Any]:
        """The origin's part in the fingerprint of an environment; values at their default are left out."""
        named = {"hash": (self.hash, ""), "commit": (self.commit, ""), "edited": (self.edited, False)}
        return {"source": self.source} | {name: value for name, (value, default) in named.items() if value != default}

    @property
    def label(self) -> str:
        """Label such as ``checkout 1a2b3c4``, ``checkout 1a2b3c4, edited 9f8e7d6``, or ``copy 9f8e7d6``."""
        own = f"{'edited' if self.edited else 'copy'} {self.hash[:7]}".strip()
        if not self.commit:
            return own
        return f"checkout {self.commit[:7]}, {own}" if self.edited else f"checkout {self.commit[:7]}"


class Environment(msgspec.Struct, dict=True, frozen=True, omit_defaults=True):
    """The software that was measured.

    Attributes:
        python: version of the interpreter.
        packages: versions by distribution of what is imported; Ultralytics is ``ultralytics`` whichever distribution
            brought it.
        yolopace: version of this suite.
        origins: by the same names, packages that are not as a distribution installed them.
    """

    python: str
    packages: dict[str, str]
    yolopace: str
    origins: dict[str, Origin] = {}

    @functools.cached_property
    def fingerprint(self) -> str:
        """Hash of all fields in twelve hexadecimal digits; empty ``origins`` do not change it."""
        origins = {package: origin.frozen for package, origin in self.origins.items()}
        return digest(
            {"python": self.python, "packages": self.packages, "yolopace": self.yolopace}, {"origins": (origins, {})}
        )

    def label(self, package: str) -> str:
        """Return a package's version and any unusual origin, ``8.3.999 (checkout 1a2b3c4)``; empty without it."""
        version, origin = self.packages.get(package, ""), self.origins.get(package)
        return f"{version} ({origin.label})" if version and origin else version

    @property
    def torch(self) -> str:
        """Version of torch."""
        return self.packages.get("torch", "")

    @property
    def ultralytics(self) -> str:
        """Version of Ultralytics."""
        return self.packages.get("ultralytics", "")


class Data(msgspec.Struct, frozen=True):
    """The data set of a case.

    Attributes:
        name: file name of its yaml, or name of the made data set.
        fingerprint: hash of its content in twelve hexadecimal digits; comparable within one ``scheme``.
        images: number of training images that were used; in records of scheme 1, of those listed.
        scheme: how a user's data set was fingerprinted: 1 by names and sizes of the training images, 2 by images,
            labels and what the yaml says.
        left_out: number of images that Ultralytics found and dropped, by reason.
        left_out_first: a sentence on the first dropped image.
    """

    name: str
    fingerprint: str
    images: int
    scheme: int = 1
    left_out: dict[str, int] = {}
    left_out_first: str = ""

    def __post_init__(self) -> None:
        if not all(0 <= count < 2**63 for count in (self.images, *self.left_out.values())):
            raise ValueError("data: a number of images that cannot be")

    @property
    def left_out_share(self) -> float:
        """Share of dropped images among all images found."""
        count = sum(self.left_out.values())
        return count / (self.images + count) if count else 0.0


class Durations(msgspec.Struct, frozen=True):
    """Seconds from the request to the end of set-up, of warm-up, and of the case."""

    setup: float | None = None
    warmup: float | None = None
    total: float = 0.0


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """The record of one case in one process. Written once, never changed; tables, plots and verdicts derive from it.

    Attributes:
        process: number of the process among those that repeat the case in this run, from 1.
        discarded: windows that were measured again because of interference, oldest first.
        checks: results of the sanity checks of training: ``loss``, ``gradient_norm``, ``moved``, ...
    """

    schema: int = SCHEMA
    run: str
    process: int = 1
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
    energy: Energy | None = None
    device: dict[str, Any] = {}
    window: Window | None = None
    discarded: list[Window] = []
    epoch_overhead: EpochOverhead = EpochOverhead()
    calibration: CalibrationSummary | None = None
    checks: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    durations: Durations = Durations()
    worker_output: str = ""

    def __post_init__(self) -> None:
        check_measured(self.case)
        measured = self.outcome.status.value == "measured"
        if measured and (self.steps is None or not self.steps.window):
            raise ValueError(f"{self.case.id}: a measured case needs steps")

    @property
    def id(self) -> str:
        """ID that is unique over all runs: run, case, and process number from the second on."""
        return f"{self.run}/{self.name}"

    @property
    def name(self) -> str:
        """Name that is unique within the run."""
        return process_name(self.case, self.process)

    @property
    def file_name(self) -> str:
        """Name of its file in the folder of the run."""
        return f"{self.name}.json"
