"""``python -m bench table``: records as one table."""

from __future__ import annotations

from typing import Annotated

import typer

from bench.cases.model_labels import show_together
from bench.cli.io import EpochImages, Format, Only, Results, chosen_by, epoch
from bench.cli.recorded import read_results
from bench.pytest_plugin import output_streams


def table(
    results: Results = None,
    format: Annotated[Format, typer.Option(help="How it is written.")] = Format.md,
    epoch_images: EpochImages = 0,
    only: Only = None,
) -> None:
    """Print a row for each case of a run and each ceiling."""
    from bench.analysis.ceilings import with_ceilings
    from bench.analysis.table import frame
    from bench.report.tables import render

    images, wanted = epoch(epoch_images), chosen_by(only)
    recorded = read_results(results, wanted, comparisons=False)
    records, ceilings = recorded.records, recorded.ceilings
    show_together([record.case.model for record in records] + [ceiling.case.model for ceiling in ceilings])
    output_streams.data_follow()
    print(render(with_ceilings(frame(records, images), ceilings), format.value).rstrip("\n"))
