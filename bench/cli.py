"""The other face: commands on what was recorded, and on the suite itself. Measuring is pytest's."""

from __future__ import annotations

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
    from bench.records import store

    places = sources or [Path("results")]
    if not sources and not places[0].exists():
        raise NothingMeasured("there is no folder results here: measure first, with pytest bench/ --benchmark-only.")
    records, complaints = store.read(places)
    for complaint in complaints:
        say(complaint)
    if not records:
        raise NothingMeasured(f"there are no records in {', '.join(map(str, places))}.")
    return records, complaints


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
    """One row a record, on standard output."""
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
    python: Annotated[str, typer.Option(help="The interpreter to measure.")] = "",
) -> None:
    """Measure the suite itself on this machine: what a case costs beside its warm-up and window, and the like."""
    from rich.console import Console
    from rich.table import Table

    from bench.runner.interpreter import inspect
    from bench.runner.selfcheck import checks

    interpreter = inspect(python)
    shown = Table("Check", "Figure", "Goal", "How")
    for check in checks(interpreter, cases, say):
        shown.add_row(check.name, check.figure, check.goal, check.how)
    Console(width=None if sys.stdout.isatty() else 140).print(shown)


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
