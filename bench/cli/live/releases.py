"""Releases of one package, compared with each other within one time budget."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence

from bench.cases.plan import PlannedRun
from bench.cli.io import say
from bench.cli.live import pairs
from bench.cli.live.request import ComparisonRequest
from bench.compare.start import begin, reopen
from bench.environments.builder import PreparedEnvironment, check_path, environments_folder
from bench.environments.release_series import ReleaseSeries
from bench.errors import UsageError
from bench.machine.fingerprint import machine
from bench.records import store
from bench.records.comparison import Comparison
from bench.runner.launchers import local

MEMORY_MARGIN = 0.05
"""Margin of peak memory, which is recorded and judges no release."""


def series_of(package: str, pinned: str, exclude_newer: str) -> ReleaseSeries:
    """Check which package is compared, and which requirements stay fixed.

    Raises:
        UsageError: for an invalid package or requirement, or a cache that no environment can be built in.
    """
    check_path()
    return ReleaseSeries.parse(package, pinned, exclude_newer)


class Releases:
    """Compares releases of one package within one time budget.

    Attributes:
        run: prefix of the names of all its comparisons; with ``--resume`` that of the stopped run, once the first
            comparison is begun.
        series: the package, and what all its releases are measured with.
        row: all releases that it may compare.
        comparisons: comparisons that were begun.
    """

    def __init__(self, request: ComparisonRequest, series: ReleaseSeries, command: str, row: Sequence[str]) -> None:
        """Start nothing yet.

        Args:
            request: options of all comparisons.
            series: the package, and what all its releases are measured with.
            command: prefix of the name of the run.
            row: all releases that may be compared.
        """
        self.run = f"{command}-{store.new_run_name(machine().fingerprint)}"
        self.row = tuple(row)
        self._command = command
        self._before = 0.0
        self.series = series
        self.comparisons: list[Comparison] = []
        self._request = request
        self._sides: dict[str, PreparedEnvironment] = {}

    def hold(self, release: str) -> None:
        """Pin the other packages to the versions that one release is installed with, and say so.

        Raises:
            UsageError: where that release has no environment.
        """
        self.series = self.series.pinned_to(release, say)
        say(f"pinned for every release: {', '.join(self.series.pin_labels)}")

    def provide(self, release: str) -> PreparedEnvironment:
        """Return the environment of a release, built if it is not there.

        Raises:
            UsageError: where it cannot be built; the sentence names no folder of this machine.
        """
        if release not in self._sides:
            try:
                self._sides[release] = self.series.provide(release, say)
            except UsageError as error:
                raise UsageError(self._without_folders(error)) from error
        return self._sides[release]

    def why_unusable(self, release: str) -> str:
        """Say why no worker can be started in the environment of a release; empty where one can be."""
        with contextlib.closing(local.open_launcher(self.provide(release).interpreter)) as launcher:
            try:
                launcher.prepare()
                launcher.wait()
            except UsageError as error:
                return self._without_folders(error)
        return ""

    def planned(self, *releases: str) -> list[PlannedRun]:
        """Return the cases that were asked for.

        Raises:
            UsageError: where no Ultralytics of these releases knows a model or a data set.
        """
        return self._request.choice.planned([self.provide(release).interpreter for release in releases])

    def begin(self, base: str, head: str, planned: list[PlannedRun], name: str) -> Comparison:
        """Begin a comparison of two releases in a separate folder, or continue the one that was stopped.

        Args:
            base: the release to compare with.
            head: the release that is compared.
            planned: the cases.
            name: the end of the folder's name.

        Raises:
            UsageError: where there is nothing to continue.
        """
        sides, end = (self.provide(base), self.provide(head)), f"-{name}".replace("+", "-")
        comparison = begin(sides, planned, "", self.series.exclude_newer, self._request.margin, MEMORY_MARGIN, say)
        known = self._find_stopped(comparison, end) if self._request.resume else None
        if known is not None:
            reopen(known, comparison, self._request.margin)
            comparison = known
            self._before += known.seconds
        else:
            pairs.own_folder(comparison, self._request.results, f"{self.run}{end}")
        if trouble := store.Store.at(self._request.results / comparison.run).save(comparison):
            say(trouble)
        self.comparisons.append(comparison)
        return comparison

    def _find_stopped(self, question: Comparison, end: str) -> Comparison | None:
        """Return the comparison that was stopped; the first one decides which run this one continues."""
        results, first = self._request.results, not self.comparisons
        every = store.comparisons_of(results)
        run = rf"{self._command}-\d{{8}}-\d{{6}}-[0-9a-f]+" if first else re.escape(self.run)
        kept = [
            comparison
            for comparison in every
            if re.fullmatch(run + re.escape(end), comparison.run) and comparison.same_question(question)
        ]
        if first:  # a run that compared other releases too is a different one
            kept = [comparison for comparison in kept if self._is_ours(comparison.run.removesuffix(end), every)]
        newest = kept[-1] if kept else None
        if newest:
            self.run = newest.run.removesuffix(end)
        elif first:
            raise UsageError(
                f"{results} holds no {self._command} of these releases and cases on this machine: leave --resume out."
            )
        return newest

    def _is_ours(self, run: str, kept: list[Comparison]) -> bool:
        """Whether all comparisons of a run are of releases of this row."""
        asked = {
            side
            for comparison in kept
            if comparison.run.startswith(f"{run}-")
            for side in (comparison.base.asked, comparison.head.asked)
        }
        return asked <= {f"{self.series.package}=={release}" for release in self.row}

    def measure(self, base: str, head: str, comparison: Comparison, left: int) -> None:
        """Measure pairs until the comparison is decided, or its share of the time budget is over.

        Args:
            base: the release to compare with.
            head: the release that is compared.
            comparison: as :meth:`begin` returned it.
            left: comparisons that share the rest of the budget, this one included.

        Raises:
            KeyboardInterrupt: after the results so far were written.
            UsageError: for an environment or data that cannot be used at all.
        """
        sides = self.provide(base), self.provide(head)
        budget = self._request.budget
        if budget is not None:
            spent = sum(begun.seconds for begun in self.comparisons) - self._before
            budget = max(budget - spent, 0.0) / max(left, 1)
        try:
            if pairs.take_pairs(comparison, sides, self._request.results / comparison.run, budget):
                say("its share of the time budget is used up before a verdict")
        except UsageError as error:
            raise UsageError(self._without_folders(error)) from error

    @property
    def stopped(self) -> str:
        """The line after Ctrl-C."""
        if not self.comparisons:
            return "stopped before anything was measured"
        return f"stopped: --resume continues with what was measured, in {self._request.results}/{self.run}-*"

    def _without_folders(self, error: UsageError) -> str:
        """Return the sentence of an error with releases in place of folders, since reports show it."""
        text, folder = str(error), environments_folder()
        for release, side in self._sides.items():
            text = text.replace(side.interpreter.path, f"the Python of {self.series.package} {release}")
        return text.replace(f"{folder}/", "").replace(f"{folder}", "the cache")
