"""Plots of one metric each: a new one needs only a :class:`MetricPlot`."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pandas as pd

from bench.analysis.metrics import METRICS
from bench.report import labels
from bench.report.plots import facets, line_by_batch, metric
from bench.report.plots.plot import Plot, View


class MetricPlot(msgspec.Struct, frozen=True):
    """A metric against batch if there are several, else by case: one or more panels per mode and model.

    Attributes:
        key: of the metric.
        name: first part of the names of its files.
        caption: how to read it, from the rows that it shows.
        question: that they help to answer.
        single: whether a panel may be a single bar; otherwise the tables have it.
        required: whether rows without the metric are left out; otherwise they show where memory ran out.
    """

    key: str
    name: str
    caption: Callable[[pd.DataFrame], str]
    question: str = "more"
    single: bool = True
    required: bool = False

    def __call__(self, view: View) -> list[Plot]:
        """Return the panels of a view; empty if no row has the metric."""
        table = view.table[view.table[self.key].notna()] if self.required else view.table
        if not len(table):
            return []
        caption = self.caption(table)
        drawn = metric.plots(table, METRICS[self.key], self.name, caption, self.question, view.models)
        return [plot for plot in drawn if self.single or len(plot.rows) > 1]


def _throughput(table: pd.DataFrame) -> str:
    text = "Waiting for data is included; error bars are 95 % intervals."
    return f"{text} {line_by_batch.WALL}" if line_by_batch.has_wall(table) else text


def _memory(table: pd.DataFrame) -> str:
    """Name the method of each device's figure: figures of different methods do not compare."""
    known = table[table["peak_memory_method"].notna()]
    how = "; ".join(
        f"{labels.device(rows['device'].iloc[0])}: {', '.join(rows['peak_memory_method'].unique())}"
        for rows in facets.divide(known, ("device",))
    )
    several = known["peak_memory_method"].nunique() > 1
    text = f"Counted on {how}{'; values counted in different ways do not compare' * several}."
    return f"{text} {line_by_batch.WALL}" if line_by_batch.has_wall(table) else text


def _energy(table: pd.DataFrame) -> str:
    hows = ", ".join(sorted(set(table["energy_method"])))
    return f"Images per joule, idle power included; counted by {hows}."


THROUGHPUT = MetricPlot("images_per_second", "throughput", _throughput, "speed", single=False)
MEMORY = MetricPlot("peak_memory_bytes", "memory", _memory, "batch")
ENERGY = MetricPlot("images_per_joule", "energy", _energy, "speed", required=True)
