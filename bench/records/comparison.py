"""The record of a live comparison of two environments: every pair of processes that took turns.

One JSON file, ``results/<run>/comparison.json``, written anew after every pair; all else is derived from it.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from bench.cases import Case, Recipe
from bench.cases.case import check_measured
from bench.machine.description import Conditions, Machine
from bench.records import migrations
from bench.records.outcome import Outcome, Status
from bench.records.paired import paired_log_ratio
from bench.records.record import Environment, Memory, Phase, Steps

SCHEMA = migrations.NEWEST[migrations.COMPARISON]

COMPARISON = "comparison.json"
"""The file of a live comparison; it is no record of a case."""

SIDES = ("base", "head")

LARGEST = 10.0
"""A share that no margin reaches."""


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """What one process of a pair measured.

    Attributes:
        steps: raw times of the steps of its turns; warm-up is left out.
        phases, memory: as in a record.
        cpu_seconds: that the process used during its window.
    """

    steps: Steps
    phases: dict[str, Phase] = {}
    memory: dict[str, Memory] = {}
    cpu_seconds: float | None = None

    def __post_init__(self) -> None:
        if not self.steps.window:
            raise ValueError("measured: no window")
        if any(one.bytes is not None and one.bytes <= 0 for one in self.memory.values()):
            raise ValueError("measured: memory of no bytes")

    @property
    def peak_bytes(self) -> int | None:
        """Its peak memory by the first of its figures that is one."""
        return next((one.bytes for one in self.memory.values() if one.bytes is not None), None)


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """Two processes that took turns.

    Attributes:
        started: when, UTC.
        head_first: whether head was started first.
        confirmation: whether it was measured to confirm an alarm.
        lockstep: whether they took turns; where memory holds but one of them, they ran one after the other.
        processors: that both were bound to while they took turns; empty where they were not.
        retries: how often the pair was started again because of interference, or because a worker failed.
        worker_failures: one sentence for each worker that failed, the side first.
        interference: what interfered with it, one phrase each; judged by what the system says, never by speed.
        block_steps: steps that each did at a time; 0 where that is not known, or they ran one after the other.
        interleaved_within_steps: whether turns ended within steps too, so that each step ran in slices between those of
            the other side.
        seconds: that the pair cost, starting and warming up included.
        base, head: what they measured.
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
    def whole(self) -> float:
        """``ln(head / base)`` of the mean step of training, every step counted; above 0 head is slower."""
        return math.log(self.head.steps.step_seconds / self.base.steps.step_seconds)

    @property
    def log(self) -> float:
        """The same from steps that ran one beside the other, where there are such (:func:`paired_log_ratio`)."""
        found = paired_log_ratio(self.base.steps, self.head.steps) if self.block_steps == 1 else None
        return self.whole if found is None else found


class EnvironmentSide(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two environments.

    Attributes:
        asked: the specification as it was given, without folders.
        key: of what is installed; two sides with the same one are the same thing.
        packages: all of them, ``name==version``.
        environment: versions that count.
    """

    asked: str
    key: str
    packages: list[str]
    environment: Environment


class SideOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a case on one side."""

    outcome: Outcome = Outcome(Status.MEASURED)
    effective: dict[str, Any] = {}


class StepPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The steps of a process: of its warm-up, from one optimizer step to the next in its window, and of its window."""

    warmup_steps: int
    timed_accumulation_steps: int
    window_steps: int


class CaseComparison(msgspec.Struct, kw_only=True):
    """One case on both sides.

    Attributes:
        case, recipe: what was measured, and how.
        base, head: what became of it; None where that is not known yet.
        pairs: in the order in which they were measured.
        plan: what every process but the first one does, so that all windows hold the same steps; None before it is
            known.
        sequential_reason: why its processes ran one after the other, where they did.
        error: why there are no more pairs, where something other than the plan ended it.
    """

    case: Case
    recipe: Recipe
    base: SideOutcome | None = None
    head: SideOutcome | None = None
    pairs: list[Pair] = []
    plan: StepPlan | None = None
    sequential_reason: str = ""
    error: str = ""

    def __post_init__(self) -> None:
        check_measured(self.case)

    @property
    def interim(self) -> list[Pair]:
        """The pairs of the planned looks."""
        return [pair for pair in self.pairs if not pair.confirmation]

    @property
    def confirmation(self) -> list[Pair]:
        """Those that were to confirm an alarm."""
        return [pair for pair in self.pairs if pair.confirmation]

    @property
    def both(self) -> bool:
        """Whether both sides can run it, as far as is known."""
        return all(ran is None or ran.outcome.status is Status.MEASURED for ran in (self.base, self.head))


class Comparison(msgspec.Struct, kw_only=True):
    """Head against base on one machine.

    Attributes:
        run: name of its folder.
        started: when, UTC.
        base, head: the environments.
        exclude_newer: releases after this date were left out of both.
        margin: a difference below this share counts as none; ``margin_from`` says where it comes from.
        memory_margin: the same for peak memory.
        seconds: that it took up to the last pair, all sittings together, building environments left out.
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
            raise ValueError("comparison: a margin that is none")

    @property
    def file_name(self) -> str:
        """Name of its file in the folder of the run."""
        return COMPARISON

    @property
    def has_findings(self) -> bool:
        """Whether it has something to tell: a pair, or a case that one side cannot run."""
        return any(case.pairs or not case.both for case in self.cases)

    @property
    def self_comparison(self) -> bool:
        """Whether both sides are the same thing: a check of the comparison itself."""
        return self.base.key == self.head.key

    def same_question(self, other: Comparison) -> bool:
        """Whether the other one asks the same thing of the same machine, so that one can go on where it ended.

        What limits a process counts too: half of the pairs under another quota would be another comparison.
        """
        return (
            self.machine.fingerprint == other.machine.fingerprint
            and self.conditions.limited_alike(other.conditions)
            and self.base.environment.yolopace == other.base.environment.yolopace
            and (self.base.key, self.head.key) == (other.base.key, other.head.key)
            and [(one.case, one.recipe.fingerprint) for one in self.cases]
            == [(one.case, one.recipe.fingerprint) for one in other.cases]
        )
