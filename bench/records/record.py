"""The record of one case: everything that tables, plots and verdicts are derived from."""

from __future__ import annotations

import functools
from typing import Any

import msgspec

from bench.cases import Case, Recipe
from bench.cases.case import check_measured
from bench.cases.fingerprints import digest
from bench.cases.plan import process_name
from bench.machine.description import Conditions, Machine
from bench.records import migrations
from bench.records.outcome import Outcome
from bench.records.steps import Steps
from bench.worker.timing.precision import AFTER, OPTIMIZER, PLAIN

SCHEMA = migrations.NEWEST[migrations.RECORD]


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
