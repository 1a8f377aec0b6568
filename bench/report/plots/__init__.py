"""The plots of the page. A new one is a file with a function from a view to plots, and :func:`register`."""

from __future__ import annotations

from collections.abc import Callable

from bench.report.plots import phases, scaling, speedup, step_times
from bench.report.plots.metric_plots import ENERGY, MEMORY, THROUGHPUT
from bench.report.plots.plot import Plot, View, make_plot

__all__ = ["PLOTS", "Plot", "PlotKind", "View", "draw", "make_plot", "register", "unregister"]

PlotKind = Callable[[View], list[Plot]]
"""Function that draws all plots of one kind; an empty list if there is nothing to draw."""

PLOTS: list[PlotKind] = [
    THROUGHPUT,
    speedup.plots,
    scaling.plots,
    MEMORY,
    phases.plots,
    ENERGY,
    step_times.plots,
]
"""Kinds of plots in the order of the page."""


def register(kind: PlotKind) -> None:
    """Add a kind of plot to the end of the page's plots."""
    PLOTS.append(kind)


def unregister(kind: PlotKind) -> None:
    """Remove a kind of plot."""
    PLOTS.remove(kind)


def draw(view: View) -> list[Plot]:
    """Draw all plots of a view that have something to show."""
    return [plot for kind in PLOTS for plot in kind(view)]
