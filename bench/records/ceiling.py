"""The record of a ceiling: the largest batch that trains, and its probes; a separate file in the run's folder."""

from __future__ import annotations

import msgspec

from bench.cases import Case, Recipe
from bench.cases.case import LARGEST_BATCH, check
from bench.formatting import format_exact_bytes
from bench.machine.description import Conditions, Machine
from bench.records import migrations
from bench.records.outcome import Outcome, Status
from bench.records.record import Environment, Memory

SCHEMA = migrations.NEWEST[migrations.CEILING]

PREFIX = "ceiling-"
"""Prefix of the file names of ceilings, which are no records of cases."""

PREDICTED = "predicted"
"""Stop reason where the next batch is so clearly too large that it was not tried."""


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """One batch, tried in a fresh process.

    Attributes:
        batch: images per step.
        outcome: ``measured`` where it trained.
        stop_reason: why the batch did not fit: ``out of memory``, ``swap``, ``collapse`` or ``time``; empty if it did.
        peak: peak of the limited memory in bytes; None where it is unknown.
        baseline_bytes: limited memory before the first step.
        memory: all memory figures of the worker, each with its method.
        images_per_second: throughput of its few steps, only for the detection of a collapse.
        swap_bytes: growth of the machine's swap during the probe.
        seconds: duration of the probe.
    """

    batch: int
    outcome: Outcome
    stop_reason: str = ""
    peak: int | None = None
    baseline_bytes: int | None = None
    memory: dict[str, Memory] = {}
    images_per_second: float | None = None
    swap_bytes: int = 0
    seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.batch < 1 or any(
            size is not None and not 0 <= size < 2**63 for size in (self.peak, self.baseline_bytes)
        ):
            raise ValueError("probe: batch or bytes out of range")

    @property
    def fits(self) -> bool:
        """Whether it trained, and neither swapped nor collapsed."""
        return self.outcome.status is Status.MEASURED and not self.stop_reason


class MemoryFit(msgspec.Struct, frozen=True):
    """Peak memory over the batch: ``base + slope * batch`` bytes, at most ``residual`` off at its ``points``."""

    base: float
    slope: float
    residual: float
    points: int

    def __post_init__(self) -> None:
        if self.slope < 1 or max(abs(self.base), self.slope, abs(self.residual)) >= 2**63:
            raise ValueError("memory_fit: base, slope or residual out of range")


class Ceiling(msgspec.Struct, frozen=True, kw_only=True):
    """The largest batch of a model at a size, on a device, in a precision.

    Attributes:
        case: case of mode ``ceiling``; its batch is the largest that trains, 0 where not even the smallest does.
        recipe: recipe of its probes.
        outcome: ``measured`` where the largest batch is known.
        stop_reason: why nothing larger trains: ``out of memory``, ``swap``, ``collapse``, ``time``, ``predicted`` or
            ``limit``. ``predicted``: the next batch is predicted to need clearly more than the limit. ``limit``: the
            largest batch that was asked for still trains.
        granularity: batches are multiples of it.
        max_batch: the largest batch that would have been tried.
        limit_bytes: memory limit of a probe; ``limit_method`` says what enforced it.
        limit_requested: whether the user set the limit; else it is the machine's free memory, which varies.
        memory_fit: fit of the peaks of the batches that fit; None with fewer than two.
        probes: in the order of their trial.
    """

    schema: int = SCHEMA
    run: str
    started: str
    case: Case
    recipe: Recipe
    outcome: Outcome
    stop_reason: str = ""
    machine: Machine
    environment: Environment
    conditions: Conditions = Conditions()
    effective: dict[str, object] = {}
    granularity: int
    max_batch: int
    limit_bytes: int | None = None
    limit_method: str = ""
    limit_requested: bool = True
    memory_fit: MemoryFit | None = None
    probes: list[Probe] = []

    def __post_init__(self) -> None:
        check(self.case)
        if not 1 <= self.granularity <= LARGEST_BATCH or (
            self.limit_bytes is not None and not 0 < self.limit_bytes < 2**63
        ):
            raise ValueError("ceiling: granularity or limit_bytes out of range")

    @property
    def asked_bytes(self) -> int | None:
        """The requested limit in bytes; None for a limit that the device or the machine set."""
        return self.limit_bytes if self.limit_requested else None

    @property
    def id(self) -> str:
        """Unique over all runs."""
        return f"{self.run}/{self.name}"

    @property
    def name(self) -> str:
        """Unique within the run, and the name of its file: ``ceiling-yolov8n-cpu-fp32-i160-2048MiB``."""
        within = f"-{format_exact_bytes(self.asked_bytes)}" if self.asked_bytes else ""
        return f"{PREFIX}{self.case.search_id}{within}"

    @property
    def file_name(self) -> str:
        """Name of its file in the folder of the run."""
        return f"{self.name}.json"

    @property
    def next_untried(self) -> bool:
        """Whether the batch after the largest one was not tried, so that its outcome is unknown."""
        return self.stop_reason in ("limit", PREDICTED)

    @property
    def largest(self) -> Probe | None:
        """The probe of the largest batch that trains."""
        return next((probe for probe in self.probes if probe.batch == self.case.batch and probe.fits), None)
