"""The cases of a live comparison."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from typing import Any

import msgspec

from bench.cases.case import parse_case
from bench.cases.device_kinds import device_kind
from bench.cases.plan import PlannedRun, expand_grid, profile
from bench.cases.recipe import check_threads
from bench.environments.interpreter import Interpreter
from bench.errors import UsageError
from bench.machine.fingerprint import devices
from bench.pytest_plugin.options import check_model, find_data


class CaseChoice(msgspec.Struct, frozen=True):
    """The cases that were asked for, by their ids or by axes; by default those of profile ``regress``.

    Attributes:
        values: by axis.
        ids: of cases.
        data: see :class:`bench.cases.recipe.Recipe`.
        threads: see :class:`bench.cases.recipe.Recipe`.
        single: whether an axis that is not named has only the first of its values.
    """

    values: dict[str, list[Any]]
    ids: tuple[str, ...]
    data: str
    threads: int
    single: bool = False

    @classmethod
    def parse(
        cls, ids: list[str] | None, values: dict[str, list[Any]], data: str, threads: int, single: bool = False
    ) -> CaseChoice:
        """Check all that can be checked before an environment is there.

        Raises:
            UsageError: for an id of no case, or cases that are given in both ways.
        """
        if ids and values:
            raise UsageError(f"name cases by --case or by --{next(iter(values))} and the like, not by both.")
        check_threads(threads, values)
        return cls(values, tuple(parse_case(text).id for text in ids or ()), data, threads, single)

    def planned(self, interpreters: list[Interpreter]) -> list[PlannedRun]:
        """Return the cases with their recipes.

        Args:
            interpreters: at least one has to know each model and data set that is given by name.

        Raises:
            UsageError: where no interpreter does, or one lacks a package for each of the cases.
        """
        data = any_of(lambda interpreter: find_data(self.data, interpreter), interpreters)
        if self.ids:
            plans = []
            for case in dict.fromkeys(map(parse_case, self.ids)):
                values = {name: [value] for name, value in case.values.items()}
                plans += expand_grid(profile("regress"), [case.device], values, data, self.threads)
        elif self.single:
            chosen, plans = profile("regress"), []
            for device in self.values.get("device", devices()[:1]):
                usual = {axis: values[:1] for axis, values in chosen.axes(device_kind(device)).items()}
                plans += expand_grid(chosen, [], {**usual, **self.values, "device": [device]}, data, self.threads)
        else:
            plans = expand_grid(profile("regress"), devices()[:1], self.values, data, self.threads)
        models = dict.fromkeys(plan.case.model for plan in plans)
        for interpreter in interpreters:
            interpreter.check_models(models)
        for model in models:
            any_of(functools.partial(check_model, model), interpreters)
        return plans


def any_of(question: Callable[[Interpreter], Any], interpreters: list[Interpreter]) -> Any:
    """Return the first answer of some interpreters; raise the error of the last one where all fail."""
    for interpreter in interpreters[:-1]:
        with contextlib.suppress(UsageError):
            return question(interpreter)
    return question(interpreters[-1])
