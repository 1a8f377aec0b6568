"""The other face: commands on what was recorded, and on the suite itself. Measuring is pytest's."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn, Optional

import typer

from bench import __version__
from bench.cases.model_labels import show_together
from bench.cli import dependencies
from bench.cli.axis_options import axis_options
from bench.cli.bisect import bisect
from bench.cli.calibrate import calibrate
from bench.cli.ceiling import ceiling
from bench.cli.compare import compare
from bench.cli.doctor import doctor
from bench.cli.io import (
    EpochImages,
    Format,
    Only,
    Results,
    chosen_by,
    epoch,
    read_ceilings,
    read_comparisons,
    read_records,
    say,
)
from bench.cli.node import node
from bench.cli.regress import regress
from bench.cli.selfcheck import selfcheck
from bench.cli.sweep import sweep
from bench.environments import failure_causes
from bench.errors import BenchError, ExitCode, NothingMeasured, describe_unexpected
from bench.pytest_plugin import output_streams
from bench.text import clean

app = typer.Typer(
    help="Throughput of real Ultralytics YOLO training and inference. To measure: pytest bench/ --benchmark-only",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
@axis_options()
def plan(
    profile: Annotated[str, typer.Option(help="smoke, quick or full.")] = "quick",
    *,
    axes: dict[str, list[Any]],
    results: Annotated[Path, typer.Option(help="Earlier runs, for the estimates.")] = Path("results"),
    python: Annotated[str, typer.Option(help="The interpreter to measure.")] = "",
) -> None:
    """List the cases of a profile with time estimates; starts nothing."""
    from bench.environments.interpreter import inspect
    from bench.pytest_plugin.options import parse
    from bench.pytest_plugin.progress import plan_lines
    from bench.runner.estimate import from_history

    planned = parse(profile, axes, "", 0, inspect(python)).planned()
    print("\n".join(plan_lines(planned, from_history(results))))


@app.command()
def table(
    results: Results = None,
    format: Annotated[Format, typer.Option(help="How it is written.")] = Format.md,
    epoch_images: EpochImages = 0,
    only: Only = None,
) -> None:
    """One row a case of a run and one a ceiling, on standard output."""
    from bench.analysis.ceilings import with_ceilings
    from bench.analysis.table import frame
    from bench.report.tables import render

    images, wanted = epoch(epoch_images), chosen_by(only)
    ceilings, _ = read_ceilings(results, wanted)
    records, _ = read_records(results, needed=not ceilings, wanted=wanted)
    show_together([record.case.model for record in records] + [ceiling.case.model for ceiling in ceilings])
    output_streams.data_follow()
    print(render(with_ceilings(frame(records, images), ceilings), format.value).rstrip("\n"))


@app.command()
def report(
    results: Results = None,
    output: Annotated[Path, typer.Option(help="Folder for index.html, report.md, cases.csv and plots.")] = Path(
        "reports"
    ),
    epoch_images: EpochImages = 0,
    baseline: Annotated[str, typer.Option(help="What speed-ups refer to, such as device=cpu,amp=off.")] = "",
    only: Only = None,
    format: Annotated[str, typer.Option(help="Some of html,md,csv,svg,png,gha; default: all but gha.")] = "",
) -> None:
    """Make the report of the given runs: cases, ceilings and live comparisons."""
    from bench.analysis.speedup import named, parse_baseline
    from bench.report.page import Inputs, gather, parse_formats, save
    from bench.report.plots import rendering

    images, wanted, formats = epoch(epoch_images), chosen_by(only), parse_formats(format)
    chosen = parse_baseline(baseline) if baseline else None
    ceilings, about_ceilings = read_ceilings(results, wanted)
    comparisons, about_comparisons = read_comparisons(results, wanted)
    records, complaints = read_records(results, needed=not (ceilings or comparisons), wanted=wanted)
    show_together([record.case.model for record in records] + [ceiling.case.model for ceiling in ceilings])
    inputs = Inputs(
        records=records,
        ceilings=ceilings,
        comparisons=comparisons,
        epoch_images=images,
        baseline=named(chosen, records) if chosen else None,
        complaints=[*complaints, *about_ceilings, *about_comparisons],
    )
    pictures = any(name in formats for name in ("html", "md", "svg", "png"))
    with rendering.beside() if pictures else contextlib.nullcontext():
        page = gather(inputs)
        print(clean(str(save(page, output, formats))))
    if chosen and not page.compared:
        say(f"no measured case has a counterpart with {baseline}, so the report has no speed-ups.")
    if not ceilings and not comparisons and not any(r.outcome.status.value == "measured" for r in records):
        raise NothingMeasured("no case was measured: the report lists why.")


app.command()(doctor)
app.command()(ceiling)
app.command()(node)
app.command()(calibrate)
app.command()(compare)
app.command()(regress)
app.command()(sweep)
app.command()(bisect)
app.command()(selfcheck)


@app.command()
@axis_options()
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
    *,
    axes: dict[str, list[Any]],
) -> None:
    """Run the smoke profile with old and new Ultralytics and torch; a Markdown table of what ran."""
    from bench.compat import smoke_runs as runner
    from bench.compat.environment_run import EnvironmentRun
    from bench.compat.table import compatibility
    from bench.environments.cache_checks import check_usable
    from bench.environments.specification import Specification
    from bench.machine.fingerprint import machine
    from bench.records.store import new_run_name
    from bench.report.comparisons.compat import to_md

    check_usable()
    wanted = [Specification.parse(text) for text in environment or []] or runner.specifications(exclude_newer)
    folder = results or Path("results") / f"compat-{new_run_name(machine().fingerprint)}"
    tried: list[EnvironmentRun] = []
    try:
        for one in runner.run(wanted, folder, say, exclude_newer, axes):
            tried.append(one)
    finally:  # what was seen until Ctrl-C is shown too, also of the environment that it stopped
        found = compatibility(tried)
        if tried:
            output_streams.data_follow()
            print(to_md(found).rstrip("\n"))
    if not found.measured:
        raise NothingMeasured("no case was measured in any environment: the table says why.")
    say(f"the records are in {folder}")
    if not found.fine:
        raise typer.Exit(ExitCode.REGRESSION)


@app.callback(invoke_without_command=True)
def options(version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False) -> None:
    """Options of every command."""
    if version:
        print(__version__)
        raise typer.Exit(ExitCode.FINE)


def main() -> None:
    """Run a command; every error is one sentence and an exit code."""
    output_streams.prepare()
    try:
        try:
            _run()
        finally:  # whatever happened: what fails at the interpreter's own end would have exit status 120
            sys.stdout.flush()
    except output_streams.OutputFailed as failure:
        say(f"yolopace: {failure.sentence}")
        raise


def _run() -> None:
    try:
        app()
    except BenchError as error:
        say(f"yolopace: {error}")
        raise SystemExit(int(error.code)) from None
    except OSError as error:  # a disk that is full, say: whatever else ended with 1 would pass for a regression
        say(f"yolopace: {failure_causes.of_error(error)}")
        raise SystemExit(int(ExitCode.WRONG_USE)) from None
    except SystemExit as end:
        if end.code == 1 and isinstance(end.__context__, BrokenPipeError):  # click ends with 1 where a pipe closes
            _unexpected(end.__context__)
        raise
    except Exception as error:
        _unexpected(error)


def _unexpected(error: BaseException) -> NoReturn:
    """One sentence on an error that nobody foresaw; the traceback goes to a file."""
    if old := dependencies.outdated():
        say(f"yolopace: {old}")
        if "--help" in sys.argv[1:]:
            print(_short_help())
            raise SystemExit(int(ExitCode.FINE))
    else:
        say(f"yolopace: {failure_causes.of_error(error) or describe_unexpected(error)}")
    raise SystemExit(int(ExitCode.WRONG_USE))


def _short_help() -> str:
    """The commands, a line each: for where the library that writes the whole help is too old for it."""
    lines = ["Usage: python -m bench COMMAND [OPTIONS]", "", str(app.info.help), "", "Commands:"]
    for command in app.registered_commands:
        assert command.callback is not None
        about = (command.callback.__doc__ or "").strip().partition("\n")[0]
        lines.append(f"  {command.name or command.callback.__name__:<10} {about}")
    return "\n".join(lines)
