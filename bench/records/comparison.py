"""The record of a live comparison of two environments: every interleaved pair of processes.

One JSON file, ``results/<run>/comparison.json``, is rewritten after every pair. All else is derived from it.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from bench.cases import Case, Recipe
from bench.cases.case import check_measured
from bench.cases.plan import PlannedRun
from bench.machine.description import Conditions, Machine
from bench.records import migrations
from bench.records.outcome import Outcome, Status
from bench.records.paired import paired_log_ratio
from bench.records.record import Environment, Memory, Phase
from bench.records.steps import Steps

SCHEMA = migrations.NEWEST[migrations.COMPARISON]

COMPARISON = "comparison.json"
"""File name of a live comparison, which is no record of a case."""

SIDES = ("base", "head")

LARGEST = 10.0
"""Upper bound of margins, a share."""


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """The measurement of one process of a pair.

    Attributes:
        steps: raw step times of its turns, without warm-up.
        phases, memory: as in a record.
        cpu_seconds: CPU time of the process during its window.
    """

    steps: Steps
    phases: dict[str, Phase] = {}
    memory: dict[str, Memory] = {}
    cpu_seconds: float | None = None

    def __post_init__(self) -> None:
        if not self.steps.window:
            raise ValueError("measured: no window")
        if any(memory.bytes is not None and memory.bytes <= 0 for memory in self.memory.values()):
            raise ValueError("measured: memory of no bytes")

    @property
    def peak_bytes(self) -> int | None:
        """Peak memory by the first available figure."""
        return next((memory.bytes for memory in self.memory.values() if memory.bytes is not None), None)


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """Two processes, one per side, measured as a pair.

    Attributes:
        started: time of the start, UTC.
        head_first: whether head was started first.
        confirmation: whether it was measured to confirm an alarm.
        lockstep: whether the processes were interleaved; where memory is too small for both, they ran sequentially.
        processors: CPUs that both interleaved processes were bound to; empty if they were not bound.
        retries: how often the pair was started again because of interference, or because a worker failed.
        worker_failures: one sentence for each worker that failed, the side first.
        interference: interference with the pair, one phrase each; judged by system counters, never by speed.
        block_steps: steps per turn; 0 where they are unknown, or the processes ran sequentially.
        interleaved_within_steps: whether turns ended within steps too, so that each step ran in slices between those of
            the other side.
        seconds: duration of the pair, start and warm-up included.
        base, head: measurements of the two processes.
    """

    started: str
    head_first: bool
    base: Measurement
    head: Measurement
    confirmation: bool = False
    lockstep: bool = True
    processors: list[int] = []
    retries: int = 0
    worker_failures: list[str] = []
    interference: list[str] = []
    block_steps: int = 0
    interleaved_within_steps: bool = False
    seconds: float = 0.0

    @property
    def log_ratio_of_means(self) -> float:
        """``ln(head / base)`` of the mean step of training, every step counted; above 0 head is slower.

        Where the batches differ, it is that of the seconds per image, and so of an epoch.
        """
        log_ratio = math.log(self.head.steps.step_seconds / self.base.steps.step_seconds)
        base, head = self.base.steps, self.head.steps
        if base.images == head.images:
            return log_ratio
        return log_ratio + math.log(base.window_images / len(base.window) / (head.window_images / len(head.window)))

    @property
    def log(self) -> float:
        """``ln(head / base)`` by adjacent steps (:func:`paired_log_ratio`), or else of the mean steps."""
        log_ratio = paired_log_ratio(self.base.steps, self.head.steps) if self.block_steps == 1 else None
        return self.log_ratio_of_means if log_ratio is None else log_ratio


class EnvironmentSide(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two environments of a comparison.

    Attributes:
        asked: the requested environment specification, without folders.
        key: hash of the installed packages; equal keys mean equal environments.
        packages: all installed packages, ``name==version``.
        environment: versions of the interpreter and of the measured packages.
    """

    asked: str
    key: str
    packages: list[str]
    environment: Environment


class SideOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome and the effective settings of a case on one side."""

    outcome: Outcome = Outcome(Status.MEASURED)
    effective: dict[str, Any] = {}


class StepPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Step counts that every process of a case runs: warm-up, accumulation in the window, and window."""

    warmup_steps: int
    timed_accumulation_steps: int
    window_steps: int


class CaseComparison(msgspec.Struct, kw_only=True):
    """The comparison of one case.

    Attributes:
        case, recipe: what was measured, and how.
        base, head: outcome on each side; None where it is not known yet.
        pairs: in the order of measurement.
        plan: step counts of all processes after the first one, so that all windows hold the same steps; None before
            the first process has set them.
        sequential_reason: why the processes were not interleaved; empty if they were.
        head_case, head_recipe: of head, where the sides differ in settings; None where both run the same case.
        error: why the measurement ended before its plan; empty if it did not.
    """

    case: Case
    recipe: Recipe
    base: SideOutcome | None = None
    head: SideOutcome | None = None
    pairs: list[Pair] = []
    plan: StepPlan | None = None
    sequential_reason: str = ""
    error: str = ""
    head_case: Case | None = None
    head_recipe: Recipe | None = None

    def __post_init__(self) -> None:
        check_measured(self.case)
        if self.head_case is not None:
            check_measured(self.head_case)

    @property
    def head_planned(self) -> PlannedRun | None:
        """The case of head with its recipe, where the sides differ in settings."""
        return PlannedRun(self.head_case, self.head_recipe or self.recipe) if self.head_case is not None else None

    @property
    def interim(self) -> list[Pair]:
        """Pairs of the interim looks."""
        return [pair for pair in self.pairs if not pair.confirmation]

    @property
    def confirmation(self) -> list[Pair]:
        """Fresh pairs that confirm an alarm."""
        return [pair for pair in self.pairs if pair.confirmation]

    @property
    def both_runnable(self) -> bool:
        """Whether both sides can run the case, as far as is known."""
        return all(ran is None or ran.outcome.status is Status.MEASURED for ran in (self.base, self.head))


class Comparison(msgspec.Struct, kw_only=True):
    """Head against base on one machine.

    Attributes:
        run: name of its folder.
        started: time of its start, UTC.
        base, head: the environments.
        exclude_newer: date after which releases were left out of both environments.
        margin: equivalence margin of speed, a share; ``margin_from`` says where it comes from.
        memory_margin: equivalence margin of peak memory, a share.
        seconds: duration up to the last pair over all sessions, without building environments.
    """

    schema: int = SCHEMA
    run: str
    started: str
    machine: Machine
    conditions: Conditions = Conditions()
    base: EnvironmentSide
    head: EnvironmentSide
    exclude_newer: str = ""
    margin: float
    margin_from: str
    memory_margin: float
    cases: list[CaseComparison]
    seconds: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.margin < LARGEST or not 0 <= self.memory_margin < LARGEST:
            raise ValueError(f"comparison: margin {self.margin} or memory margin {self.memory_margin} out of range")

    @property
    def file_name(self) -> str:
        """Name of its file in the folder of the run."""
        return COMPARISON

    @property
    def has_findings(self) -> bool:
        """Whether there is a result: a pair, or a case that one side cannot run."""
        return any(case.pairs or not case.both_runnable for case in self.cases)

    @property
    def self_comparison(self) -> bool:
        """Whether both sides are the same environment, to check the comparison itself."""
        return self.base.key == self.head.key

    def same_question(self, other: Comparison) -> bool:
        """Whether another comparison has the same machine, environments and cases, so that it can be resumed.

        Resource limits have to agree too: pairs under different quotas do not belong together.
        """
        return (
            self.machine.is_same(other.machine)
            and self.conditions.limited_alike(other.conditions)
            and self.base.environment.yolopace == other.base.environment.yolopace
            and (self.base.key, self.head.key) == (other.base.key, other.head.key)
            and [(case.case, case.recipe.fingerprint) for case in self.cases]
            == [(case.case, case.recipe.fingerprint) for case in other.cases]
        )
