"""``--target-ci``: add processes until the interval of every case is narrow enough."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import msgspec

from bench.cases.plan import PlannedRun
from bench.formatting import format_half_width
from bench.records.outcome import Status
from bench.records.record import Record
from bench.runner.run import Run

MIN_PROCESSES = 5
"""Processes of each case with ``--target-ci``, and the fewest that reach a target. An interval that stops as soon as it
is narrow enough covers too little where it began with fewer: 91 to 93 % for 3, 93 to 94 % for 5, in simulations."""

MAX_PROCESSES = 30
"""Processes of a case at which a target is given up where no time budget ends it."""


class TargetInterval:
    """Adds processes to the cases of a run, to the one with the widest interval first."""

    def __init__(self, target: float, run: Run, selected: Sequence[PlannedRun], has_budget: bool) -> None:
        """Measure nothing yet.

        Args:
            target: half-width that every interval shall reach, as a share.
            run: that measures the processes.
            selected: processes of the run.
            has_budget: whether a time budget ends it, rather than a number of processes.
        """
        self._target = target
        self._run = run
        self._cases = list({plan.case: plan for plan in selected}.values())
        self._has_budget = has_budget

    def refine(self) -> Iterator[Record]:
        """Measure further processes until all intervals are narrow enough or none may be started.

        The target or the budget stops it, never whether a difference shows.
        """
        while (plan := self.next()) is not None:
            yield self._run.measure(plan)

    def too_wide(self) -> list[tuple[PlannedRun, float]]:
        """Return the measured cases whose interval is wider than the target, each with its half-width as a share.

        Only an interval between processes counts: one within a process says nothing of the next process. With fewer
        than :data:`MIN_PROCESSES` it is infinite: two processes that happen to agree prove nothing.
        """
        from bench.analysis.intervals import rate_of  # with numpy and scipy, which collecting does without

        wide = []
        for plan in self._cases:
            measured = self._run.measured(plan.case)
            width = rate_of(measured)[0].relative if len(measured) >= MIN_PROCESSES else math.inf
            if measured and width > self._target:
                wide.append((plan, width))
        return wide

    def summary(self) -> str:
        """Say how many cases reached the target, and which is the widest; empty where none was measured."""
        cases = sum(bool(self._run.measured(plan.case)) for plan in self._cases)
        if not cases:
            return ""
        wide = self.too_wide()
        text = f"target-ci: {cases - len(wide)} of {cases} cases are within ±{self._target * 100:g} %"
        if wide:
            plan, width = max(wide, key=lambda pair: pair[1])
            few = f"measured in fewer than {MIN_PROCESSES} processes"
            text += f"; the widest is {plan.case.id}, {format_half_width(width) if math.isfinite(width) else few}"
        return text

    def next(self) -> PlannedRun | None:
        """Return the next process of the case with the widest interval, of those that may be started; None for none."""
        processes = self._run.processes
        # Of those that have too few processes for an interval that counts, the one with fewest comes first.
        wide = sorted(self.too_wide(), key=lambda pair: (-pair[1], len(processes[pair[0].case])))
        for plan, _ in wide:
            done = processes[plan.case]
            again = msgspec.structs.replace(plan, process=max(done) + 1)
            failed = done[max(done)].outcome.status is not Status.MEASURED  # the next one most likely would too
            if not failed and self._run.fits(again) and (self._has_budget or again.process <= MAX_PROCESSES):
                return again
        return None
