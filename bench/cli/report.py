"""``python -m bench report``: records as a page with tables and plots."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated, Optional

import typer

from bench.cases.model_labels import show_together
from bench.cli.io import (
    EpochImages,
    Epochs,
    Only,
    Results,
    chosen_by,
    epoch,
    say,
    whole_epochs,
)
from bench.cli.recorded import RESULTS, read_results
from bench.errors import NothingMeasured
from bench.records.indexed import facts_of
from bench.text import clean


def report(
    results: Results = None,
    output: Annotated[Path, typer.Option(help="Folder for index.html, report.md, cases.csv and plots.")] = Path(
        "reports"
    ),
    epoch_images: EpochImages = 0,
    epochs: Epochs = 0,
    baseline: Annotated[str, typer.Option(help="What speed-ups refer to, such as device=cpu,amp=off.")] = "",
    only: Only = None,
    accuracy: Annotated[
        Optional[Path],  # noqa: UP045 - typer reads it
        typer.Option(metavar="FILE", help="A CSV file of model,amp,map of trainings that you did, for a claim on AMP."),
    ] = None,
    format: Annotated[str, typer.Option(help="Some of html,md,csv,svg,png,gha; default: all but gha.")] = "",
) -> None:
    """Make the report of the given runs: cases, ceilings and live comparisons."""
    from bench.analysis.speedup import named, parse_baseline
    from bench.claims.accuracy import read_accuracy
    from bench.report.links import run_folders
    from bench.report.page import Inputs, gather, parse_formats, save
    from bench.report.plots import rendering

    images, wanted, formats = epoch(epoch_images), chosen_by(only), parse_formats(format)
    chosen = parse_baseline(baseline) if baseline else None
    figures = read_accuracy(accuracy) if accuracy else []
    recorded = read_results(results, wanted, images)
    records, ceilings, comparisons = recorded.records, recorded.ceilings, recorded.comparisons
    show_together([record.case.model for record in facts_of(records)] + [ceiling.case.model for ceiling in ceilings])
    inputs = Inputs(
        records=records,
        ceilings=ceilings,
        comparisons=comparisons,
        tunings=recorded.tunings,
        epoch_images=images,
        epochs=whole_epochs(epochs),
        baseline=named(chosen, records) if chosen else None,
        accuracy=figures,
        complaints=recorded.complaints,
        run_links=run_folders((item.run for item in recorded.all), results or [RESULTS], output),
    )
    pictures = any(name in formats for name in ("html", "md", "svg", "png"))
    with rendering.in_parallel() if pictures else contextlib.nullcontext():
        page = gather(inputs)
        print(clean(str(save(page, output, formats))))
    if chosen and not page.compared:
        say(f"no measured case has a counterpart with {baseline}, so the report has no speed-ups.")
    if not ceilings and not comparisons and not any(r.outcome.status.value == "measured" for r in facts_of(records)):
        raise NothingMeasured("no case was measured: the report lists why.")
