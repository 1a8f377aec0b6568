"""State of a pytest session that measures; ``conftest.py`` calls it from pytest's hooks and prints what it says."""

from __future__ import annotations

import contextlib
import functools
import math
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from bench.analysis.recorded_limits import measured_alike
from bench.cases.axes import axes, parse_options
from bench.cases.device_kinds import HOST
from bench.cases.plan import PlannedRun, repeat
from bench.ceiling.search import SearchRequest, recipe
from bench.ceiling.service import CEILING, DEFAULT_MAX_BATCH, check_limit, granularity_for, search_cases, search_one
from bench.compare.calibration import RUN_PREFIX
from bench.environments.cache_checks import check_usable
from bench.environments.interpreter import Interpreter, inspect
from bench.errors import BenchError, UsageError
from bench.formatting import parse_bytes, parse_duration, parse_percent
from bench.machine.conditions import conditions
from bench.machine.description import Conditions
from bench.machine.fingerprint import devices, machine
from bench.machine.paths import calibration_folder
from bench.pytest_plugin.options import RunOptions, needs_network, parse
from bench.pytest_plugin.progress import plus_minus, rate
from bench.records import calibration, store
from bench.records.ceiling import Ceiling
from bench.records.outcome import Status
from bench.records.record import Record
from bench.runner.estimate import from_history
from bench.runner.launchers.local import Launcher, open_launcher
from bench.runner.measure import DatasetUnavailable, look_for_data
from bench.runner.run import Run

PRECISION_PROCESSES = 5
"""Processes of each case where a precision is asked for, and the fewest that reach one: an interval that stops as soon
as it is narrow enough covers too little where it began with fewer (91 to 93 % for 3, 93 to 94 % for 5, in simulations).
"""

MOST_PROCESSES = 30
"""Processes of a case at which a precision is given up where no time budget ends it."""

LIVE_AFTER = 30.0
"""Seconds of a run until its page is made for the first time: a shorter one needs no watching."""


def _number(name: str, text: str) -> int:
    """A whole number from an option whose default is 0."""
    if not re.fullmatch("[0-9]{1,9}", text):
        raise UsageError(f"{name} {text!r} is not allowed: use a whole number.")
    return int(text)


def _processes(text: str, precision: float | None) -> int:
    """How many fresh processes measure each case; 1 where nobody says, more where a precision is asked for."""
    if not text:
        return 1 if precision is None else PRECISION_PROCESSES
    if not re.fullmatch("[0-9]{1,3}", text) or not int(text):
        raise UsageError(f"processes {text!r} is not allowed: use a whole number from 1 to 999.")
    return int(text)


def _same_data(record: Record, now: dict[str, Any]) -> bool:
    """Whether a record is of the user's data set as it is now.

    A fingerprint does not read large images: one that was changed since counts as another.
    """
    assert record.data is not None
    same = (record.data.scheme, record.data.fingerprint) == (now.get("scheme", 1), now["fingerprint"])
    return same and datetime.fromisoformat(record.started).timestamp() + 1 >= now.get("newest", 0.0)


def _same_model(record: Record) -> bool:
    """Whether the model of a record is as it was then: its file, where it has one, was not changed since."""
    model = Path(record.case.model)
    try:
        changed = model.stat().st_mtime if model.is_absolute() else 0.0
    except OSError:  # it is gone, which is told where it is looked for
        changed = 0.0
    return datetime.fromisoformat(record.started).timestamp() + 1 >= changed


class BudgetExhausted(Exception):
    """The time budget is over before a search began."""


class BenchSession:
    """One pytest session: what was asked for, and what has become of it.

    Attributes:
        planned: all processes of all cases by name, in the order of the plan.
        questions: ceilings that may be searched for, by name; ``asked`` are those that pytest's own selection left.
        ceilings: those that were searched for.
        selected: those that are left after pytest's own selection, in the order in which they run.
        precision: half-width of the interval that every case shall reach, as a share; None where nobody asked.
        run: once it has begun.
        notes: sentences for the end.
        fatal: why the run could not go on, if it could not.
    """

    def __init__(self, option: Callable[[str], Any], here: Path) -> None:
        """Check everything that can be checked without starting anything.

        Args:
            option: gives the value of an option by its name.
            here: the folder that relative paths refer to.
        """
        self.plan_only: bool = option("plan")
        self.results: Path = here / option("results")
        self.reports: Path = here / option("reports")
        self.epoch_images = _number("epoch-images", option("epoch_images"))
        budget = option("time_budget")
        self.budget = parse_duration(budget) if budget else None
        self.phase_limit = parse_duration(option("phase_limit"))
        self.precision = parse_percent("precision", option("precision")) if option("precision") else None
        self.processes = _processes(option("processes"), self.precision)
        self.resume = self._resumed(option("resume"))
        self.name = store.check_new_run(self.results, option("run"))
        if self.resume and self.name:
            raise UsageError("--run names a new run and --resume goes on with an old one: give one of them.")
        self.name = self.resume or self.name or store.new_run_name(machine().fingerprint)
        self.interpreter: Interpreter = inspect(option("python"))
        modes = [part.strip() for part in (option("mode") or "").split(",") if part.strip()]
        others = ",".join(mode for mode in modes if mode != CEILING)
        if CEILING not in modes:
            for name, usual in (("memory_limit", ""), ("granularity", "1")):
                if option(name) != usual:
                    raise UsageError(
                        f"--{name.replace('_', '-')} is for ceilings: add --mode {CEILING}, or leave it out."
                    )
        request = parse(
            option("profile"),
            parse_options(
                {axis.name: option(axis.name) for axis in axes().values() if axis.option}
                | {"mode": others or None if modes else option("mode")},
                option("axis"),
            ),
            option("data"),
            _number("threads", option("threads")),
            self.interpreter,
            with_val=option("with_val"),
            compare_losses=option("compare_losses"),
            per_device=option("per_device"),
            energy=option("energy"),
        )
        self._cases = request.planned() if others or not modes else []
        self.questions = self._asked(option, request) if CEILING in modes else {}
        self.asked: list[str] = []
        self.ceilings: list[Ceiling] = []
        self.planned = {plan.name: plan for plan in repeat(self._cases, self.processes, self.name)}
        self.selected: list[PlannedRun] = []
        self.run: Run | None = None
        self.store: store.Store | None = None
        self.finished: dict[str, Record] = {}
        self.launcher: Launcher | None = None
        self.report_path: Path | None = None
        self.notes: list[str] = []
        self.fatal: BenchError | None = None
        self._searched: dict[str, Ceiling] = {}
        self._process = os.getpid()
        self._next_refresh = math.inf
        self._told_page = False

    def _asked(self, option: Callable[[str], Any], request: RunOptions) -> dict[str, SearchRequest]:
        """Ceilings that are asked for, by their names."""
        for name in ("data", "with_val", "compare_losses", "energy", "precision"):
            if option(name) and not self._cases:
                raise UsageError(f"--{name.replace('_', '-')} says nothing of a ceiling: leave it out.")
        usual = request.chosen.axes(HOST)
        values = {"device": devices(), "model": usual["model"], "amp": ["off"], **request.values}
        granularity = _number("granularity", option("granularity"))
        if not granularity:
            raise UsageError("granularity 0 is not allowed: use a whole number from 1.")
        limit = parse_bytes("memory-limit", option("memory_limit")) if option("memory_limit") else None
        found = {}
        for case in search_cases(values):
            if limit is not None:
                check_limit(limit, case)
            question = SearchRequest(
                case, granularity_for(granularity, case), DEFAULT_MAX_BATCH, limit, request.threads
            )
            found[case.search_id] = question
        return found

    def search(self, name: str, tell: Callable[[str], None]) -> Ceiling:
        """Search for a ceiling by its name; what it is goes into the run's folder.

        Args:
            name: as it is in :attr:`questions`.
            tell: hears of every batch that is tried.

        Raises:
            KeyboardInterrupt: after what was found so far was written.
        """
        if name in self._searched:
            return self._searched[name]
        if self.run is not None and self.run.budget_left() == 0:
            raise BudgetExhausted
        assert self.store is not None and self.launcher is not None
        search_one(self.questions[name], self.launcher, self.store, self.ceilings, tell)
        self._searched[name] = self.ceilings[-1]
        return self._searched[name]

    def check_turn(self) -> None:
        """Raise :class:`UsageError` where another plugin runs tests in other processes or threads."""
        if os.getpid() != self._process or threading.current_thread() is not threading.main_thread():
            raise UsageError(
                "cases are measured one after another in pytest's own process, and a plugin runs them in others or in "
                "threads: leave that plugin out."
            )

    def note(self, sentence: str) -> None:
        """Say something at the end, once."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def begin(self) -> None:
        """Open the run's folder and start what takes time to start.

        Raises:
            WrongUse: where the cache or the run's folder cannot be used; then no folder was made.
        """
        check_usable()
        self.store = store.Store(self.results, self.name, new=not self.resume)
        self._order_by(self.store.run)
        self.launcher = open_launcher(self.interpreter, needs_network(self.selected or self._as_planned()))
        self.launcher.prepare()
        if self.resume:
            self.finished = self._on_these_data([r for r in self.store.finished() if self._stands(r)])
        self.run = Run(
            self.selected,
            self.store,
            self.launcher,
            from_history(self.results),
            time_budget=self.budget,
            phase_limit=self.phase_limit,
            finished=self.finished,
        )
        _, wrong = store.read_calibrations(calibration_folder(), machine().fingerprint)
        if wrong:
            self.note(wrong)
        self._next_refresh = time.monotonic() + LIVE_AFTER

    def _as_planned(self) -> list[PlannedRun]:
        return [PlannedRun(question.case, recipe(question)) for question in self.questions.values()]

    def _resumed(self, name: str) -> str:
        """The run that ``--resume`` names; the last one is no calibration, which has an order of its own."""
        if name == "last":
            known = [run for run in store.runs(self.results, machine().fingerprint) if not run.startswith(RUN_PREFIX)]
            if not known:
                raise UsageError(f"run 'last' is not in {self.results}: there is none of this machine to go on with.")
            name = known[-1]
        return store.resolve_run(self.results, name, machine().fingerprint) if name else ""

    def _order_by(self, name: str) -> None:
        """Put what was selected into the order that a run of this name has: ``--resume`` goes on in the same one."""
        order = {plan.name: place for place, plan in enumerate(repeat(self._cases, self.processes, name))}
        self.selected.sort(key=lambda plan: order[plan.name])

    @property
    def order(self) -> dict[str, int]:
        """The place of every selected process in the run, by its name."""
        return {plan.name: place for place, plan in enumerate(self.selected)}

    def refine(self) -> Iterator[Record]:
        """Measure further processes where the interval is widest, until all are narrow enough or none may be started.

        What stops it is the precision or the budget, never whether a difference shows.
        """
        assert self.run is not None and self.precision is not None
        while (plan := self._widest()) is not None:
            yield self.run.measure(plan)

    def _widest(self) -> PlannedRun | None:
        """The next process of the case whose interval is widest, of those that may be started."""
        assert self.run is not None
        processes = self.run.processes
        # Of those that have too few processes for an interval that counts, the one with fewest comes first.
        wide = sorted(self.imprecise(), key=lambda found: (-found[1], len(processes[found[0].case])))
        for plan, _ in wide:
            done = processes[plan.case]
            again = msgspec.structs.replace(plan, process=max(done) + 1)
            failed = done[max(done)].outcome.status is not Status.MEASURED  # the next would, as far as one can tell
            if not failed and self.run.fits(again) and (self.budget is not None or again.process <= MOST_PROCESSES):
                return again
        return None

    def imprecise(self) -> list[tuple[PlannedRun, float]]:
        """Measured cases whose interval is wider than asked for, each with its half-width as a share.

        Only an interval between processes counts: within one process it says nothing of the next. It is taken for
        infinitely wide with fewer than :data:`PRECISION_PROCESSES`: two that happen to agree are no precision.
        """
        from bench.analysis.intervals import rate_of

        if self.run is None or self.precision is None:
            return []
        found = []
        for plan in {plan.case: plan for plan in self.selected}.values():
            measured = self.run.measured(plan.case)
            width = rate_of(measured)[0].relative if len(measured) >= PRECISION_PROCESSES else math.inf
            if measured and width > self.precision:
                found.append((plan, width))
        return found

    def _stands(self, record: Record) -> bool:
        """Whether an earlier record says what measuring its case now would say.

        That takes the same recipe, machine, software, limits and variables of the environment.
        """
        plan = self.planned.get(record.case.id)  # how many processes are asked for does not matter
        return (
            plan is not None
            and (plan.case, plan.recipe) == (record.case, record.recipe)
            and record.machine.fingerprint == machine().fingerprint
            and record.environment == self.interpreter.environment
            and measured_alike(record, self._conditions)
            and _same_model(record)
        )

    @functools.cached_property
    def _conditions(self) -> Conditions:
        return conditions(self.interpreter.variables)

    def _on_these_data(self, earlier: list[Record]) -> dict[str, Record]:
        """Earlier records by name, less those of other data: the user's own may have changed under the same name."""
        plan = self.selected[0] if self.selected else None
        if earlier and plan and plan.recipe.data != "coco-like":  # a made data set is what its recipe says
            assert self.launcher is not None
            self.launcher.wait()
            with contextlib.suppress(DatasetUnavailable):  # then nothing else will be measured either
                now = look_for_data(self.launcher, plan)
                earlier = [record for record in earlier if record.data is None or _same_data(record, now)]
        return {record.name: record for record in earlier}

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
        trouble = self.store.rescue()
        if trouble:
            self.notes.append(trouble)
        records = [*store.read([self.store.folder])[0], *self.store.unsaved_records]
        if not records:
            if not self.ceilings:
                self.store.discard()
                self.store = None
                return
            self._report([], self.store.run)
            return
        self.notes += self.run.left_out
        if self.run.cut:
            self.notes.append(f"the time budget ended before {self.run.cut} more processes could be started")
        self._note_precision()
        interrupted = any(record.outcome.status is Status.INTERRUPTED for record in self.run.records)
        if interrupted or self.run.unfinished or self.run.cut:
            self.notes.append(f"to go on with this run, add --resume {self.store.run}")
        self._report(records, self.store.run)

    def _note_precision(self) -> None:
        """Say of a precision that was asked for whether it was reached."""
        run = self.run
        cases = {plan.case for plan in self.selected if run is not None and run.measured(plan.case)}
        if self.precision is None or not cases:
            return
        wide = self.imprecise()
        reached = f"{len(cases) - len(wide)} of {len(cases)} cases are within ±{self.precision * 100:g} %"
        rest = ""
        if wide:
            plan, width = max(wide, key=lambda found: found[1])
            few = f"measured in fewer than {PRECISION_PROCESSES} processes"
            rest = f"; the widest is {plan.case.id}, {plus_minus(width) if math.isfinite(width) else few}"
        self.notes.append(f"precision: {reached}{rest}")

    def refresh(self) -> Path | None:
        """Make the page anew between two cases, so that a long run can be watched.

        Returns:
            Its path when it was made for the first time, else None. It takes at most a tenth of the time of the run,
            and what goes wrong with it is left to the report at the end.
        """
        if self.run is None or self.store is None or time.monotonic() < self._next_refresh:
            return None
        from bench.report.page import LIVE_SECONDS  # with pandas and matplotlib, which take a second to import

        began = time.monotonic()
        # A run that is killed leaves this page: its time tells that from one that goes on.
        live = f"Still measuring: {len(self.run.records):,} of {len(self.selected):,} so far, at {time.strftime('%X')}."
        path = None
        with contextlib.suppress(Exception):
            path = self._page(self.run.records, self.store.run, ("html",), live)
        spent = time.monotonic() - began
        self._next_refresh = time.monotonic() + max(LIVE_SECONDS, 9 * spent)
        first, self._told_page = path is not None and not self._told_page, self._told_page or path is not None
        return path if first else None

    def _page(self, records: Sequence[Record], run: str, formats: Sequence[str] | None = None, live: str = "") -> Path:
        from bench.analysis.throughput import COCO_TRAIN_IMAGES
        from bench.report.page import USUAL, Inputs, write

        known, _ = store.read_calibrations(calibration_folder(), machine().fingerprint)
        inputs = Inputs(
            records=calibration.stamped(list(records), known.calibrations, machine().fingerprint),
            ceilings=self.ceilings,
            epoch_images=self.epoch_images or COCO_TRAIN_IMAGES,
            live=live,
        )
        return write(inputs, self.reports / run, formats or USUAL)

    def _report(self, records: list[Record], run: str) -> None:
        try:
            self.report_path = self._page(records, run)
        except BenchError as error:
            self.notes.append(f"no report: {error}")
        except (Exception, KeyboardInterrupt) as error:  # the records are safe: a report can be made again
            self.notes.append(f"no report ({type(error).__name__} {error}): python -m bench report makes it again")

    @property
    def measured(self) -> int:
        """How many cases have a figure so far."""
        return len({record.case for record in self._figures()})

    @property
    def measured_processes(self) -> int:
        """How many processes those figures come from."""
        return len(self._figures())

    def _figures(self) -> list[Record]:
        return [record for record in self.run.records if rate(record) is not None] if self.run else []
