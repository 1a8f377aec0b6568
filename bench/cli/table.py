"""``yolopace table``: records as one table."""

from __future__ import annotations

import sys
from typing import Annotated, Optional

import typer

from bench.cases.model_labels import show_together
from bench.cli import terminal
from bench.cli.io import EpochImages, Format, Only, Results, chosen_by, epoch, say
from bench.cli.recorded import read_results
from bench.pytest_plugin import output_streams
from bench.records.indexed import facts_of
from bench.text import clean


def table(
    results: Results = None,
    format: Annotated[
        Optional[Format],  # noqa: UP045 - typer reads it
        typer.Option(help="All columns in this format; default: md, and on a terminal a brief table."),
    ] = None,
    wide: Annotated[bool, typer.Option("--wide", help="All columns on a terminal too.")] = False,
    epoch_images: EpochImages = 0,
    only: Only = None,
) -> None:
    """Print one row per case of a run and one per ceiling."""
    from bench.analysis.availability import without_answers
    from bench.analysis.ceilings import with_ceilings
    from bench.analysis.table import frame
    from bench.report import brief_table, tables

    images, wanted = epoch(epoch_images), chosen_by(only)
    recorded = read_results(results, wanted, images, comparisons=False)
    records, ceilings = recorded.records, recorded.ceilings
    show_together([record.case.model for record in facts_of(records)] + [ceiling.case.model for ceiling in ceilings])
    table = frame(records, images)
    rows = with_ceilings(table, ceilings)
    if format is None and not wide and terminal.is_terminal(sys.stdout):
        rows = with_ceilings(without_answers(table, records), ceilings)
        terminal.show(clean(brief_table.render(rows, terminal.width())))
        say("all columns: --wide; for other programs: --format csv or --format json")
        return
    output_streams.data_follow()
    print(tables.render(rows, (format or Format.md).value).rstrip("\n"))
