"""Schedule a live comparison of two environments: pairs of processes, until every case is decided."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from bench.cases.device_kinds import ranks
from bench.cases.plan import PlannedRun
from bench.compare import pairs
from bench.compare.lockstep import WorkerFailed
from bench.compare.pairs import InsufficientMemory, PairInputs, PairRun
from bench.records.comparison import SIDES, CaseComparison, Comparison, SideOutcome
from bench.records.outcome import Outcome, Status
from bench.records.store import Store, Stored
from bench.runner.launchers.local import Launcher
from bench.runner.measure import DatasetUnavailable, find_data
from bench.worker.workloads.base import family_of

MAX_RETRIES = 2
"""Retries of a pair after interference or the death of a process.

If the last pair still had interference after its retries, the next one is not retried for it: on a machine that is
never quiet this would only cost time."""

BALANCE = 4
"""Pairs among which each side is started first equally often; interim looks come after multiples of it."""

PendingCases = Callable[[Comparison], dict[str, bool]]
"""Returns the ids of cases that need another pair, and whether it confirms an alarm; empty once all is decided."""

OnPair = Callable[[CaseComparison, str], None]
"""Called after each pair; the text is empty, or one sentence on an error."""


class PairScheduler:
    """Measures pairs, and saves the comparison after each.

    Attributes:
        comparison: all results so far; a comparison that was stopped goes on like a new one.
        over_budget: number of pending pairs that did not fit the time budget.
        unsaved: one sentence while the comparison could not be saved, else empty.
    """

    def __init__(
        self,
        comparison: Comparison,
        launchers: tuple[Launcher, Launcher],
        folder: Path,
        pending: PendingCases,
        on_pair: OnPair,
        *,
        budget: float | None = None,
        saved: Stored | None = None,
        restarts: bool = True,
    ) -> None:
        """Start nothing.

        Args:
            comparison: extended with every pair.
            launchers: launchers of base and head; the caller closes them.
            folder: folder that the comparison is saved in.
            pending: called after every round for the cases to go on with.
            on_pair: called after every pair.
            budget: seconds for all pairs; the first pair of each case is measured in any case.
            saved: record that holds the comparison and is saved in its place; None for the comparison itself.
            restarts: whether each pair has new fork servers: :meth:`_restart_servers`.
        """
        self.comparison = comparison
        self.over_budget = 0
        self.unsaved = ""
        self._launchers = launchers
        self._store = Store.at(folder)
        self._saved = comparison if saved is None else saved
        self._pending = pending
        self._restarts = restarts
        self._on_pair = on_pair
        self._budget = budget
        self._persistently_noisy = False
        self._costs: dict[str, float] = {}
        self._data: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}

    def run(self) -> None:
        """Measure pairs until no case is pending or the time budget is over.

        Raises:
            UsageError: where an environment or the data cannot be used at all.
            KeyboardInterrupt: at Ctrl-C; all pairs were saved.
        """
        self._prepare_servers()
        began = time.monotonic()
        cases = {compared.case.id: compared for compared in self.comparison.cases}
        number = 0
        while pending := self._pending(self.comparison):
            order = sorted(pending)
            random.Random(f"{self.comparison.run} {number}").shuffle(order)
            number += 1
            self.over_budget = 0
            for name in order:
                if self._fits_budget(cases[name], time.monotonic() - began):
                    self._measure(cases[name], pending[name])
                else:
                    self.over_budget += 1
            if self.over_budget == len(order):
                return
        self.over_budget = 0

    def rescue(self) -> str:
        """Save the comparison again; where its folder has no room, save it elsewhere: :meth:`Store.rescue`."""
        self._store.save(self._saved)
        return self._store.rescue()

    def _prepare_servers(self) -> None:
        """Have both fork servers import their environment, at the same time."""
        families = {family_of(compared.case.model).name for compared in self.comparison.cases}
        for launcher, family in itertools.product(self._launchers, families):
            launcher.prepare(family)
        for launcher, family in itertools.product(self._launchers, families):
            launcher.wait(family)

    def _restart_servers(self) -> None:
        """Start new fork servers for the next pair.

        Workers share the memory of the fork server that they come from. Its place in physical memory, and so in caches,
        makes the workers of one server some tenths of a percent faster than those of another, alike in every pair: an
        interval over pairs of the same two servers would miss that.
        """
        for launcher in self._launchers:
            launcher.close()
        self._prepare_servers()

    def _fits_budget(self, compared: CaseComparison, spent: float) -> bool:
        """Whether another pair fits the time budget; it is assumed to take as long as the last one of its case."""
        if self._budget is None or compared.case.id not in self._costs:
            return self._budget is None or not compared.pairs or spent + compared.pairs[-1].seconds <= self._budget
        return spent + self._costs[compared.case.id] <= self._budget

    def _measure(self, compared: CaseComparison, fresh: bool) -> None:
        began = time.monotonic()
        try:
            if compared.pairs and self._restarts:
                self._restart_servers()
            error = self._pair(compared, fresh)
        finally:
            self._costs[compared.case.id] = time.monotonic() - began
            self.comparison.seconds = round(self.comparison.seconds + self._costs[compared.case.id], 3)
            self.unsaved = self._store.save(self._saved)
        self._on_pair(compared, error or self.unsaved)

    def _pair(self, compared: CaseComparison, fresh: bool) -> str:
        """Measure one pair of a case; return one sentence on an error, or an empty string."""
        inputs = self._inputs(compared)
        if inputs is None:
            return ""
        number = len(compared.pairs)
        head_first = head_starts_first(self.comparison.run, compared.case.id, number)
        failures: list[str] = []
        run: PairRun | None = None
        for retries in range(MAX_RETRIES + 1):
            draw = random.Random(f"{self.comparison.run} {compared.case.id} {number} {retries}")
            try:
                run = self._measure_pair(compared, inputs, head_first, draw)
            except WorkerFailed as end:
                failures.append(str(end))
                if not number and not self._both_run(compared, inputs, end):
                    return ""
                if end.outcome.status is Status.OUT_OF_MEMORY:
                    compared.sequential_reason = (
                        compared.sequential_reason or "memory does not hold both processes at once"
                    )
                continue
            if not run.worth_retrying or retries == MAX_RETRIES or self._persistently_noisy:
                self._persistently_noisy = run.worth_retrying
                self._append(compared, run, fresh, retries, failures)
                return ""
        if run is not None:  # a retry died: a pair with interference is better than no pair
            self._append(compared, run, fresh, MAX_RETRIES, failures)
            return ""
        compared.error = failures[-1]
        return compared.error

    def _measure_pair(
        self, compared: CaseComparison, inputs: PairInputs, head_first: bool, draw: random.Random
    ) -> PairRun:
        if ranks(compared.case.device) > 1:
            compared.sequential_reason = compared.sequential_reason or "the ranks of several devices take no turns"
        if not compared.sequential_reason:
            try:
                return pairs.run_interleaved(inputs, head_first, draw, compared.plan)
            except InsufficientMemory as error:
                compared.sequential_reason = f"memory does not hold both processes at once: {error}"
        return pairs.run_sequential(inputs, head_first)

    def _both_run(self, compared: CaseComparison, inputs: PairInputs, end: WorkerFailed) -> bool:
        """After the first pair of a case failed, run each side alone, and return whether both run.

        Where both run, but not at once (a card that serves a single process), later pairs are sequential. A process
        that was killed does not count for that.
        """
        results = [pairs.run_single(inputs, number) for number in range(len(SIDES))]
        compared.base, compared.head = (
            SideOutcome(outcome=result.outcome, effective=result.effective) for result in results
        )
        if compared.both_runnable and not end.died:
            compared.sequential_reason = f"both cannot run at once: {end}"
        return compared.both_runnable

    def _append(self, compared: CaseComparison, run: PairRun, fresh: bool, retries: int, failures: list[str]) -> None:
        compared.pairs.append(
            msgspec.structs.replace(run.pair, confirmation=fresh, retries=retries, worker_failures=failures)
        )
        compared.plan = compared.plan or run.plan
        if len(compared.pairs) == 1:
            compared.base, compared.head = (SideOutcome(effective=effective) for effective in run.effective)

    def _inputs(self, compared: CaseComparison) -> PairInputs | None:
        """Return the inputs of a case's processes; None where a data set is missing for one of them."""
        name = compared.case.id
        planned, head = PlannedRun(compared.case, compared.recipe), compared.head_planned
        if name not in self._data:
            data = []
            for side, launcher, plan in zip(SIDES, self._launchers, (planned, head or planned), strict=True):
                try:
                    data.append(find_data(launcher, plan))
                except DatasetUnavailable as error:
                    setattr(compared, side, SideOutcome(outcome=error.outcome))
            if len(data) < len(SIDES):
                return None
            # A made set of another batch has another length, and the same images.
            if any(data[0][key] != data[1][key] for key in ("fingerprint", *(() if head else ("images",)))):
                compared.base = compared.head = SideOutcome(
                    outcome=Outcome(Status.INVALID, "The datasets of both sides differ.")
                )
                return None
            self._data[name] = data[0], data[1]
        return PairInputs(self._launchers, planned, self._data[name], head)


def head_starts_first(run: str, case: str, number: int) -> bool:
    """Whether head is started first in a pair: random, and as often as base among :data:`BALANCE` pairs.

    Args:
        run: name of the run, which seeds it.
        case: id of the case.
        number: of the pair within the case, from 0.
    """
    order = [True, False] * (BALANCE // 2)
    random.Random(f"{run} {case} {number // BALANCE}").shuffle(order)
    return order[number % BALANCE]
