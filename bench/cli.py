"""The other face: commands on what was recorded, and on the suite itself. Measuring is pytest's."""

from __future__ import annotations

import contextlib
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Optional

import typer

from bench import __version__
from bench.cases.axes import AXES
from bench.errors import BenchError, Exit, NothingMeasured, WrongUse
from bench.records.record import Record

app = typer.Typer(
    help="Throughput of real Ultralytics YOLO training and inference. To measure: pytest bench/ --benchmark-only",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


class Format(StrEnum):
    """Formats of a table."""

    csv = "csv"
    md = "md"
    json = "json"


Results = Annotated[
    Optional[list[Path]],  # noqa: UP045 - typer reads it
    typer.Argument(metavar="[RESULTS]...", help="Folders of runs, or record files; default: results."),
]
EpochImages = Annotated[int, typer.Option(help="Images of an epoch; 0 stands for COCO's 118,287.")]


def say(text: str) -> None:
    """Print a remark where it does not mix with a table."""
    print(text, file=sys.stderr)


def read_records(sources: list[Path] | None) -> tuple[list[Record], list[str]]:
    """Records under the given places; raises :class:`NothingMeasured` where there are none."""
    from bench.machine.fingerprint import machine
    from bench.records import calibration, store
    from bench.runner.paths import calibration_folder

    places = sources or [Path("results")]
    if not sources and not places[0].exists():
        raise NothingMeasured("there is no folder results here: measure first, with pytest bench/ --benchmark-only.")
    records, complaints = store.read(places)
    for complaint in complaints:
        say(complaint)
    if not records:
        raise NothingMeasured(f"there are no records in {', '.join(map(str, places))}.")
    here = machine().fingerprint
    return calibration.stamped(records, calibration.read(calibration_folder(), here), here), complaints


def epoch(images: int) -> int:
    """The size of an epoch that was asked for."""
    from bench.analysis.throughput import COCO_TRAIN_IMAGES

    if images < 0:
        raise WrongUse(f"epoch-images {images} is not allowed: use a whole number above 0.")
    return images or COCO_TRAIN_IMAGES


@app.command()
def plan(
    profile: Annotated[str, typer.Option(help="smoke, quick or full.")] = "quick",
    mode: Annotated[Optional[str], typer.Option(help=AXES["mode"].help)] = None,  # noqa: UP045
    model: Annotated[Optional[str], typer.Option(help=AXES["model"].help)] = None,  # noqa: UP045
    device: Annotated[Optional[str], typer.Option(help=AXES["device"].help)] = None,  # noqa: UP045
    amp: Annotated[Optional[str], typer.Option(help=AXES["amp"].help)] = None,  # noqa: UP045
    batch: Annotated[Optional[str], typer.Option(help=AXES["batch"].help)] = None,  # noqa: UP045
    imgsz: Annotated[Optional[str], typer.Option(help=AXES["imgsz"].help)] = None,  # noqa: UP045
    results: Annotated[Path, typer.Option(help="Earlier runs, for the estimates.")] = Path("results"),
    python: Annotated[str, typer.Option(help="The interpreter to measure.")] = "",
) -> None:
    """List the cases of a profile with time estimates; starts nothing."""
    from bench.progress import plan_lines
    from bench.request import parse
    from bench.runner.estimate import from_history
    from bench.runner.interpreter import inspect

    options = {"mode": mode, "model": model, "device": device, "amp": amp, "batch": batch, "imgsz": imgsz}
    planned = parse(profile, options, "", 0, inspect(python)).planned()
    print("\n".join(plan_lines(planned, from_history(results))))


@app.command()
def table(
    results: Results = None,
    format: Annotated[Format, typer.Option(help="How it is written.")] = Format.md,
    epoch_images: EpochImages = 0,
) -> None:
    """One row a case of a run, on standard output."""
    from bench.analysis.table import frame
    from bench.report.tables import render

    images = epoch(epoch_images)
    records, _ = read_records(results)
    print(render(frame(records, images), format.value).rstrip("\n"))


@app.command()
def report(
    results: Results = None,
    output: Annotated[Path, typer.Option(help="Folder for index.html, report.md, cases.csv and plots.")] = Path(
        "reports"
    ),
    epoch_images: EpochImages = 0,
    baseline: Annotated[str, typer.Option(help="What speed-ups refer to, such as device=cpu,amp=off.")] = "",
) -> None:
    """Make the report of the given runs."""
    from bench.analysis.speedup import parse_baseline, speedups
    from bench.analysis.table import frame, latest
    from bench.report.page import write

    images = epoch(epoch_images)
    chosen = parse_baseline(baseline) if baseline else None
    records, complaints = read_records(results)
    print(write(records, output, images, chosen, complaints))
    if chosen and speedups(latest(frame(records, images)), chosen).empty:
        say(f"no measured case has a counterpart with {baseline}, so the report has no speed-ups.")
    if not any(record.outcome.status.value == "measured" for record in records):
        raise NothingMeasured("no case was measured: the report lists why.")


@app.command()
def selfcheck(
    cases: Annotated[int, typer.Option(min=1, help="Training cases started for the fixed cost.")] = 9,
    pairs: Annotated[
        int, typer.Option(min=0, help="Epochs of plain training for each comparison with it; 0: none.")
    ] = 5,
    python: Annotated[str, typer.Option(help="The interpreter to measure.")] = "",
) -> None:
    """Measure the suite itself on this machine: what a case costs, and its figures against plain training."""
    from rich.console import Console
    from rich.table import Table

    from bench.runner.interpreter import inspect
    from bench.runner.selfcheck import checks

    interpreter = inspect(python)
    shown = Table("Check", "Figure", "Goal", "How")
    with contextlib.suppress(KeyboardInterrupt):  # nearly half an hour: what was found is shown
        for check in checks(interpreter, cases, pairs, say):
            shown.add_row(check.name, check.figure, check.goal, check.how)
    Console(width=None if sys.stdout.isatty() else 140).print(shown)


@app.command()
def compat(
    environment: Annotated[
        Optional[list[str]],  # noqa: UP045 - typer reads it
        typer.Option(metavar="SPEC", help="ultralytics==8.4.0,torch==2.6.0 and the like; may be repeated."),
    ] = None,
    results: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Folder for the runs; default: a new one under results."),
    ] = None,
    exclude_newer: Annotated[str, typer.Option(metavar="DATE", help="Leave out releases after this date.")] = "",
) -> None:
    """Run the smoke profile with old and new Ultralytics and torch; a Markdown table of what ran."""
    from bench.analysis.compat import compatibility
    from bench.machine.fingerprint import machine
    from bench.records.store import new_run_name
    from bench.records.tried import Tried
    from bench.report.compat import to_md
    from bench.runner import compat as runner
    from bench.runner.environments import Specification

    wanted = [Specification.parse(text) for text in environment or []] or runner.specifications(exclude_newer)
    folder = results or Path("results") / f"compat-{new_run_name(machine().fingerprint)}"
    tried: list[Tried] = []
    try:
        for one in runner.run(wanted, folder, say, exclude_newer):
            tried.append(one)
    finally:  # what was seen until Ctrl-C is shown too, also of the environment that it stopped
        found = compatibility(tried)
        if tried:
            print(to_md(found).rstrip("\n"))
    if not found.measured:
        raise NothingMeasured("no case was measured in any environment: the table says why.")
    say(f"the records are in {folder}")
    if not found.fine:
        raise typer.Exit(Exit.REGRESSION)


@app.command()
def calibrate(
    device: Annotated[Optional[str], typer.Option(help=f"{AXES['device'].help}; default: all here.")] = None,  # noqa: UP045
    time_budget: Annotated[
        str, typer.Option(metavar="TIME", help="For everything, such as 90s or 10m; default: 3 minutes.")
    ] = "",
    results: Annotated[Path, typer.Option(help="Where the records go.")] = Path("results"),
    python: Annotated[str, typer.Option(help="The interpreter to measure.")] = "",
) -> None:
    """Measure this machine against itself: how far do fresh processes of the same thing differ?"""
    from bench.analysis import noise
    from bench.analysis.marks import commonest
    from bench.analysis.uncertainty import single_process
    from bench.cases.axes import parse_values
    from bench.durations import parse_duration
    from bench.machine.fingerprint import devices, machine
    from bench.progress import calibration_lines, line, so_far
    from bench.records import calibration
    from bench.records.outcome import Status
    from bench.runner import calibrate as runner
    from bench.runner.interpreter import inspect
    from bench.runner.launcher import open_launcher
    from bench.runner.paths import calibration_folder
    from bench.runner.run import Run

    chosen = parse_values(AXES["device"], device) if device is not None else devices()
    budget = parse_duration(time_budget) if time_budget else runner.BUDGET

    def told(record: Record, run: Run) -> None:
        rest = len(run.planned) - run.spared
        together = so_far(run.measured(record.case))
        number = len(run.records)
        say(line(record, number, rest, run.seconds_left(), processes=runner.MOST, together=together))
        if run.trouble:
            say(run.trouble)

    with contextlib.closing(open_launcher(inspect(python))) as launcher:
        launcher.prepare()
        records, folder, trouble = runner.calibrate(launcher, chosen, results, budget, told)
    found = noise.calibrations(records)
    for one in found:
        seen = {pairs: noise.smallest_difference(one.pair_sd, pairs) for pairs in noise.LOOKS}
        print("\n".join(calibration_lines(one, seen, single_process(one.noise))))
        if one.processes < calibration.ENOUGH:
            print(f"  {one.processes} processes tell this but roughly: give it more time (--time-budget)")
    known = {one.case for one in found}
    for record in {record.case: record for record in reversed(records) if record.case.id not in known}.values():
        count = sum(r.case == record.case and r.outcome.status is Status.MEASURED for r in records)
        few = f"measured {count} times, fewer than {noise.LEAST} of them undisturbed: nothing can be said"
        print(f"{record.case.device}, {record.case.id}: {few if count else record.outcome.reason}")
    if trouble:
        say(trouble)
    if not found:
        remedy = "give it more time (--time-budget)"
        if phrase := commonest(records):
            remedy = f"mend what disturbed it most often ({phrase})"
        raise NothingMeasured(f"no device was measured often enough undisturbed, so nothing is kept: {remedy}.")
    file = calibration.keep(calibration_folder(), machine().fingerprint, found)
    kept = calibration.read(calibration_folder(), machine().fingerprint)
    for one in found:
        if one not in kept:
            print(f"{one.device}, {one.mode}: an earlier calibration of more processes stays in its place")
    print(f"kept in {file}; records: {folder}")


@app.callback(invoke_without_command=True)
def options(version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False) -> None:
    """Options of every command."""
    if version:
        print(__version__)
        raise typer.Exit(Exit.FINE)


def main() -> None:
    """Run a command; every error is one sentence and an exit code."""
    try:
        app()
    except BenchError as error:
        say(f"yolopace: {error}")
        raise SystemExit(int(error.code)) from None
