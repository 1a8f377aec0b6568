"""The record of a search for the fastest settings: what was tried, what was not, and the proof of the winner.

One JSON file, ``results/<run>/tune.json``, is rewritten after every measurement. The records of the cases lie next to
it, like those of any run.
"""

from __future__ import annotations

from typing import Any

import msgspec

from bench.cases import Case, Recipe
from bench.cases.case import check_measured
from bench.machine.description import Conditions, Machine
from bench.records import migrations
from bench.records.comparison import LARGEST, Comparison, Pair
from bench.records.record import Environment

SCHEMA = migrations.NEWEST[migrations.TUNE]

TUNE = "tune.json"
"""File name of a search for the fastest settings, which is no record of a case."""


class Block(msgspec.Struct, frozen=True):
    """Measurements that followed each other within a short time, by the names of their records.

    Differences between settings are taken within a block, so that a machine that changes its speed affects all alike.
    """

    number: int
    records: list[str]


class RivalPair(msgspec.Struct, frozen=True, kw_only=True):
    """A pair of two of the fastest settings, measured during the search.

    Attributes:
        block: its number among the blocks.
        base: the leader of that moment.
        head: its rival.
        pair: the measurement.
    """

    block: int
    base: Case
    head: Case
    pair: Pair


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """Settings that were tried.

    Attributes:
        case: with these settings.
        status: of its measurement, as a record has it.
        reason: why it was dropped, or gave no figure; empty where it was not.
        seconds_per_image: mean over its processes, those of earlier searches included.
        log, half: ``ln(time / time of the present settings)`` with half the width of its interval; None without.
        processes: number of its processes that gave a figure.
        earlier: how many of them an earlier search measured.
    """

    case: Case
    status: str
    reason: str = ""
    seconds_per_image: float | None = None
    log: float | None = None
    half: float | None = None
    processes: int = 0
    earlier: int = 0


class NotTried(msgspec.Struct, frozen=True):
    """Settings that were not tried, as text such as ``workers=2``, and why."""

    settings: str
    reason: str


class Tuning(msgspec.Struct, kw_only=True):
    """A search for the fastest settings, and the proof of its winner against the present settings.

    Attributes:
        run: name of its folder.
        started: time of its start, UTC.
        present: the present settings.
        present_named: whether the user named them; else they are the library's defaults.
        recipe: of the present settings.
        values: values of each axis that were searched, as text.
        budget: seconds that were asked for.
        margin: equivalence margin, a share; ``margin_from`` says where it comes from.
        design: how the settings to try were chosen, in a sentence.
        blocks: order of the measurements of this run.
        pairs: of the fastest settings, in the order of measurement.
        tried, not_tried: what became of each setting.
        winner: the fastest settings of the search; the present ones where none is faster; None before the search ended.
        proof: pairs of the winner against the present settings; None where the present settings win the search.
        complete: whether the search ended by itself, and not for lack of time.
        needed: seconds that the search lacked at least; 0 where it lacked none.
        reserve: seconds that a proof is expected to take.
        stopped: whether Ctrl-C stopped it.
        seconds: duration of the search, and of the proof.
        drift: range of the machine's speed over the blocks, a share.
        epoch_images: images of the epoch that times are projected to.
        setup: seconds of set-up of the present settings and of the winner; None where they are unknown.
        notes: further sentences for the user.
    """

    schema: int = SCHEMA
    run: str
    started: str
    machine: Machine
    conditions: Conditions = Conditions()
    environment: Environment
    present: Case
    present_named: bool = False
    recipe: Recipe
    values: dict[str, list[str]]
    budget: float
    margin: float
    margin_from: str = ""
    design: str = ""
    blocks: list[Block] = []
    pairs: list[RivalPair] = []
    tried: list[Tried] = []
    not_tried: list[NotTried] = []
    winner: Case | None = None
    proof: Comparison | None = None
    complete: bool = False
    needed: float = 0.0
    reserve: float = 0.0
    stopped: bool = False
    seconds: float = 0.0
    drift: float = 0.0
    epoch_images: int = 0
    setup: tuple[float | None, float | None] = (None, None)
    notes: list[str] = []

    def __post_init__(self) -> None:
        rivals = (case for measured in self.pairs for case in (measured.base, measured.head))
        for case in (self.present, *([self.winner] if self.winner is not None else []), *rivals):
            check_measured(case)
        if not 0 <= self.margin < LARGEST:
            raise ValueError(f"tune: margin {self.margin} out of range")

    @property
    def file_name(self) -> str:
        """Name of its file in the folder of the run."""
        return TUNE

    def same_question(self, other: Tuning) -> bool:
        """Whether another search has the same machine, environment, settings and recipe, so that it can be resumed."""
        return (
            self.machine.is_same(other.machine)
            and self.conditions.limited_alike(other.conditions)
            and self.environment == other.environment
            and (self.present, self.recipe.fingerprint, self.values)
            == (other.present, other.recipe.fingerprint, other.values)
        )


def changes(present: Case, case: Case) -> dict[str, Any]:
    """Return the values of a case that differ from those of the present settings, by axis."""
    before = present.values
    return {name: value for name, value in case.values.items() if before.get(name) != value}
