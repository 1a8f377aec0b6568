"""Estimate the duration of a case from earlier cases on this machine, or else from a first guess."""

from __future__ import annotations

import math
import platform
import statistics
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from bench.cases import Case
from bench.cases.axes import NOT_ASKED
from bench.cases.device_kinds import kind_of
from bench.cases.plan import PlannedRun
from bench.machine.fingerprint import machine
from bench.records import store
from bench.records.record import Record
from bench.worker.protocol import SHORT_ACCUMULATION_STEPS, SLACK
from bench.worker.workloads.base import family_of

SETUP = 0.6
"""Seconds of a case outside its steps: from the request to the first step, and from the last step to the record."""


STARTUP = 3.5
"""Seconds in which a process imports torch and Ultralytics: once per run where workers are forked, else per case."""


def work(case: Case) -> float:
    """Return the work of one step, in the units of the case's workload."""
    return family_of(case.model).work(case.values)


HISTORY_RUNS = 5
"""Number of newest runs that estimates are based on."""


def rate_key(case: Case) -> tuple[str, ...]:
    """Return a key that is equal for cases with about equal seconds per unit of work."""
    key = family_of(case.model).name, case.mode, case.device, case.amp
    return key if case.value("format") == NOT_ASKED else (*key, str(case.value("format")))


class Estimator:
    """Estimates durations of cases, and learns from records.

    Attributes:
        startup: seconds before the first case of a run.
    """

    def __init__(self, history: Iterable[Record] = ()) -> None:
        forks = platform.system() == "Linux"
        self.startup = STARTUP if forks else 0.0
        self._setup = SETUP if forks else SETUP + STARTUP
        self._durations: dict[tuple[Case, str], float] = {}
        self._rates: dict[tuple[str, ...], list[float]] = defaultdict(list)
        for record in history:
            self.learn(record)

    def learn(self, record: Record) -> None:
        """Learn the duration of a case; ignore a case that never ran because another one settled its outcome."""
        if record.outcome.status.value == "interrupted" or not record.durations.total:
            return
        case = record.case
        self._durations[case, record.recipe.fingerprint] = record.durations.total
        if record.steps is not None and record.steps.window:
            self._rates[rate_key(case)].append(record.steps.step_seconds / work(case))

    def knows(self, planned: PlannedRun) -> bool:
        """Whether this exact case was measured before."""
        return (planned.case, planned.recipe.fingerprint) in self._durations

    def seconds(self, planned: PlannedRun) -> float:
        """Return the expected duration of a case in seconds."""
        case, recipe = planned.case, planned.recipe
        if self.knows(planned):
            return self._durations[case, recipe.fingerprint]
        rates = self._rates.get(rate_key(case))
        kind = kind_of(case.device)
        guess = kind.seconds_per_pixel / (1 if case.mode == "train" else 3)  # prediction is a third of training
        step = (statistics.median(rates) if rates else guess) * work(case)
        step = max(step, *(axis.step_seconds(value) for axis, value in case.asked), 0.0)
        accumulation_steps = family_of(case.model).accumulation(case.values, recipe.overrides)
        short = min(accumulation_steps, SHORT_ACCUMULATION_STEPS)
        warmup = max(recipe.warmup_seconds, (short + 2) * step)
        least = max(recipe.window_steps, recipe.window_seconds / step)
        least = min(least, recipe.most_seconds / step + 1) if recipe.most_seconds else least
        steps = math.ceil(least / accumulation_steps) * accumulation_steps
        if kind.weighs_steps and steps > SLACK * least:
            steps = math.ceil(least / short) * short
        prepare = sum(axis.prepare_seconds(value) for axis, value in case.asked) if planned.process == 1 else 0.0
        return self._setup + prepare + warmup + steps * step

    def question_seconds(self, planned: PlannedRun) -> float:
        """Return the expected seconds of a case that only asks whether a precision is available: it ends at its set-up.

        Args:
            planned: of :func:`bench.cases.availability.divide`.
        """
        return self.seconds(planned) if self.knows(planned) else self._setup

    def total(self, planned: Iterable[PlannedRun], questions: Iterable[PlannedRun] = ()) -> float:
        """Return the expected seconds of a run, from its start.

        Args:
            planned: processes of its cases.
            questions: cases that only ask whether a precision is available.
        """
        return self.startup + sum(map(self.seconds, planned)) + sum(map(self.question_seconds, questions))


def from_history(results: Path) -> Estimator:
    """Return an estimator that has learned from this machine's newest runs in a results folder."""
    newest = store.runs(results, machine())[-HISTORY_RUNS:]
    return Estimator(store.read([results / run for run in newest])[0])
