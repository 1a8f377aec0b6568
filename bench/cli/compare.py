"""``yolopace compare``: two recorded runs, or two machines, case by case."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from bench.cases.model_labels import show_together
from bench.cli import terminal
from bench.cli.io import Format, read_records, say
from bench.errors import BenchError, ExitCode, NotComparable, NothingMeasured, UsageError
from bench.formatting import parse_percent
from bench.pytest_plugin import output_streams
from bench.records.machines import with_ids
from bench.records.record import Record
from bench.text import clean

if TYPE_CHECKING:  # it takes pandas and scipy, which --help does without
    from bench.compare.recorded_runs import RunComparison

OPTION = "fail-on-slower"


def compare(
    a: Annotated[Path, typer.Argument(metavar="A", help="The earlier run: a folder of one run or several, or a file.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="The later run, or that of another machine.")],
    fail_on_slower: Annotated[
        Optional[str],  # noqa: UP045 - typer reads it
        typer.Option(
            metavar="PERCENT",
            help="Exit with 1 if B takes longer by more than this, such as 5%, in any case whose interval excludes 1.",
        ),
    ] = None,
    format: Annotated[
        Optional[Format],  # noqa: UP045 - typer reads it
        typer.Option(help="All figures in this format; default: md, and on a terminal a brief table."),
    ] = None,
    wide: Annotated[bool, typer.Option("--wide", help="All figures on a terminal too.")] = False,
) -> None:
    """Compare two recorded runs case by case, without a verdict. Different machines are shown side by side.

    Cases measured by different recipes are not compared: their differences
    are listed. Of several runs of a case the newest that was measured counts.

    Exit status: 1 by --fail-on-slower alone; 3 where no case can be compared,
    and where --fail-on-slower has no answer for any case: on different
    machines, or without intervals. Cases that cannot be compared while others
    can, or that B did not measure, are listed and fail nothing.
    """
    from bench.compare.recorded_runs import compare_runs
    from bench.report.comparisons import recorded_runs, recorded_runs_brief

    limit = None if fail_on_slower is None else _limit(fail_on_slower)
    if a.exists() and a.resolve() == b.resolve():
        raise UsageError(f"A and B are the same run, {a}: name two.")
    sides = _read_side(a), _read_side(b)
    show_together(record.case.model for side in sides for record in side)
    comparison = compare_runs(*sides)
    if format is None and not wide and terminal.is_terminal(sys.stdout):
        terminal.show(clean(recorded_runs_brief.render(comparison, terminal.width())))
        say("all figures: --wide; for other programs: --format csv or --format json")
    else:
        output_streams.data_follow()
        print(clean(recorded_runs.render(comparison, (format or Format.md).value)).rstrip("\n"))
    if not comparison.compared:
        raise _nothing(comparison, a, b)
    if limit is not None:
        _judge(comparison, limit)


def _limit(text: str) -> float:
    """Parse a share such as 0.05 from a percentage with its sign: a bare number would be ambiguous."""
    if not text.rstrip().endswith("%"):
        raise UsageError(f"{OPTION} {text!r} is not allowed: write a percentage with its sign, such as 5%.")
    return parse_percent(OPTION, text)


def _read_side(side: Path) -> list[Record]:
    """Read the records of one side.

    Raises:
        UsageError: for records of several machines.
        NothingMeasured: for no record.
    """
    records = list(with_ids(read_records([side])))
    runs = {record.machine.key: record.run for record in records}
    if len(runs) > 1:
        named = " or ".join(runs.values())
        raise UsageError(f"{side} holds runs of {len(runs)} machines: name runs of one of them, such as {named}.")
    return records


def _nothing(comparison: RunComparison, a: Path, b: Path) -> BenchError:
    """Return the error that says why no case is compared."""
    from bench.compare.recorded_runs import Comparability
    from bench.report.comparisons.recorded_runs import differences

    if comparison.recipes:
        return NotComparable(f"{a} and {b} were measured by different recipes: {differences(comparison.recipes)}.")
    if comparison.standing(Comparability.ITSELF):
        return UsageError(f"{a} and {b} hold the same measurements: name two runs.")
    unmeasured = [str(path) for path, side in ((a, comparison.a), (b, comparison.b)) if not side.measured]
    if unmeasured:
        return NothingMeasured(f"no case was measured in {' nor in '.join(unmeasured)}: the list says why.")
    return NotComparable(f"{a} and {b} have no measured case in common: the list says what each of them has.")


def _judge(comparison: RunComparison, limit: float) -> None:
    """Say which cases became slower by more than a share, and exit with 1 if any did."""
    from bench.analysis.intervals import DRIFTING, WITHIN
    from bench.report.comparisons.recorded_runs import longer

    if comparison.is_cross_machine:
        raise NotComparable(f"different machines are never tested: --{OPTION} needs two runs of one machine.")
    unknown = [match.case.id for match in comparison.compared if not match.decidable]
    if len(unknown) == len(comparison.compared):
        raise NotComparable(
            f"no case has an interval, so --{OPTION} has no answer: measure a longer window, or several processes "
            "(--processes 5)."
        )
    if unknown:
        say(f"without an interval, so --{OPTION} has no answer: {', '.join(unknown)}")
    slower = [match for match in comparison.compared if match.slower(limit)]
    for match in slower:
        say(f"slower by more than {limit * 100:g} %: {longer(match)}")
    if any(match.interval_kind in (WITHIN, DRIFTING) for match in slower):
        say("an interval within one process leaves out how far processes differ: --processes 5 or calibrate shows it")
    if slower:
        raise typer.Exit(ExitCode.REGRESSION)
