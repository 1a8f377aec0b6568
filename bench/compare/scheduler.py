"""A live comparison of two environments: pairs of processes, case after case, until all is decided that can be."""

from __future__ import annotations

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
from bench.records.store import Store
from bench.runner.launchers.local import Launcher
from bench.runner.measure import DatasetUnavailable, find_data

REDO = 2
"""How often a pair is begun anew because something disturbed it, or a process died.

Where the last pair stayed disturbed all the same, the next one is not begun anew for that: on a machine that is never
calm this would only cost time."""

BALANCE = 4
"""Pairs among which each side is started first equally often; every planned look comes after a multiple of it."""

Wanted = Callable[[Comparison], dict[str, bool]]
"""Which cases want one more pair, by their id, and whether that is to confirm an alarm. Empty: all is decided."""

Told = Callable[[CaseComparison, str], None]
"""Hears of each case that something new is known of; the text is empty, or one sentence on what went wrong."""


class PairScheduler:
    """Measures pairs, and writes the comparison after every one.

    Attributes:
        comparison: with all that is known so far; going on with one that was stopped is the same as beginning.
        cut: how many pairs were wanted and had no room in the time budget.
        unsaved: one sentence while the comparison could not be written, else empty.
    """

    def __init__(
        self,
        comparison: Comparison,
        launchers: tuple[Launcher, Launcher],
        folder: Path,
        wanted: Wanted,
        told: Told,
        *,
        budget: float | None = None,
    ) -> None:
        """Start nothing.

        Args:
            comparison: is added to.
            launchers: of base and head; the caller closes them.
            folder: that the comparison is written to.
            wanted: says after every round what is still to do.
            told: hears of progress.
            budget: seconds for all pairs; the first pair of each case is measured in any case.
        """
        self.comparison = comparison
        self.cut = 0
        self.unsaved = ""
        self._launchers = launchers
        self._store = Store.at(folder)
        self._wanted = wanted
        self._told = told
        self._budget = budget
        self._restless = False
        self._costs: dict[str, float] = {}
        self._data: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}

    def run(self) -> None:
        """Go on until nothing is wanted any more or the time budget is over.

        Raises:
            WrongUse: where an environment or the data cannot be used at all.
            KeyboardInterrupt: after what is known was written.
        """
        self._import()
        began = time.monotonic()
        cases = {compared.case.id: compared for compared in self.comparison.cases}
        number = 0
        while wanted := self._wanted(self.comparison):
            order = sorted(wanted)
            random.Random(f"{self.comparison.run} {number}").shuffle(order)
            number += 1
            self.cut = 0
            for name in order:
                if self._fits(cases[name], time.monotonic() - began):
                    self._measure(cases[name], wanted[name])
                else:
                    self.cut += 1
            if self.cut == len(order):
                return
        self.cut = 0

    def rescue(self) -> str:
        """Write the comparison once more, and where its folder has no room elsewhere: :meth:`Store.rescue`."""
        self._store.save(self.comparison)
        return self._store.rescue()

    def _import(self) -> None:
        """Have both environments imported, at once."""
        for launcher in self._launchers:
            launcher.prepare()
        for launcher in self._launchers:
            launcher.wait()

    def _import_anew(self) -> None:
        """Give the next pair parents of its own.

        Workers share the memory of the parent that they were forked from. Where that lies in the machine's memory, and
        so how it falls into caches, makes one parent's workers some tenths of a percent faster than another's, in every
        pair alike: an interval over pairs of the same two parents would not know.
        """
        for launcher in self._launchers:
            launcher.close()
        self._import()

    def _fits(self, compared: CaseComparison, spent: float) -> bool:
        """Whether there is time for one more pair; it is taken to last as long as the case's last one."""
        if self._budget is None or compared.case.id not in self._costs:
            return self._budget is None or not compared.pairs or spent + compared.pairs[-1].seconds <= self._budget
        return spent + self._costs[compared.case.id] <= self._budget

    def _measure(self, compared: CaseComparison, fresh: bool) -> None:
        began = time.monotonic()
        try:
            if compared.pairs:
                self._import_anew()
            said = self._pair(compared, fresh)
        finally:
            self._costs[compared.case.id] = time.monotonic() - began
            self.comparison.seconds = round(self.comparison.seconds + self._costs[compared.case.id], 3)
            self.unsaved = self._store.save(self.comparison)
        self._told(compared, said or self.unsaved)

    def _pair(self, compared: CaseComparison, fresh: bool) -> str:
        """Measure one pair of a case, or find out why there is none; what went wrong, in one sentence."""
        pairing = self._pairing(compared)
        if pairing is None:
            return ""
        number = len(compared.pairs)
        head_first = head_starts_first(self.comparison.run, compared.case.id, number)
        died: list[str] = []
        two: PairRun | None = None
        for redone in range(REDO + 1):
            draw = random.Random(f"{self.comparison.run} {compared.case.id} {number} {redone}")
            try:
                two = self._two(compared, pairing, head_first, draw)
            except WorkerFailed as end:
                died.append(str(end))
                if not number and not self._both_run(compared, pairing, end):
                    return ""
                if end.outcome.status is Status.OUT_OF_MEMORY:
                    compared.sequential_reason = (
                        compared.sequential_reason or "memory does not hold both processes at once"
                    )
                continue
            if not two.mendable or redone == REDO or self._restless:
                self._restless = two.mendable
                self._keep(compared, two, fresh, redone, died)
                return ""
        if two is not None:  # a later try died: a disturbed pair is better than none
            self._keep(compared, two, fresh, REDO, died)
            return ""
        compared.error = died[-1]
        return compared.error

    def _two(self, compared: CaseComparison, pairing: PairInputs, head_first: bool, draw: random.Random) -> PairRun:
        if ranks(compared.case.device) > 1:
            compared.sequential_reason = compared.sequential_reason or "the ranks of several devices take no turns"
        if not compared.sequential_reason:
            try:
                return pairs.run_interleaved(pairing, head_first, draw, compared.plan)
            except InsufficientMemory as seen:
                compared.sequential_reason = f"memory does not hold both processes at once: {seen}"
        return pairs.run_sequential(pairing, head_first)

    def _both_run(self, compared: CaseComparison, pairing: PairInputs, end: WorkerFailed) -> bool:
        """After the first pair of a case failed: let each side run by itself, to know which of them can.

        Where both can, and yet not at once (a card that serves one process alone), they run one after the other from
        here on. One that somebody killed says nothing of that.
        """
        seen = [pairs.run_single(pairing, number) for number in range(len(SIDES))]
        compared.base, compared.head = (SideOutcome(outcome=one.outcome, effective=one.effective) for one in seen)
        if compared.both and not end.died:
            compared.sequential_reason = f"both cannot run at once: {end}"
        return compared.both

    def _keep(self, compared: CaseComparison, two: PairRun, fresh: bool, redone: int, died: list[str]) -> None:
        compared.pairs.append(
            msgspec.structs.replace(two.pair, confirmation=fresh, retries=redone, worker_failures=died)
        )
        compared.plan = compared.plan or two.plan
        if len(compared.pairs) == 1:
            compared.base, compared.head = (SideOutcome(effective=effective) for effective in two.effective)

    def _pairing(self, compared: CaseComparison) -> PairInputs | None:
        """What the processes of a case are started with; None where there is no data set for one of them."""
        name = compared.case.id
        planned = PlannedRun(compared.case, compared.recipe)
        if name not in self._data:
            found = []
            for side, launcher in zip(SIDES, self._launchers, strict=True):
                try:
                    found.append(find_data(launcher, planned))
                except DatasetUnavailable as error:
                    setattr(compared, side, SideOutcome(outcome=error.outcome))
            if len(found) < len(SIDES):
                return None
            if any(found[0][key] != found[1][key] for key in ("fingerprint", "images")):
                compared.base = compared.head = SideOutcome(
                    outcome=Outcome(Status.INVALID, "The data sets of both sides differ.")
                )
                return None
            self._data[name] = found[0], found[1]
        return PairInputs(self._launchers, planned, self._data[name])


def head_starts_first(run: str, case: str, number: int) -> bool:
    """Whether head is started first in a pair of a case: random, and as often as base in every :data:`BALANCE` pairs.

    Args:
        run: name of the run, which seeds it.
        case: id of the case.
        number: of the pair within the case, from 0.
    """
    order = [True, False] * (BALANCE // 2)
    random.Random(f"{run} {case} {number // BALANCE}").shuffle(order)
    return order[number % BALANCE]
