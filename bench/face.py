"""State of a pytest session that measures; ``conftest.py`` calls it from pytest's hooks and prints what it says."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.cases.axes import AXES
from bench.cases.matrix import Planned
from bench.durations import parse_duration
from bench.errors import BenchError, WrongUse
from bench.machine.fingerprint import machine
from bench.progress import rate
from bench.records import store
from bench.records.outcome import Status
from bench.records.record import Record
from bench.request import needs_network, parse
from bench.runner.estimate import from_history
from bench.runner.interpreter import Interpreter, inspect
from bench.runner.launcher import Launcher, open_launcher
from bench.runner.run import Run


def _number(name: str, text: str) -> int:
    """A whole number from an option whose default is 0."""
    if not re.fullmatch("[0-9]{1,9}", text):
        raise WrongUse(f"{name} {text!r} is not allowed: use a whole number.")
    return int(text)


class Face:
    """One pytest session: what was asked for, and what has become of it.

    Attributes:
        planned: all cases by id, in the order of the plan.
        selected: those that are left after pytest's own selection.
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
        resume = option("resume")
        self.resume = store.resolve_run(self.results, resume, machine().fingerprint) if resume else ""
        self.name = store.check_new_run(self.results, option("run"))
        if self.resume and self.name:
            raise WrongUse("--run names a new run and --resume goes on with an old one: give one of them.")
        self.interpreter: Interpreter = inspect(option("python"))
        request = parse(
            option("profile"),
            {axis: option(axis) for axis in AXES},
            option("data"),
            _number("threads", option("threads")),
            self.interpreter,
        )
        self.planned = {plan.case.id: plan for plan in request.planned()}
        self.selected: list[Planned] = []
        self.run: Run | None = None
        self.store: store.Store | None = None
        self.finished: dict[str, Record] = {}
        self.launcher: Launcher | None = None
        self.report_path: Path | None = None
        self.notes: list[str] = []
        self.fatal: BenchError | None = None

    def begin(self) -> None:
        """Open the run's folder and start what takes time to start."""
        name = self.resume or self.name or store.new_run_name(machine().fingerprint)
        self.store = store.Store(self.results, name, new=not self.resume)
        self.finished = {r.case.id: r for r in self.store.finished() if self._stands(r)} if self.resume else {}
        self.launcher = open_launcher(self.interpreter, needs_network(self.selected))
        self.launcher.prepare()
        self.run = Run(
            self.selected,
            self.store,
            self.launcher,
            from_history(self.results),
            time_budget=self.budget,
            phase_limit=self.phase_limit,
            finished=self.finished,
        )

    def _stands(self, record: Record) -> bool:
        """Whether an earlier record says what measuring its case now would say: same recipe, machine, software."""
        plan = self.planned.get(record.case.id)
        return (
            plan is not None
            and (plan.case, plan.recipe) == (record.case, record.recipe)
            and record.machine.fingerprint == machine().fingerprint
            and record.environment == self.interpreter.environment
        )

    def end(self) -> None:
        """Close what was opened, save what is still unsaved wherever there is room, and write the report."""
        if self.launcher is not None:
            self.launcher.close()
        if self.run is None or self.store is None:
            return
        trouble = self.store.rescue()
        if trouble:
            self.notes.append(trouble)
        records = [*store.read([self.store.folder])[0], *self.store.unsaved]
        if not records:
            with contextlib.suppress(OSError):  # it holds something else
                self.store.folder.rmdir()
            self.store = None
            return
        if any(record.outcome.status is Status.INTERRUPTED for record in self.run.records):
            self.notes.append(f"to go on with this run, add --resume {self.store.run}")
        self._report(records, self.store.run)

    def _report(self, records: list[Record], run: str) -> None:
        try:
            from bench.analysis.throughput import COCO_TRAIN_IMAGES
            from bench.report.page import write

            self.report_path = write(records, self.reports / run, self.epoch_images or COCO_TRAIN_IMAGES, None)
        except BenchError as error:
            self.notes.append(f"no report: {error}")
        except (Exception, KeyboardInterrupt) as error:  # the records are safe: a report can be made again
            self.notes.append(f"no report ({type(error).__name__} {error}): python -m bench report makes it again")

    @property
    def measured(self) -> int:
        """How many cases have a figure so far."""
        return sum(rate(record) is not None for record in self.run.records) if self.run else 0
