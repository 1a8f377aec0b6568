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
        required: whether rows without the metric are left out; otherwise they show where memory ran out.
    """

    key: str
    name: str
    caption: Callable[[pd.DataFrame], str]
    required: bool = False

    def __call__(self, view: View) -> list[Plot]:
        """Return the panels of a view; empty if no row has the metric."""
        table = view.table[view.table[self.key].notna()] if self.required else view.table
        return metric.plots(table, METRICS[self.key], self.name, self.caption(table)) if len(table) else []


def _throughput(table: pd.DataFrame) -> str:
    text = f"Waiting for data is included. Error bars: {labels.intervals(labels.interval_kinds(table))}."
    return f"{text} {line_by_batch.WALL}" if line_by_batch.has_wall(table) else text


def _memory(table: pd.DataFrame) -> str:
    """Name the method of each device's figure: figures of different methods do not compare."""
    known = table[table["peak_memory_method"].notna()]
    how = "; ".join(
        f"{labels.device(rows['device'].iloc[0])}: {', '.join(rows['peak_memory_method'].unique())}"
        for rows in facets.divide(known, ("device",))
    )
    several = known["peak_memory_method"].nunique() > 1
    text = f"By {how}.{' Figures that were got in different ways do not compare.' * several}"
    return f"{text} {line_by_batch.WALL}" if line_by_batch.has_wall(table) else text


def _energy(table: pd.DataFrame) -> str:
    hows = ", ".join(sorted(set(table["energy_method"])))
    return f"Images for each joule, idle power included. Counted by: {hows}."


THROUGHPUT = MetricPlot("images_per_second", "throughput", _throughput)
MEMORY = MetricPlot("peak_memory_bytes", "memory", _memory)
ENERGY = MetricPlot("images_per_joule", "energy", _energy, required=True)
