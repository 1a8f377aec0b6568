"""The input of plots, and a drawn plot."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
import pandas as pd
from matplotlib.figure import Figure

from bench.analysis.table import cases_at
from bench.records.record import Record
from bench.report.plots import rendering
from bench.report.plots.rendering import Pictures


class View(msgspec.Struct, frozen=True):
    """The input of plots: rows of one machine and one pair of versions.

    Attributes:
        table: latest rows of :func:`bench.analysis.table.frame`.
        speedups: result of :func:`bench.analysis.speedup.speedups` for that table.
        baseline: values that the speed-ups compare with; empty if there is nothing to compare.
        records: all records of the page, which the index of the table counts; empty if only the table is known.
        models: all models of the page, in order: each has its hue.
    """

    table: pd.DataFrame
    speedups: pd.DataFrame
    baseline: dict[str, Any]
    records: Sequence[Record] = ()
    models: Sequence[str] = ()

    def processes(self, places: Iterable[int]) -> list[list[Record]]:
        """Return the records of the processes of some rows of the table.

        Args:
            places: of the rows, by the index of the table.
        """
        numbers = [int(place) for place in places]
        by_place = cases_at(self.records, numbers)
        return [by_place[number] for number in numbers if number in by_place]


class Plot(msgspec.Struct, frozen=True):
    """A drawn plot.

    Attributes:
        title: heading; plots with the same title are grouped.
        key: unique within a view, and fit for a file name.
        alt: one sentence for readers who do not see it.
        caption: how to read it.
        columns: headings of its data.
        rows: its data as text, for readers who do not see the picture.
        pictures: function that returns the plot as SVG and PNG.
        question: that it helps to answer, a key of :data:`bench.report.questions.QUESTIONS`.
    """

    title: str
    key: str
    alt: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    pictures: Callable[[], Pictures]
    question: str = "more"

    @property
    def svg(self) -> str:
        """The plot as an SVG document; its ink is ``currentColor``."""
        return self.pictures()[0]

    @property
    def png(self) -> bytes:
        """The plot as PNG, with dark ink on white, for places that cannot show SVG."""
        return self.pictures()[1]


Data = tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]
"""Headings and rows of a plot's data, as text."""


def make_plot(
    key: str, title: str, figure: Callable[[], Figure], alt: str, caption: str, data: Data, question: str = "more"
) -> Plot:
    """Have a figure drawn (:func:`bench.report.plots.rendering.start`), and combine it with its data."""
    columns, rows = data
    drawn = rendering.start(figure, alt)
    return Plot(title, key, alt, caption, columns, rows, drawn, question)
