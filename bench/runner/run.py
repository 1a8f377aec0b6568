"""A run: measure the remaining cases, skip those that need no process, and save each record."""

from __future__ import annotations

import functools
import math
import os
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from bench import extensions
from bench.analysis.availability import AVAILABILITY, is_unavailable
from bench.cases import Case
from bench.cases.availability import why_unavailable
from bench.cases.axes import NOT_ASKED
from bench.cases.device_kinds import kind_of
from bench.cases.plan import PlannedRun
from bench.machine.fingerprint import machine
from bench.records.outcome import Outcome, Status
from bench.records.record import Record
from bench.records.store import Store
from bench.runner import doctor
from bench.runner.estimate import Estimator
from bench.runner.jobs import data_job, workload_facts
from bench.runner.launchers.local import Launcher
from bench.runner.measure import (
    DatasetUnavailable,
    Interrupted,
    check_trainable,
    look_for_data,
    measure,
    with_export,
)
from bench.worker.protocol import DataJob
from bench.worker.workloads.base import family_of

PHASE_LIMIT = 600.0

IMPORTING = "import"
PREPARING = "data"
"""What a run does before the phases of a case: it waits until libraries are imported, and looks for a data set."""


def is_unusable_device(record: Record) -> bool:
    """Whether torch cannot use the accelerator of a case."""
    alone = record.outcome.status is Status.UNSUPPORTED and tuple(record.outcome.scope) == ("device",)
    return alone and not kind_of(record.case.device).on_host


class Run:
    """Measures cases one after another in one environment, each in one or several processes.

    Attributes:
        planned: all planned processes, in order.
        records: records so far, in order.
        processes: records by case and process, those from before this run's start included.
        omitted: names of processes left out because a precision that the user did not name is unavailable.
        spared: number of repeats that were not started.
        cut: number of repeats that were not started because of the time budget.
        trouble: one sentence while records cannot be written, else empty.
        phase_limit: seconds that warm-up and window may take each.
        launcher: of the environment.
        watch: called with a process and what it does now: :data:`IMPORTING`, :data:`PREPARING`, or a phase.
    """

    def __init__(
        self,
        planned: Sequence[PlannedRun],
        store: Store,
        launcher: Launcher,
        estimator: Estimator,
        *,
        time_budget: float | None = None,
        phase_limit: float = PHASE_LIMIT,
        finished: dict[str, Record] | None = None,
        optional: Collection[str] = (),
    ) -> None:
        """Start nothing.

        Args:
            planned: processes in order.
            store: of the run.
            launcher: of the environment.
            estimator: of durations.
            time_budget: seconds, or None.
            phase_limit: seconds that warm-up and window may take each.
            finished: earlier records by name.
            optional: names of processes whose precision the user did not name.
        """
        self.planned = list(planned)
        self.records: list[Record] = []
        self.processes: dict[Case, dict[int, Record]] = defaultdict(dict)
        self.omitted: set[str] = set()
        self.skipped = 0
        self.over_budget = 0
        self.save_error = ""
        self.watch: Callable[[PlannedRun, str], None] = lambda planned, phase: None
        self._store = store
        self.launcher = launcher
        self._estimator = estimator
        self._budget = time_budget
        self.phase_limit = phase_limit
        self._finished = finished or {}
        self._optional = frozenset(optional)
        self._began: float | None = None
        self._settled: list[tuple[Case, Outcome]] = []
        self._data: dict[DataJob, dict[str, Any]] = {}
        self._exports: dict[Case, dict[str, Any]] = {}
        self._over: dict[str, Record] = {}
        self._left = {p.name: p for p in planned if p.name not in self._finished}
        for record in self._finished.values():
            self.processes[record.case][record.process] = record

    def place(self, record: Record) -> Path:
        """Return the path of a record of this run."""
        return self._store.path(record)

    @property
    def left_out(self) -> list[str]:
        """One sentence for each data set with dropped images."""
        sentences = []
        for data in self._data.values():
            if reasons := data.get("left_out"):
                kinds = ", ".join(f"{count:,} {why}" for why, count in reasons.items())
                sentences.append(
                    f"{sum(reasons.values()):,} of {data['listed']:,} training images were left out ({kinds}): "
                    f"{data['left_out_file']} lists them"
                )
        return sentences

    def seconds_left(self) -> float:
        """Estimated duration in seconds of the remaining processes, within the time budget."""
        left = sum(self._seconds(planned) for planned in self._expected())
        return left if self._budget is None else min(left, self.budget_left())

    def estimate(self) -> float:
        """Estimated duration in seconds of a run that has not begun, within the time budget."""
        questions = [planned for planned in self._expected() if self._is_question(planned)]
        cases = [planned for planned in self._expected() if not self._is_question(planned)]
        return min(self._estimator.total(cases, questions), self.budget_left())

    def _expected(self) -> list[PlannedRun]:
        """Return the remaining processes that are expected to be started."""
        return [planned for planned in self._left.values() if not self._known_to_fail(planned)]

    def _is_question(self, planned: PlannedRun) -> bool:
        """Whether a process only asks whether a precision is available."""
        return planned.name in self._optional and bool(why_unavailable(planned.case))

    def _seconds(self, planned: PlannedRun) -> float:
        """Return the expected duration of a process in seconds."""
        estimator = self._estimator
        return estimator.question_seconds(planned) if self._is_question(planned) else estimator.seconds(planned)

    @property
    def unfinished(self) -> bool:
        """Whether processes were not started although they were expected to give a figure."""
        return bool(self._expected())

    def budget_left(self) -> float:
        """Remaining seconds of the time budget; infinite without a budget."""
        if self._budget is None:
            return math.inf
        return max(self._budget - (time.monotonic() - (self._began or time.monotonic())), 0.0)

    def fits(self, planned: PlannedRun) -> bool:
        """Whether the time budget is enough for another process."""
        return self._seconds(planned) <= self.budget_left()

    def implied_count(self, record: Record) -> int:
        """Return the number of remaining cases that are settled by the outcome of this one."""
        axes = record.outcome.scope
        if not axes:
            return 0
        others = {p.case for p in self._left.values()} - {record.case}
        return sum(all(case.value(axis) == record.case.value(axis) for axis in axes) for case in others)

    def skip_reason(self, planned: PlannedRun) -> str:
        """Skip a process where it is pointless; return the reason, or empty if it has to be measured.

        A repeat is skipped if the first process of its case gave no figure, or the time budget is spent. Any process is
        skipped whose precision is not available and was not named by the user. A skipped process leaves no record.
        """
        if planned.name in self._finished:
            return ""
        settled = self._settled_by(planned.case)
        if settled and planned.name in self._optional and is_unavailable(settled[1]):
            self._left.pop(planned.name, None)
            self.omitted.add(planned.name)
            return settled[1].reason
        if planned.process == 1:
            return ""
        if self._known_to_fail(planned):
            reason = "the first process of this case gave no figure"
        elif self._beyond_budget(planned):
            reason = "the time budget is over"
            self.over_budget += 1
        else:
            return ""
        self._left.pop(planned.name, None)
        self.skipped += 1
        return reason

    def _known_to_fail(self, planned: PlannedRun) -> bool:
        """Whether a process is known to give no figure, and so is not started."""
        if self._settled_by(planned.case):
            return True
        first = self.processes[planned.case].get(1)
        return planned.process > 1 and first is not None and first.outcome.status is not Status.MEASURED

    def measured(self, case: Case) -> list[Record]:
        """Return the records of a case that have a figure, in order."""
        processes = self.processes[case]
        return [
            processes[number] for number in sorted(processes) if processes[number].outcome.status is Status.MEASURED
        ]

    def over(self, planned: PlannedRun) -> Record | None:
        """Return this run's record of a process, if it has one: no name is measured twice."""
        return self._over.get(planned.name)

    def measure(self, planned: PlannedRun) -> Record:
        """Return the record of a process: a new measurement, an outcome settled by another case, or an earlier record.

        Raises:
            UsageError: where the environment or the data cannot be used at all.
            KeyboardInterrupt: after the record of the interrupted case was saved.
        """
        if self._began is None:
            self._began = time.monotonic()
        case = planned.case
        if (over := self.over(planned)) is not None:
            return over
        known = self._finished.get(planned.name)
        if known is not None:
            self.records.append(known)
            self._over[known.name] = known
            self._settle(known)
            return known
        if settled := self._settled_by(case):
            other, outcome = settled
            return self._keep(self._unstarted(planned, outcome, {"skipped_because_of": other.id}))
        if outside := self._beyond_budget(planned):
            return self._keep(self._unstarted(planned, outside))
        self.watch(planned, IMPORTING)
        self.launcher.wait(family_of(case.model).name)
        try:
            data, watch = self.data_for(planned), functools.partial(self.watch, planned)
            watch("setup")
            record = measure(self.launcher, planned, data, self._store.run, self.phase_limit, watch=watch)
        except DatasetUnavailable as error:
            record = self._unstarted(planned, error.outcome, log=error.log)
            if "format" in error.outcome.scope:  # packages that are missing for all cases of a format
                self._settle(record)
            return self._keep(record)
        except Interrupted as stop:
            if stop.record is not None:
                self._keep(stop.record)
            raise
        if planned.name in self._optional and is_unavailable(record.outcome):
            record = msgspec.structs.replace(record, extra={**record.extra, AVAILABILITY: True})
        elif is_unusable_device(record):
            record = msgspec.structs.replace(record, outcome=self._with_remedy(case.device, record.outcome))
        self._settle(record)
        return self._keep(record)

    def give_up(self, planned: PlannedRun, reason: str) -> Record:
        """Record a process as failed without starting it."""
        return self._keep(self._unstarted(planned, Outcome(Status.FAILED, reason)))

    def _settle(self, record: Record) -> None:
        """Let the outcome of a case stand for all cases that it decides."""
        if record.outcome.scope and not record.outcome.status.broken:
            self._settled.append((record.case, record.outcome))

    def _with_remedy(self, device: str, outcome: Outcome) -> Outcome:
        """Add what ``doctor`` advises for a device that torch cannot use; importing torch for that takes seconds."""
        remedy = doctor.device_remedy(self.launcher.interpreter.path, device)
        return msgspec.structs.replace(outcome, reason=f"{outcome.reason} {remedy}".strip())

    def _keep(self, record: Record) -> Record:
        self._left.pop(record.name, None)
        self._estimator.learn(record)
        self.records.append(record)
        self._over[record.name] = record
        self.processes[record.case][record.process] = record
        self.save_error = self._store.save(record)
        return record

    def _settled_by(self, case: Case) -> tuple[Case, Outcome] | None:
        """Return another case whose outcome settles this one, and that outcome."""
        for other, outcome in self._settled:
            if all(other.value(axis) == case.value(axis) for axis in outcome.scope):
                return other, outcome
        return None

    def _beyond_budget(self, planned: PlannedRun) -> Outcome | None:
        if self._budget is None or self._began is None:
            return None
        if self.fits(planned) or all("availability" in record.extra for record in self.records):
            return None  # a run measures one case, however little time it has
        needs = self._seconds(planned)
        reason = f"Not started: about {needs:.0f} s needed, {self.budget_left():.0f} s of the time budget left."
        return Outcome(Status.INTERRUPTED, reason)

    def data_for(self, planned: PlannedRun) -> dict[str, Any]:
        """Return the data set of a case; cases with an equal data job share it."""
        key = data_job(planned)
        known = self._data.get(key)
        # The cache may have been emptied since.
        if known is None or (os.path.isabs(known["source"]) and not os.path.exists(known["source"])):
            self.watch(planned, PREPARING)
            self._data[key] = look_for_data(self.launcher, planned)
        check_trainable(planned, self._data[key])
        return self._with_export(planned, self._data[key])

    def _with_export(self, planned: PlannedRun, data: dict[str, Any]) -> dict[str, Any]:
        """Return the data of a case with its exported model; processes of a case share it."""
        if planned.case.value("format") == NOT_ASKED:
            return data
        known = self._exports.get(planned.case)
        if known is None or not os.path.exists(known["file"]):
            self.watch(planned, PREPARING)
            known = self._exports[planned.case] = with_export(self.launcher, planned, data)["export"]
        return {**data, "export": known}

    def _unstarted(
        self, planned: PlannedRun, outcome: Outcome, extra: dict[str, Any] | None = None, log: str = ""
    ) -> Record:
        return Record(
            run=self._store.run,
            process=planned.process,
            started=datetime.now(UTC).isoformat(timespec="seconds"),
            case=planned.case,
            recipe=planned.recipe,
            outcome=outcome,
            machine=machine(),
            environment=self.launcher.interpreter.environment_of(planned.case),
            extra={**(extra or {}), **workload_facts(planned.case), **extensions.extra()},
            worker_output=log,
        )
