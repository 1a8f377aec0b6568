"""The run that the options of pytest request, checked before anything is started."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from bench.cases.axes import axes, parse_options
from bench.cases.device_kinds import HOST
from bench.cases.plan import PlannedRun, repeat
from bench.ceiling.search import SearchRequest, recipe
from bench.ceiling.service import CEILING, DEFAULT_MAX_BATCH, check_limit, granularity_for, search_cases
from bench.environments.interpreter import Interpreter, inspect
from bench.errors import UsageError
from bench.formatting import parse_bytes, parse_duration, parse_percent
from bench.machine.fingerprint import devices, machine
from bench.pytest_plugin.options import RunOptions, parse
from bench.pytest_plugin.resume import DEFAULTS, GetOption, requested_options, resumed_run, with_kept_options
from bench.pytest_plugin.target_ci import MIN_PROCESSES
from bench.records import store
from bench.records.requested_options import RequestedOptions

PHASE_TIMEOUT = "10m"
"""Time that warm-up and window may take each, where none is named."""


class RunRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A requested run.

    Attributes:
        plan_only: whether the plan is listed and nothing started.
        results: folder of all runs.
        reports: folder of all reports.
        epoch_images: images per epoch in the report; 0 for COCO's.
        epochs: epochs of the user's own training in the report; 0 if not named.
        budget: seconds, or None.
        phase_timeout: seconds that warm-up and window may take each.
        target_ci: half-width that the interval of every case shall reach, as a share; None without.
        processes: fresh processes per case.
        resumed: whether the run continues an earlier one.
        name: of the run.
        interpreter: measured interpreter.
        cases: the first process of every case, in the order of the plan.
        questions: cases that only ask whether a precision is available.
        named: axes that the user named.
        options: the options of the run, to be kept in its folder.
        searches: ceilings by their names.
    """

    plan_only: bool
    results: Path
    reports: Path
    epoch_images: int
    epochs: int
    budget: float | None
    phase_timeout: float
    target_ci: float | None
    processes: int
    resumed: bool
    name: str
    interpreter: Interpreter
    cases: tuple[PlannedRun, ...]
    questions: tuple[PlannedRun, ...]
    named: frozenset[str]
    options: RequestedOptions
    searches: dict[str, SearchRequest]

    @classmethod
    def parse(cls, option: GetOption, here: Path) -> RunRequest:
        """Check the options of a run, without starting anything.

        Args:
            option: returns the value of an option by its name.
            here: the folder to which relative paths refer.

        Raises:
            UsageError: for an impossible option.
        """
        results: Path = here / option("results")
        resumed, name = _run_name(option, results)
        if resumed:
            option = with_kept_options(option, store.read_options(results / name), name)
        target = parse_percent("target-ci", option("target_ci")) if option("target_ci") else None
        epoch_images = _whole_number("epoch-images", option("epoch_images"))
        epochs = _whole_number("epochs", option("epochs"))
        budget = parse_duration(option("time_budget")) if option("time_budget") else None
        phase_timeout = parse_duration(option("phase_timeout") or PHASE_TIMEOUT)
        processes = _processes(option("processes"), target)
        interpreter = inspect(option("python"), models=())
        modes = [part.strip() for part in (option("mode") or "").split(",") if part.strip()]
        _check_ceiling_options(option, modes)
        options = _run_options(option, modes, interpreter)
        cases, questions = options.planned() if not modes or set(modes) - {CEILING} else ([], [])
        searches = _searches(option, options, bool(cases)) if CEILING in modes else {}
        asked = [plan.case.model for plan in (*cases, *questions)]
        interpreter.check_models([*asked, *(search.case.model for search in searches.values())])
        return cls(
            plan_only=option("plan"),
            results=results,
            reports=here / option("reports"),
            epoch_images=epoch_images,
            epochs=epochs,
            budget=budget,
            phase_timeout=phase_timeout,
            target_ci=target,
            processes=processes,
            resumed=resumed,
            name=name,
            interpreter=interpreter,
            cases=tuple(cases),
            questions=tuple(questions),
            named=frozenset(options.values),
            options=requested_options(option),
            searches=searches,
        )

    def planned(self, name: str) -> dict[str, PlannedRun]:
        """Return all processes of all cases by name, in the order that a run of this name has; questions come first."""
        return {plan.name: plan for plan in (*self.questions, *repeat(self.cases, self.processes, name))}

    def search_plans(self) -> list[PlannedRun]:
        """Return the ceilings as cases with recipes."""
        return [PlannedRun(search.case, recipe(search)) for search in self.searches.values()]


def _run_name(option: GetOption, results: Path) -> tuple[bool, str]:
    """Return whether the run continues an earlier one, and its name."""
    resume = resumed_run(results, option("resume"))
    name = store.check_new_run(results, option("run"))
    if resume and name:
        raise UsageError("--run names a new run and --resume goes on with an old one: give one of them.")
    return bool(resume), resume or name or store.new_run_name(machine().fingerprint)


def _run_options(option: GetOption, modes: list[str], interpreter: Interpreter) -> RunOptions:
    """Check the options on which cases are measured, and how."""
    others = ",".join(mode for mode in modes if mode != CEILING)
    texts = {axis.name: option(axis.name) for axis in axes().values() if axis.option}
    texts["mode"] = others or None if modes else option("mode")
    return parse(
        option("profile") or DEFAULTS["profile"],
        parse_options(texts, option("axis")),
        option("data"),
        _whole_number("threads", option("threads") or DEFAULTS["threads"]),
        interpreter,
        with_val=option("with_val"),
        compare_losses=option("compare_losses"),
        per_device=option("per_device"),
        energy=option("energy"),
    )


def _check_ceiling_options(option: GetOption, modes: list[str]) -> None:
    """Refuse options of ceilings where none is searched for."""
    for name in ("memory_limit", "multiple_of"):
        if CEILING not in modes and option(name) not in ("", None, DEFAULTS[name]):
            raise UsageError(f"--{name.replace('_', '-')} is for ceilings: add --mode {CEILING}, or leave it out.")


def _searches(option: GetOption, options: RunOptions, with_cases: bool) -> dict[str, SearchRequest]:
    """Return the ceilings that are asked for, by their names."""
    for name in ("data", "with_val", "compare_losses", "energy", "target_ci"):
        if option(name) and not with_cases:
            raise UsageError(f"--{name.replace('_', '-')} says nothing of a ceiling: leave it out.")
    usual = options.chosen.axes(HOST)
    values = {"device": devices(), "model": usual["model"], "amp": ["off"], **options.values}
    multiple_of = _whole_number("multiple-of", option("multiple_of") or DEFAULTS["multiple_of"])
    if not multiple_of:
        raise UsageError("multiple-of '0' is not allowed: use a whole number from 1.")
    limit = parse_bytes("memory-limit", option("memory_limit")) if option("memory_limit") else None
    searches = {}
    for case in search_cases(values):
        if limit is not None:
            check_limit(limit, case)
        search = SearchRequest(case, granularity_for(multiple_of, case), DEFAULT_MAX_BATCH, limit, options.threads)
        searches[case.search_id] = search
    return searches


def _whole_number(name: str, text: str) -> int:
    """Parse an option whose default is 0."""
    if not re.fullmatch("[0-9]{1,9}", text):
        raise UsageError(f"{name} {text!r} is not allowed: use a whole number.")
    return int(text)


def _processes(text: str, target: float | None) -> int:
    """Parse how many fresh processes measure each case: 1 by default, more with a target for the interval."""
    if not text:
        return 1 if target is None else MIN_PROCESSES
    if not re.fullmatch("[0-9]{1,3}", text) or not int(text):
        raise UsageError(f"processes {text!r} is not allowed: use a whole number from 1 to 999.")
    return int(text)
