"""One measurement of some settings, and what follows from settings that gave no figure."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from bench.cases import Case
from bench.cases.axes import axes, fixed_axes
from bench.records.outcome import Outcome, Status
from bench.records.tune import changes
from bench.tune.space import describe_change


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One measured process of some settings.

    Attributes:
        case: with the settings.
        block: number or name of its block.
        outcome: of the measurement.
        seconds: per image; None without a figure.
        cost: seconds that the measurement took.
        effective: settings that were read back.
        name: of its record.
        earlier: whether an earlier search measured it.
        paired: whether it is one of a pair, which was interleaved.
    """

    case: Case
    block: str
    outcome: Outcome
    seconds: float | None = None
    cost: float = 0.0
    effective: dict[str, Any] = {}
    name: str = ""
    earlier: bool = False
    paired: bool = False


class Measurer(Protocol):
    """Measures settings."""

    def measure(self, case: Case, block: str) -> Trial:
        """Measure settings in a fresh process."""

    def measure_pair(self, case: Case, other: Case, block: str) -> list[Trial]:
        """Measure two settings in a pair; return a trial of each, only that of one that failed, or none."""

    def why_not(self, case: Case) -> str:
        """Say why settings are not worth a try, such as a prediction of their memory; empty where they are."""

    def clock(self) -> float:
        """Return the current time in seconds."""


class Rule(msgspec.Struct, frozen=True):
    """Values that do not run, whatever else is set.

    Attributes:
        values: values of a case by axis; a case with all of them is not tried.
        smallest_batch: batches below it are not affected; 0 for any.
        reason: one sentence.
    """

    values: dict[str, Any]
    reason: str
    smallest_batch: int = 0

    def applies(self, case: Case) -> bool:
        """Whether it excludes a case."""
        return case.batch >= self.smallest_batch and all(
            case.value(name) == value for name, value in self.values.items()
        )


def rules_of(trial: Trial, present: Case) -> list[Rule]:
    """Return the rules that follow from settings without a figure: none of them is tried again in another combination.

    A setting that was read back differently is the cause. Without one, a change alone is, and the scope of the outcome.
    """
    case, status, changed = trial.case, trial.outcome.status, changes(present, trial.case)
    named = describe_change(present, case)
    reason = f"{named} ended as {status.value.replace('_', ' ')}: {trial.outcome.reason}"
    if status is Status.INTERRUPTED:
        return []
    if status is Status.OUT_OF_MEMORY:
        return [Rule({"cache": case.value("cache")}, reason, smallest_batch=case.batch)]
    known = axes()
    culprits = [
        name
        for name, value in changed.items()
        if name in known
        and trial.effective.get(known[name].setting) is not None
        and trial.effective[known[name].setting] != known[name].expected(value)
    ]
    if not culprits and len(changed) == 1:
        culprits = list(changed)
    # Whether a setting is honoured may depend on the batch: there are no more loaders than an epoch has batches.
    fixed = {name: case.value(name) for name in fixed_axes() if name in changed or name == "batch"}
    rules = [Rule({**fixed, name: changed[name]}, reason) for name in culprits]
    scope = [name for name in trial.outcome.scope if name in changed]
    if scope and not status.broken:
        rules.append(Rule({name: case.value(name) for name in trial.outcome.scope}, reason))
    return rules
