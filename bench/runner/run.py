"""One run: which cases are left, which need not be started, and what to do with each record the moment it is there."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from bench.cases import Case
from bench.cases.matrix import Planned
from bench.machine.fingerprint import machine
from bench.records.outcome import Outcome, Status
from bench.records.record import Record
from bench.records.store import Store
from bench.runner.estimate import Estimator
from bench.runner.launcher import Launcher
from bench.runner.measure import Interrupted, NoData, find_data, measure

PHASE_LIMIT = 600.0


class Run:
    """Measures cases one after another in one environment.

    Attributes:
        planned: all cases, in the order in which they run.
        records: what has come of it so far, in the order in which it came.
        trouble: one sentence while records could not be written, else empty.
    """

    def __init__(
        self,
        planned: Sequence[Planned],
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
        self.trouble = ""
        self._store = store
        self._launcher = launcher
        self._estimator = estimator
        self._budget = time_budget
        self._phase_limit = phase_limit
        self._finished = finished or {}
        self._began: float | None = None
        self._settled: list[tuple[Case, Outcome]] = []
        self._data: dict[tuple[str, int], dict[str, Any]] = {}
        self._left = {p.case.id: p for p in planned if p.case.id not in self._finished}

    def seconds_left(self) -> float:
        """Estimate for all cases that are still to run."""
        return sum(self._estimator.seconds(p) for p in self._left.values() if not self._settled_by(p.case))

    def settles(self, record: Record) -> int:
        """How many of the cases that are still to run end as this one did, and so need not be started."""
        axes = record.outcome.axes
        if not axes:
            return 0
        return sum(all(getattr(p.case, a) == getattr(record.case, a) for a in axes) for p in self._left.values())

    def measure(self, planned: Planned) -> Record:
        """The record of a case: measured now, spared because another case settled it, or there since before.

        Raises:
            WrongUse: where the environment or the data cannot be used at all.
            KeyboardInterrupt: after the record of the interrupted case was saved.
        """
        if self._began is None:
            self._began = time.monotonic()
        case = planned.case
        known = self._finished.get(case.id)
        if known is not None:
            self.records.append(known)
            return known
        if settled := self._settled_by(case):
            other, outcome = settled
            return self._keep(self._unstarted(planned, outcome, {"settled_by": other.id}))
        if outside := self._beyond_budget(planned):
            return self._keep(self._unstarted(planned, outside))
        self._launcher.wait()
        try:
            record = measure(self._launcher, planned, self._data_for(planned), self._store.run, self._phase_limit)
        except NoData as error:
            return self._keep(self._unstarted(planned, error.outcome))
        except Interrupted as stop:
            if stop.record is not None:
                self._keep(stop.record)
            raise
        if record.outcome.axes and not record.outcome.status.broken:
            self._settled.append((case, record.outcome))
        return self._keep(record)

    def _keep(self, record: Record) -> Record:
        self._left.pop(record.case.id, None)
        self._estimator.learn(record)
        self.records.append(record)
        self.trouble = self._store.save(record)
        return record

    def _settled_by(self, case: Case) -> tuple[Case, Outcome] | None:
        """Another case whose outcome holds for this one too, and that outcome."""
        for other, outcome in self._settled:
            if all(getattr(other, axis) == getattr(case, axis) for axis in outcome.axes):
                return other, outcome
        return None

    def _beyond_budget(self, planned: Planned) -> Outcome | None:
        if self._budget is None or self._began is None:
            return None
        left = self._budget - (time.monotonic() - self._began)
        needs = self._estimator.seconds(planned)
        if needs <= left or not self.records:
            return None
        reason = f"Not started: about {needs:.0f} s needed, {max(left, 0):.0f} s of the time budget left."
        return Outcome(Status.INTERRUPTED, reason)

    def _data_for(self, planned: Planned) -> dict[str, Any]:
        recipe = planned.recipe
        images = planned.case.batch * recipe.data_steps if recipe.data == "coco-like" else 0
        key = recipe.data, images
        if key not in self._data:
            self._data[key] = find_data(self._launcher, planned)
        return self._data[key]

    def _unstarted(self, planned: Planned, outcome: Outcome, extra: dict[str, Any] | None = None) -> Record:
        return Record(
            run=self._store.run,
            started=datetime.now(UTC).isoformat(timespec="seconds"),
            case=planned.case,
            recipe=planned.recipe,
            outcome=outcome,
            machine=machine(),
            environment=self._launcher.interpreter.environment,
            extra=extra or {},
        )
