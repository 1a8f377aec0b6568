"""The state of a pytest session that measures; hooks and fixtures call it, and print what it says."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from bench.analysis.availability import is_answer
from bench.cases.device_kinds import HOST
from bench.cases.plan import PlannedRun
from bench.ceiling.service import search_one
from bench.environments.cache_checks import check_usable
from bench.errors import BenchError, UsageError
from bench.machine.fingerprint import machine
from bench.machine.paths import calibration_folder
from bench.pytest_plugin.options import needs_network
from bench.pytest_plugin.progress import rate
from bench.pytest_plugin.request import RunRequest
from bench.pytest_plugin.resume import reusable
from bench.pytest_plugin.run_page import RunPage
from bench.pytest_plugin.target_ci import TargetInterval
from bench.records import store
from bench.records.ceiling import Ceiling
from bench.records.outcome import Status
from bench.records.record import Record
from bench.runner.estimate import from_history
from bench.runner.launchers.local import Launcher, open_launcher
from bench.runner.run import Run, is_unusable_device
from bench.worker.workloads.base import family_of


class BudgetExhausted(Exception):
    """The time budget ended before a search began."""


class BenchSession:
    """One pytest session: the request, and its results.

    Attributes:
        request: the options.
        planned: all processes of all cases by name, in the order of the plan.
        selected: those that are left after pytest's own selection, in the order in which they run.
        selected_searches: names of the ceilings that are left after it.
        ceilings: those that were searched for.
        run: once it has begun.
        target: adds processes for ``--target-ci``; None without.
        notes: sentences for the end.
        resume: name of the run where it can go on, else empty.
        fatal: error for which the run could not go on; None without one.
    """

    def __init__(self, request: RunRequest) -> None:
        self.request = request
        self.planned = request.planned(request.name)
        self.selected: list[PlannedRun] = []
        self.selected_searches: list[str] = []
        self.ceilings: list[Ceiling] = []
        self.run: Run | None = None
        self.target: TargetInterval | None = None
        self.store: store.Store | None = None
        self.finished: dict[str, Record] = {}
        self.launcher: Launcher | None = None
        self.report_path: Path | None = None
        self.notes: list[str] = []
        self.resume = ""
        self.fatal: BenchError | None = None
        self._began = time.monotonic()
        self._page: RunPage | None = None
        self._searched: dict[str, Ceiling] = {}
        self._process = os.getpid()

    def begin(self) -> None:
        """Open the run's folder and start what takes time to start.

        Raises:
            UsageError: where the cache or the run's folder cannot be used; then no folder was made.
        """
        request = self.request
        check_usable()
        self.store = store.Store(request.results, request.name, new=not request.resumed)
        self._sort(self.store.run)
        if not request.resumed:
            self.store.save(request.options)
        plans = self.selected or request.search_plans()
        self.launcher = open_launcher(request.interpreter, needs_network(plans))
        for plan in plans[:1]:  # the fork server of another workload starts when it is its turn
            self.launcher.prepare(family_of(plan.case.model).name)
        if request.resumed:
            first = self.selected[0] if self.selected else None
            self.finished = reusable(self.store.finished(), self.planned, self.launcher, first)
        self.run = Run(
            self.selected,
            self.store,
            self.launcher,
            from_history(request.results),
            time_budget=request.budget,
            phase_limit=request.phase_timeout,
            finished=self.finished,
            optional=() if "amp" in request.named else [plan.name for plan in self.selected],
        )
        if request.target_ci is not None:
            self.target = TargetInterval(request.target_ci, self.run, self.cases, request.budget is not None)
        self.note(store.read_calibrations(calibration_folder(), machine())[1])
        self._page = RunPage(request.reports / self.store.run, request.epoch_images, request.epochs, self.store.folder)
        self._page.start()

    @property
    def cases(self) -> list[PlannedRun]:
        """Selected processes of cases, without those whose precision turned out to be unavailable.

        A case that only asks whether a precision is available counts once it was measured after all.
        """
        records = self.run.records if self.run else []
        unavailable = {record.name for record in records if is_answer(record)}
        unavailable |= self.run.omitted if self.run else set()
        asked = {plan.name for plan in self.request.questions} - {record.name for record in self._figures()}
        return [plan for plan in self.selected if plan.name not in unavailable | asked]

    @property
    def questions(self) -> list[PlannedRun]:
        """Selected cases that only ask whether a precision is available."""
        return [plan for plan in self.selected if plan in self.request.questions]

    def place(self) -> tuple[int, int]:
        """Return how many processes of cases are over, and how many there are."""
        assert self.run is not None
        cases = self.cases
        uncounted = {plan.name for plan in self.selected} - {plan.name for plan in cases}
        over = sum(record.name not in uncounted for record in self.run.records) + self.run.skipped
        return over, len(cases)

    def measure(self, plan: PlannedRun) -> Record:
        """Measure one process.

        Raises:
            UsageError: where the environment or the data cannot be used at all, and where torch cannot use an
                accelerator that the user did not name: a figure of the CPU alone would look like an answer.
        """
        assert self.run is not None
        record = self.run.measure(plan)
        if "device" not in self.request.named and is_unusable_device(record):
            raise UsageError(f"{record.outcome.reason} To measure without it, add --device {HOST}.")
        if plan in self.request.questions and rate(record) is not None:
            self.note(f"{plan.case.id}: the precision is available after all; add --amp {plan.case.amp} for all cases")
        return record

    def _sort(self, name: str) -> None:
        """Sort the selected processes into the order of a run of this name: ``--resume`` continues in the same one."""
        order = {name: place for place, name in enumerate(self.request.planned(name))}
        self.selected.sort(key=lambda plan: order[plan.name])

    @property
    def order(self) -> dict[str, int]:
        """Place of every selected process in the run, by its name."""
        return {plan.name: place for place, plan in enumerate(self.selected)}

    def search(self, name: str, say: Callable[[str], None]) -> Ceiling:
        """Search for a ceiling by its name; the result goes into the run's folder.

        Args:
            name: as it is in ``request.searches``.
            say: receives a line for every batch that is tried.

        Raises:
            KeyboardInterrupt: after the results so far were written.
        """
        if name in self._searched:
            return self._searched[name]
        if self.run is not None and self.run.budget_left() == 0:
            raise BudgetExhausted
        assert self.store is not None and self.launcher is not None
        search_one(self.request.searches[name], self.launcher, self.store, self.ceilings, say)
        self._searched[name] = self.ceilings[-1]
        return self._searched[name]

    @property
    def seconds(self) -> float:
        """Duration of the session so far."""
        return time.monotonic() - self._began

    @property
    def page_path(self) -> Path:
        """Path that the page has or will have."""
        assert self.store is not None
        return self.request.reports / self.store.run / "index.html"

    def check_process(self) -> None:
        """Raise :class:`UsageError` where another plugin runs tests in other processes or threads."""
        if os.getpid() != self._process or threading.current_thread() is not threading.main_thread():
            raise UsageError(
                "cases are measured one after another in pytest's own process, and a plugin runs them in others or in "
                "threads: leave that plugin out."
            )

    def note(self, sentence: str) -> None:
        """Keep a sentence for the end, once."""
        if sentence and sentence not in self.notes:
            self.notes.append(sentence)

    def refresh_page(self) -> Path | None:
        """Make the page between two cases, if it is time for it; return its path when it is made for the first time."""
        if self.run is None or self._page is None:
            return None
        return self._page.refresh(self.run.records, self.ceilings, *self.place())

    def end(self) -> None:
        """Close what was opened, save what is still unsaved wherever there is room, and write the report."""
        if self.launcher is not None:
            self.launcher.close()
        if self.store is None:
            return
        if self.run is None:  # it was refused before anything was measured
            if self.store.discard():
                self.store = None
            return
        self.note(self.store.rescue())
        records = [*store.read([self.store.folder])[0], *self.store.unsaved_records]
        if not records and not self.ceilings:
            self.store.discard()
            self.store = None
            return
        if records:
            self._add_notes(self.run, self.store.run)
        self._write_report(records)

    def _add_notes(self, run: Run, name: str) -> None:
        """Keep sentences on what was left out, the target, and how to continue."""
        self.notes += run.left_out
        if run.over_budget:
            self.notes.append(f"the time budget ended before {run.over_budget} more processes could be started")
        if self.target is not None:
            self.note(self.target.summary())
        interrupted = any(record.outcome.status is Status.INTERRUPTED for record in run.records)
        if interrupted or run.unfinished or run.over_budget:
            self.resume = name

    def _write_report(self, records: list[Record]) -> None:
        assert self._page is not None
        try:
            self.report_path = self._page.write(records, self.ceilings)
        except BenchError as error:
            self.notes.append(f"no report: {error}")
        except (Exception, KeyboardInterrupt) as error:  # the records are safe: a report can be made again
            self.notes.append(f"no report ({type(error).__name__} {error}): python -m bench report makes it again")

    @property
    def measured(self) -> int:
        """Number of cases that have a figure so far."""
        return len({record.case for record in self._figures()})

    @property
    def measured_processes(self) -> int:
        """Number of processes those figures come from."""
        return len(self._figures())

    def _figures(self) -> list[Record]:
        return [record for record in self.run.records if rate(record) is not None] if self.run else []
