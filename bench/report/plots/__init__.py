"""The plots of the page. A new one is a file with a function from a view to plots, and :func:`register`."""

from __future__ import annotations

from collections.abc import Callable

from bench.report.plots import phases, scaling, speedup, step_times
from bench.report.plots.metric_plots import ENERGY, MEMORY, THROUGHPUT
from bench.report.plots.plot import Plot, View, make_plot

__all__ = ["PLOTS", "Plot", "PlotKind", "View", "draw", "make_plot", "register", "unregister"]

PlotKind = Callable[[View], list[Plot]]
"""Draws all plots of one kind; none where there is nothing to draw."""

PLOTS: list[PlotKind] = [
    THROUGHPUT,
    speedup.plots,
    scaling.plots,
    MEMORY,
    phases.plots,
    ENERGY,
    step_times.plots,
]
"""In the order in which the page shows them."""


def register(kind: PlotKind) -> None:
    """Add a kind of plot to the end of the page's plots."""
    PLOTS.append(kind)


def unregister(kind: PlotKind) -> None:
    """Remove a kind of plot."""
    PLOTS.remove(kind)


def draw(view: View) -> list[Plot]:
    """All plots of a view that have something to show."""
    return [plot for kind in PLOTS for plot in kind(view)]
