"""What ``sweep`` and ``bisect`` share: releases of one package, compared live, each comparison in its own folder."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from bench.cli.io import say
from bench.cli.live_comparison import Choice, check_file, own_folder, take_pairs
from bench.errors import UsageError
from bench.formatting import parse_duration, parse_percent

if TYPE_CHECKING:  # --help does without what these import
    from bench.cases.plan import PlannedRun
    from bench.environments.builder import PreparedEnvironment
    from bench.environments.release_series import ReleaseSeries
    from bench.records.comparison import Comparison

Package = Annotated[str, typer.Option(help="torch or ultralytics.")]
With = Annotated[
    str,
    typer.Option(
        "--with",
        metavar="SPEC",
        help="What all releases are measured with, such as torch==2.14.1; default: what the newest of them comes with.",
    ),
]

MEMORY_MARGIN = 0.05
"""Of peak memory, which is recorded and judges no release."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What both commands are asked for, beside the releases.

    Attributes:
        held: the package, and what stays as it is.
        choice: the cases.
        margin: a share, or None for what calibration found.
        budget: seconds for all pairs, or None.
        results: folder of all runs.
        json: where to write what was found, or None.
        resume: whether to go on with what was stopped.
    """

    held: ReleaseSeries
    choice: Choice
    margin: float | None
    budget: float | None
    results: Path
    json: Path | None
    resume: bool

    @classmethod
    def parse(
        cls,
        package: str,
        beside: str,
        cases: list[str] | None,
        axes: dict[str, list[Any]],
        data: str,
        threads: int,
        margin: str,
        time_budget: str,
        exclude_newer: str,
        results: Path,
        json: Path | None,
        resume: bool,
    ) -> Asked:
        """Check all that can be checked before the network is asked.

        Raises:
            WrongUse: where something cannot be, or the cache cannot be used.
        """
        from bench.environments.builder import check_path
        from bench.environments.cache_checks import check_usable
        from bench.environments.release_series import ReleaseSeries

        check_file(json)
        check_usable()
        check_path()
        return cls(
            held=ReleaseSeries.parse(package, beside, exclude_newer),
            choice=Choice.parse(cases, axes, data, threads, single=True),
            margin=parse_percent("margin", margin) if margin else None,
            budget=parse_duration(time_budget) if time_budget else None,
            results=results,
            json=json,
            resume=resume,
        )


class Releases:
    """Compares releases of one package within one time budget.

    Attributes:
        run: what the names of all its comparisons begin with; with ``--resume`` that of the one that was stopped, once
            the first of them is begun.
        held: what stays as it is beside the package.
        row: all releases that it may compare.
        comparisons: that were begun.
    """

    def __init__(self, asked: Asked, command: str, row: Sequence[str]) -> None:
        """Start nothing; ``command`` is what the run is called by, ``row`` has all releases that it may compare."""
        from bench.machine.fingerprint import machine
        from bench.records.store import new_run_name

        self.run = f"{command}-{new_run_name(machine().fingerprint)}"
        self.row = tuple(row)
        self._command = command
        self._before = 0.0
        self.held = asked.held
        self.comparisons: list[Comparison] = []
        self._asked = asked
        self._sides: dict[str, PreparedEnvironment] = {}

    def hold(self, release: str) -> None:
        """Hold what stands beside the package as it is with one of its releases; says so.

        Raises:
            WrongUse: where that has no environment.
        """
        self.held = self.held.as_with(release, say)
        say(f"held the same with every release: {', '.join(self.held.shown)}")

    def provide(self, release: str) -> PreparedEnvironment:
        """Its environment, built unless it is there.

        Raises:
            WrongUse: where there is none; the sentence says nothing of where on this machine.
        """
        if release not in self._sides:
            try:
                self._sides[release] = self.held.provide(release, say)
            except UsageError as error:
                raise UsageError(self._told(error)) from error
        return self._sides[release]

    def why_unusable(self, release: str) -> str:
        """Why no worker can be started in its environment, in a sentence; empty where one can be."""
        from bench.runner.launchers.local import open_launcher

        with contextlib.closing(open_launcher(self.provide(release).interpreter)) as launcher:
            try:
                launcher.prepare()
                launcher.wait()
            except UsageError as error:
                return self._told(error)
        return ""

    def planned(self, *releases: str) -> list[PlannedRun]:
        """The cases that were asked for.

        Raises:
            WrongUse: where no Ultralytics of these releases knows a model or a data set.
        """
        return self._asked.choice.planned([self.provide(release).interpreter for release in releases])

    def begin(self, base: str, head: str, planned: list[PlannedRun], name: str) -> Comparison:
        """A comparison of two releases in a folder of its own, or the one that was stopped.

        Args:
            base: the release that it compares with.
            head: the one that is compared.
            planned: the cases.
            name: the end of the folder's name.

        Raises:
            WrongUse: where there is nothing to go on with.
        """
        from bench.compare.start import begin, reopen
        from bench.records.store import Store

        sides, end = (self.provide(base), self.provide(head)), f"-{name}".replace("+", "-")
        comparison = begin(sides, planned, "", self.held.exclude_newer, self._asked.margin, MEMORY_MARGIN, say)
        known = self._known(comparison, end) if self._asked.resume else None
        if known is not None:
            reopen(known, comparison, self._asked.margin)
            comparison = known
            self._before += known.seconds
        else:
            own_folder(comparison, self._asked.results, f"{self.run}{end}")
        if trouble := Store.at(self._asked.results / comparison.run).save(comparison):
            say(trouble)
        self.comparisons.append(comparison)
        return comparison

    def _known(self, question: Comparison, end: str) -> Comparison | None:
        """The comparison that was stopped: the first one that is found settles with which run this one goes on."""
        from bench.records.store import comparisons_of

        results, first = self._asked.results, not self.comparisons
        every = comparisons_of(results)
        run = rf"{self._command}-\d{{8}}-\d{{6}}-[0-9a-f]+" if first else re.escape(self.run)
        kept = [one for one in every if re.fullmatch(run + re.escape(end), one.run) and one.same_question(question)]
        if first:  # a run that has compared other releases too is another one
            kept = [one for one in kept if self._is_ours(one.run.removesuffix(end), every)]
        found = kept[-1] if kept else None
        if found:
            self.run = found.run.removesuffix(end)
        elif first:
            raise UsageError(
                f"{results} holds no {self._command} of these releases and cases on this machine: leave --resume out."
            )
        return found

    def _is_ours(self, run: str, kept: list[Comparison]) -> bool:
        """Whether all comparisons of a run are of releases of this one."""
        asked = {side for one in kept if one.run.startswith(f"{run}-") for side in (one.base.asked, one.head.asked)}
        return asked <= {f"{self.held.package}=={release}" for release in self.row}

    def measure(self, base: str, head: str, comparison: Comparison, left: int) -> None:
        """Measure pairs until it is decided, or its share of the time budget is over.

        Args:
            base: the release that it compares with.
            head: the one that is compared.
            comparison: as :meth:`begin` gave it.
            left: comparisons that share what is left of the budget, this one included.

        Raises:
            KeyboardInterrupt: after what is known was written.
            WrongUse: where an environment or the data cannot be used at all.
        """
        sides = self.provide(base), self.provide(head)
        budget = self._asked.budget
        if budget is not None:
            spent = sum(one.seconds for one in self.comparisons) - self._before
            budget = max(budget - spent, 0.0) / max(left, 1)
        try:
            if take_pairs(comparison, sides, self._asked.results / comparison.run, budget):
                say("its share of the time budget is over before it is decided")
        except UsageError as error:
            raise UsageError(self._told(error)) from error

    @property
    def stopped(self) -> str:
        """What is said after Ctrl-C."""
        if not self.comparisons:
            return "stopped before anything was measured"
        return f"stopped: --resume goes on with what was measured, which is in {self._asked.results}/{self.run}-*"

    def _told(self, error: UsageError) -> str:
        """A sentence that names releases in place of the folders that their environments are in: reports hold it."""
        from bench.environments.builder import environments_folder

        text, folder = str(error), environments_folder()
        for release, side in self._sides.items():
            text = text.replace(side.interpreter.path, f"the Python of {self.held.package} {release}")
        return text.replace(f"{folder}/", "").replace(f"{folder}", "the cache")
