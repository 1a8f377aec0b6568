"""A plot: a histogram of all raw steps of the records."""

from __future__ import annotations

import functools
from typing import Any

KEY, TITLE = "toy-steps", "Toy: all steps"


def figure(seconds: list[float]) -> Any:
    """Draw the histogram; may run in another process."""
    from bench.report.plots import style

    drawn, axes = style.canvas(200)
    axes.hist(seconds)
    return drawn


def plots(view: Any) -> list[Any]:
    """One plot of the steps of all rows; none where nothing was measured."""
    from bench.report.plots import make_plot

    records = [record for case in view.processes(view.table.index) for record in case if record.steps]
    seconds = [second for record in records for second in record.steps.window]
    if not seconds:
        return []
    data = (("Steps",), ((str(len(seconds)),),))
    return [make_plot(KEY, TITLE, functools.partial(figure, seconds), f"{TITLE}: {len(seconds)}.", "A toy.", data)]


def register() -> None:
    """Add the plot to the end of the page's plots."""
    from bench.report.plots import register

    register(plots)
