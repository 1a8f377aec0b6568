"""The plots. A new one is a file with a function like those in :data:`PLOTS`, and an entry there."""

from __future__ import annotations

from collections.abc import Callable

from bench.report.plots import energy, memory, phases, scaling, speedup, throughput
from bench.report.plots.plot import Plot, View

__all__ = ["PLOTS", "Plot", "View", "draw"]

PLOTS: tuple[Callable[[View], list[Plot]], ...] = (
    throughput.plots,
    speedup.plots,
    scaling.plots,
    memory.plots,
    phases.plots,
    energy.plots,
)
"""In the order in which the page shows them; each returns no plot where there is nothing to draw."""


def draw(view: View) -> list[Plot]:
    """All plots of a view that have something to show."""
    return [plot for plots in PLOTS for plot in plots(view)]
