"""``yolopace fleet``: one run on several machines, from one of them."""

from __future__ import annotations

import contextlib
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.cli import terminal
from bench.cli.axis_options import replace_parameter
from bench.cli.io import say
from bench.cli.run import listed_option
from bench.errors import ExitCode, NothingMeasured, UsageError
from bench.pytest_plugin.command_line import OUTPUT, WHAT, RunOption, run_options
from bench.text import clean

if TYPE_CHECKING:  # --help does without what these import
    from bench.fleet.coordinator import Coordinator
    from bench.fleet.machine_state import Machine
    from bench.fleet.machines import MachineSpec
    from bench.records.ceiling import Ceiling
    from bench.records.fleet import FleetRun
    from bench.records.record import Record

_REPORT = "records are collected first: give it to yolopace report"

REFUSED = {
    "--plan": "yolopace plan lists the cases of a machine, and yolopace fleet doctor looks at machines",
    "--reports": _REPORT,
    "--epoch-images": _REPORT,
    "--epochs": _REPORT,
    "--python": "each machine has its own, as in ssh://host//path/to/python",
}
"""Options of a run that a fleet does not take, each with what to use instead."""

OWN = {*REFUSED, "--results", "--run", "--resume", "--m"}
"""Options of a run that machines are not given: a fleet takes them in another way, or not at all."""

KEYWORD = RunOption("-k", WHAT, "only cases whose ids match, such as 'train and not b16', as with pytest", "EXPRESSION")
"""pytest's own option of a run."""

MACHINES = "Machines"
"""Title of the group of options that say where cases are measured."""


On = Annotated[
    str,
    typer.Option(
        metavar="MACHINES",
        rich_help_panel=MACHINES,
        help="Such as mac=ssh://me@mac.local,here; default: those of fleet.toml.",
    ),
]
Local = Annotated[
    int,
    typer.Option(metavar="N", min=0, max=64, rich_help_panel=MACHINES, help="N agents on this machine, for trying."),
]
Patience = Annotated[
    str, typer.Option(metavar="TIME", rich_help_panel=MACHINES, help="How long a lost machine is waited for.")
]


class Action(StrEnum):
    """What to do: measure, or one of the two that measure nothing."""

    measure = "measure"
    doctor = "doctor"
    status = "status"


def _with_run_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give the command the options of a run that decide what is measured, and how."""
    from bench import extensions

    options = [KEYWORD, *(option for option in run_options() if option.group and option.name != extensions.OPTION)]
    taken = [listed_option(option) for option in options if option.name not in OWN]
    refused = [listed_option(option, hidden=True) for option in options if option.name in REFUSED]
    return replace_parameter(command, "options", [*taken, *refused], command)


@_with_run_options
def fleet(
    action: Annotated[Action, typer.Argument(help="measure, doctor (examine the machines), status.")] = Action.measure,
    name: Annotated[str, typer.Argument(metavar="[RUN]", help="With status: the run; default: the last one.")] = "",
    on: On = "",
    local: Local = 0,
    spread: Annotated[bool, typer.Option("--spread", rich_help_panel=MACHINES, help="Machines share cases.")] = False,
    patience: Patience = "5m",
    results: Annotated[Path, typer.Option(help="Folder of the records.")] = Path("results"),
    run: Annotated[str, typer.Option(metavar="NAME", help="Name of the run's folder; default: time and machine.")] = "",
    resume: Annotated[
        str, typer.Option(metavar="RUN", rich_help_panel=OUTPUT, help="Run to go on with, or last.")
    ] = "",
    **options: Any,
) -> None:
    """Measure on several machines at once: each measures every case that it can, one at a time.

    A machine needs ssh, Python, torch and Ultralytics. Records come back when their cases end, into
    results/RUN/MACHINE. Ctrl-C once lets running cases end; twice stops now.

    Exit status: 0 every machine measured its cases; 1 a case failed, or a machine did not finish; 2 usage error;
    4 nothing was measured.
    """
    from bench.fleet.links import check_installed

    given = {key: value for key, value in options.items() if value not in (None, False, [])}
    for flag, instead in REFUSED.items():
        if flag.lstrip("-").replace("-", "_") in given:
            raise UsageError(f"a fleet does not take {flag}: {instead}.")
    if action is Action.status:
        return show_status(results, name or resume or run)
    if name:
        raise UsageError(f"argument {name!r} is not allowed: a run is named by --run or --resume.")
    check_installed()
    if action is Action.doctor:
        return show_machines(chosen_machines(on, local))
    measure(on, local, spread, results, run, resume, patience, given)


def measure(
    on: str, local: int, spread: bool, results: Path, run: str, resume: str, patience: str, options: dict[str, Any]
) -> None:
    """Measure on all machines, and say what was measured.

    Raises:
        typer.Exit: with the exit status.
    """
    from bench.fleet.coordinator import Coordinator
    from bench.fleet.links import connect
    from bench.fleet.locks import coordinating
    from bench.formatting import parse_duration

    seconds = parse_duration(patience)
    run, specs, fleet = requested(on, local, spread, results, run, resume, options)
    with coordinating(results / run):
        coordinator = Coordinator(
            run,
            results,
            specs,
            fleet.options,
            connect,
            started=fleet.started,
            spread=fleet.spread,
            patience=seconds,
            say=say,
            show=show_record,
        )
        with stopping_on_interrupt(coordinator):
            try:
                coordinator.run()
            except KeyboardInterrupt:
                say("stopping now: what was measured is kept")
                coordinator.stop_now()
        for sentence in coordinator.rescue():
            say(sentence)
    raise typer.Exit(conclude(coordinator, run, results))


def requested(
    on: str, local: int, spread: bool, results: Path, run: str, resume: str, options: dict[str, Any]
) -> tuple[str, list[MachineSpec], FleetRun]:
    """Return the name of the run, its machines, and what it is asked for.

    Raises:
        UsageError: where that is impossible.
    """
    from bench import extensions
    from bench.fleet.coordinator import specs_of
    from bench.machine.fingerprint import machine
    from bench.records import store
    from bench.records.fleet import FleetRun

    if resume:
        if run or spread:
            raise UsageError("--resume goes on with a run as it was started: leave out --run and --spread.")
        run = named_run(results, resume)
        fleet = store.read_fleet(results / run)
        changed = sorted(key for key, value in options.items() if fleet.options.get(key) != value)
        if changed:
            flag = "-k" if changed[0] == "k" else f"--{changed[0].replace('_', '-')}"
            raise UsageError(f"run {run} goes on with the options of its start: leave out {flag}.")
        if fleet.extensions != extensions.digests():
            own = ", ".join(f"{name} ({digest})" for name, digest in fleet.extensions.items()) or "none"
            raise UsageError(f"run {run} goes on with the extensions of its start, which are: {own}.")
        specs = chosen_machines(on, local) if on or local else specs_of(fleet)
        return run, specs, fleet
    specs = chosen_machines(on, local)
    check_options(options)
    for spec in specs:
        check_options({**options, **spec.options}, spec.name)
    run = store.check_new_run(results, run) or store.new_run_name(machine().fingerprint)
    started = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return run, specs, FleetRun(started=started, spread=spread, options=options)


def chosen_machines(on: str, local: int) -> list[MachineSpec]:
    """Return the machines that are asked for."""
    from bench.fleet.machines import FILE, local_machines, parse_machines, read_file

    if local and on:
        raise UsageError("--local stands for several machines: leave out --on.")
    return local_machines(local) if local else parse_machines(on, read_file(FILE))


def check_options(options: dict[str, Any], name: str = "") -> None:
    """Refuse impossible values of axes and profiles here; what a machine has to know is checked there.

    Args:
        options: of a run, by name.
        name: of the machine whose options of fleet.toml are among them; empty without any.
    """
    from bench.cases.axes import axes, parse_options
    from bench.cases.plan import profile
    from bench.ceiling.service import CEILING
    from bench.cli.fleet_member import option_getter
    from bench.formatting import parse_duration, parse_percent
    from bench.pytest_plugin.selection import keyword_matcher

    try:
        if forbidden := next((key for key in options if f"--{key.replace('_', '-')}" in OWN), ""):
            raise UsageError(f"option {forbidden!r} is not one of a single machine.")
        if not all(isinstance(value, (str, bool)) or key == "axis" for key, value in options.items()):
            raise UsageError("options are texts, as in device = '0,1'.")
        option = option_getter(options)
        keyword_matcher(option("k"))
        if option("target_ci"):
            parse_percent("target-ci", option("target_ci"))
        for duration in filter(None, map(option, ("time_budget", "phase_timeout"))):
            parse_duration(duration)
        texts = {axis.name: option(axis.name) for axis in axes().values() if axis.option}
        modes = [mode.strip() for mode in (texts["mode"] or "").split(",") if mode.strip() != CEILING]
        parse_options({**texts, "mode": ",".join(modes) or None}, option("axis"))
        profile(option("profile") or "quick")
    except UsageError as error:
        raise UsageError(f"machine {name}: {error}" if name else str(error)) from None


def named_run(results: Path, name: str) -> str:
    """Return the run of a fleet that is named; the last one without a name, and for ``last``.

    Raises:
        UsageError: where there is no such run.
    """
    from bench.records import store

    runs = store.fleet_runs(results)
    if name not in ("", "last", *runs):
        there = f"there are {', '.join(runs[-5:])}" if runs else "it has no run of a fleet"
        raise UsageError(f"run {name!r} is no run of a fleet in {results}: {there}.")
    if not runs:
        raise UsageError(f"{results} has no run of a fleet.")
    return name if name in runs else max(runs, key=lambda run: store.read_fleet(results / run).started)


@contextlib.contextmanager
def stopping_on_interrupt(coordinator: Coordinator) -> Iterator[None]:
    """Let the first Ctrl-C end the run after the running cases, and the second one end it now."""

    def stop(number: int, frame: object) -> None:
        if coordinator.stopping:
            raise KeyboardInterrupt
        coordinator.stopping = True
        say("stopping when the running cases end; Ctrl-C again stops now")

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def show_record(machine: Machine, item: Record | Ceiling) -> None:
    """Print one line on what a machine has measured."""
    from bench.analysis.units import units_of
    from bench.formatting import format_number
    from bench.pytest_plugin.progress import rate
    from bench.records.record import Record
    from bench.text import one_line

    speed = rate(item) if isinstance(item, Record) else None
    status = item.outcome.status.value.replace("_", " ")
    if speed is not None and isinstance(item, Record):
        text = f"{format_number(speed)} {units_of(item).unit}s/s"
    elif isinstance(item, Record) or item.outcome.reason:
        text = f"{status}: {one_line(item.outcome.reason)}"
    elif item.case.batch:
        text = f"largest batch {item.case.batch}"
    else:
        text = f"not even batch {item.granularity} trains"
    over = f"{len(machine.names) - len(machine.left)}/{len(machine.names)}" if machine.names else "earlier"
    print(clean(f"{machine.name} {over} {item.name}: {text}"), flush=True)


def conclude(coordinator: Coordinator, run: str, results: Path) -> ExitCode:
    """Say what was measured and what is left; return the exit status."""
    from bench.fleet.machine_state import State
    from bench.records.outcome import Status

    machines = coordinator.machines.values()
    left = 0
    for machine in machines:
        counts = Counter(status.value.replace("_", " ") for status in machine.new.values())
        parts = [f"{count} {status}" for status, count in counts.items()]
        remaining = coordinator.left_of(machine)
        left += len(remaining) + (not machine.names)
        parts += [f"{len(machine.held)} measured before"] if machine.held else []
        parts += [f"{len(remaining)} left"] if remaining else []
        parts += [str(machine.state)] if machine.state is not State.FINISHED else []
        print(f"{machine.name}: {', '.join(parts)}")
    place = results / run
    where = "" if str(results) == "results" else f" --results {results}"
    if any(machine.new or machine.held for machine in machines):
        print(f"report: yolopace report {place}")
        if left:
            print(f"go on: yolopace fleet --resume {run}{where}")
    if coordinator.stopping or any(machine.store.unsaved for machine in machines):
        return ExitCode.WRONG_USE
    statuses = [status for machine in machines for status in (machine.held | machine.new).values()]
    if Status.MEASURED not in statuses:
        codes = {machine.code for machine in machines}
        return ExitCode.WRONG_USE if codes == {int(ExitCode.WRONG_USE)} else ExitCode.NOTHING_MEASURED
    finished = all(machine.state is State.FINISHED for machine in machines)
    return ExitCode.REGRESSION if not finished or any(status.broken for status in statuses) else ExitCode.OK


def show_status(results: Path, name: str) -> None:
    """Print what each machine of a run does, and what is left."""
    from bench.fleet.locks import is_coordinated
    from bench.records import store

    run = named_run(results, name)
    fleet = store.read_fleet(results / run)
    runs = is_coordinated(results / run)
    print(f"run {run}, started {fleet.started}: {'running' if runs else 'not running'}")
    for machine_name, machine in fleet.machines.items():
        state = machine.state if runs or machine.state == "finished" else f"not running (was {machine.state})"
        now = f", now {machine.running}" if runs and machine.running else ""
        note = f"; {machine.note}" if machine.note else ""
        planned = f"{len(machine.left)} of {len(machine.planned)} left" if machine.planned else "no plan yet"
        terminal.show(clean(f"{machine_name} ({machine.address}): {state}{now}; {planned}{note}"))
    if not runs and any(machine.left or not machine.planned for machine in fleet.machines.values()):
        where = "" if str(results) == "results" else f" --results {results}"
        print(f"go on: yolopace fleet --resume {run}{where}")


def show_machines(specs: list[MachineSpec]) -> None:
    """Print what each machine offers, and what stands in the way.

    Raises:
        NothingMeasured: where no machine can measure.
    """
    from bench.fleet.examine import examine_all

    ready = 0
    for spec, answer in zip(specs, examine_all(specs), strict=True):
        place = f"{spec.name} ({spec.address})"
        if isinstance(answer, str):
            terminal.show(clean(f"{place}: unavailable: {answer}"))
            continue
        ready += answer.ready
        terminal.show(clean(f"{place}: {'ready' if answer.ready else 'unavailable'}: {answer.summary}"))
        for check in answer.checks:
            terminal.show(clean(f"  {check}"))
    if not ready:
        raise NothingMeasured("no machine can measure.")
