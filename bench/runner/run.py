"""One run: which cases are left, which need not be started, and what to do with each record the moment it is there."""

from __future__ import annotations

import math
import os
import time
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import extensions
from bench.cases import Case
from bench.cases.plan import PlannedRun
from bench.machine.fingerprint import machine
from bench.records.outcome import Outcome, Status
from bench.records.record import Record
from bench.records.store import Store
from bench.runner.estimate import Estimator
from bench.runner.launchers.local import Launcher
from bench.runner.measure import VAL_STEPS, DatasetUnavailable, Interrupted, check_trainable, look_for_data, measure

PHASE_LIMIT = 600.0


class Run:
    """Measures cases one after another in one environment, each in one process or several.

    Attributes:
        planned: all of them, in the order in which they run.
        records: what has come of it so far, in the order in which it came.
        processes: the same by case and by process, with what was there before the run began.
        spared: how many repeats of cases were not started.
        cut: how many of those because of the time budget.
        trouble: one sentence while records could not be written, else empty.
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
    ) -> None:
        self.planned = list(planned)
        self.records: list[Record] = []
        self.processes: dict[Case, dict[int, Record]] = defaultdict(dict)
        self.spared = 0
        self.cut = 0
        self.trouble = ""
        self._store = store
        self._launcher = launcher
        self._estimator = estimator
        self._budget = time_budget
        self._phase_limit = phase_limit
        self._finished = finished or {}
        self._began: float | None = None
        self._settled: list[tuple[Case, Outcome]] = []
        self._data: dict[tuple[str, int, int, int], dict[str, Any]] = {}
        self._over: dict[str, Record] = {}
        self._left = {p.name: p for p in planned if p.name not in self._finished}
        for record in self._finished.values():
            self.processes[record.case][record.process] = record

    def place(self, record: Record) -> Path:
        """The file of a record of this run."""
        return self._store.path(record)

    @property
    def left_out(self) -> list[str]:
        """A sentence for each data set of which images were left out."""
        found = []
        for data in self._data.values():
            if reasons := data.get("left_out"):
                kinds = ", ".join(f"{count:,} {why}" for why, count in reasons.items())
                found.append(
                    f"{sum(reasons.values()):,} of {data['listed']:,} training images were left out ({kinds}): "
                    f"{data['left_out_file']} lists them"
                )
        return found

    def seconds_left(self) -> float:
        """Estimate for all that is still to run, within the time budget."""
        left = sum(self._estimator.seconds(p) for p in self._left.values() if not self._hopeless(p))
        return left if self._budget is None else min(left, self.budget_left())

    @property
    def unfinished(self) -> bool:
        """Whether processes were not started that one would expect to give a figure."""
        return any(not self._hopeless(planned) for planned in self._left.values())

    def budget_left(self) -> float:
        """Seconds of the time budget that are left; infinite without one."""
        if self._budget is None:
            return math.inf
        return max(self._budget - (time.monotonic() - (self._began or time.monotonic())), 0.0)

    def fits(self, planned: PlannedRun) -> bool:
        """Whether the time budget is enough for one more process."""
        return self._estimator.seconds(planned) <= self.budget_left()

    def settles(self, record: Record) -> int:
        """How many other cases that are still to run end as this one did, and so need not be started."""
        axes = record.outcome.scope
        if not axes:
            return 0
        others = {p.case for p in self._left.values()} - {record.case}
        return sum(all(case.value(axis) == record.case.value(axis) for axis in axes) for case in others)

    def spare(self, planned: PlannedRun) -> str:
        """Why a repeat of a case is not started, and then counts as over; empty where it is to be measured.

        A case whose first process gave no figure is not tried again, and beyond the time budget it keeps the processes
        that it has: neither leaves a record.
        """
        if planned.process == 1 or planned.name in self._finished:
            return ""
        if self._hopeless(planned):
            reason = "the first process of this case gave no figure"
        elif self._beyond_budget(planned):
            reason = "the time budget is over"
            self.cut += 1
        else:
            return ""
        self._left.pop(planned.name, None)
        self.spared += 1
        return reason

    def _hopeless(self, planned: PlannedRun) -> bool:
        """Whether a process will not be started since it is known to give no figure."""
        if self._settled_by(planned.case):
            return True
        first = self.processes[planned.case].get(1)
        return planned.process > 1 and first is not None and first.outcome.status is not Status.MEASURED

    def measured(self, case: Case) -> list[Record]:
        """The processes of a case that have a figure, in their order."""
        found = self.processes[case]
        return [found[number] for number in sorted(found) if found[number].outcome.status is Status.MEASURED]

    def over(self, planned: PlannedRun) -> Record | None:
        """The record that this run already has of a process: nothing is measured twice under one name."""
        return self._over.get(planned.name)

    def measure(self, planned: PlannedRun) -> Record:
        """The record of a process: measured now, spared because another case settled it, or there since before.

        Raises:
            WrongUse: where the environment or the data cannot be used at all.
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
            return known
        if settled := self._settled_by(case):
            other, outcome = settled
            return self._keep(self._unstarted(planned, outcome, {"skipped_because_of": other.id}))
        if outside := self._beyond_budget(planned):
            return self._keep(self._unstarted(planned, outside))
        self._launcher.wait()
        try:
            record = measure(self._launcher, planned, self._data_for(planned), self._store.run, self._phase_limit)
        except DatasetUnavailable as error:
            return self._keep(self._unstarted(planned, error.outcome, log=error.log))
        except Interrupted as stop:
            if stop.record is not None:
                self._keep(stop.record)
            raise
        if record.outcome.scope and not record.outcome.status.broken:
            self._settled.append((case, record.outcome))
        return self._keep(record)

    def _keep(self, record: Record) -> Record:
        self._left.pop(record.name, None)
        self._estimator.learn(record)
        self.records.append(record)
        self._over[record.name] = record
        self.processes[record.case][record.process] = record
        self.trouble = self._store.save(record)
        return record

    def _settled_by(self, case: Case) -> tuple[Case, Outcome] | None:
        """Another case whose outcome holds for this one too, and that outcome."""
        for other, outcome in self._settled:
            if all(other.value(axis) == case.value(axis) for axis in outcome.scope):
                return other, outcome
        return None

    def _beyond_budget(self, planned: PlannedRun) -> Outcome | None:
        if self._budget is None or self._began is None:
            return None
        if self.fits(planned) or not self.records:
            return None
        needs = self._estimator.seconds(planned)
        reason = f"Not started: about {needs:.0f} s needed, {self.budget_left():.0f} s of the time budget left."
        return Outcome(Status.INTERRUPTED, reason)

    def _data_for(self, planned: PlannedRun) -> dict[str, Any]:
        """The data set of a case; cases for which :func:`look_for_data` would find the same one share it."""
        recipe = planned.recipe
        batch = planned.case.batch if recipe.data == "coco-like" else 0
        key = recipe.data, batch * recipe.data_steps, batch * VAL_STEPS * recipe.with_val, recipe.data_seed
        known = self._data.get(key)
        # The cache may have been emptied since.
        if known is None or (os.path.isabs(known["yaml"]) and not os.path.exists(known["yaml"])):
            self._data[key] = look_for_data(self._launcher, planned)
        check_trainable(planned, self._data[key])
        return self._data[key]

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
            environment=self._launcher.interpreter.environment,
            extra={**(extra or {}), **extensions.extra()},
            worker_output=log,
        )
