"""What a plot is made from, and what it is once it is drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pandas as pd
from matplotlib.figure import Figure

from bench.report.plots import style


class View(msgspec.Struct, frozen=True):
    """What plots may draw on: one machine and one pair of versions.

    Attributes:
        table: latest rows of :func:`bench.analysis.table.frame`.
        speedups: of :func:`bench.analysis.speedup.speedups` over that table.
        baseline: what the speed-ups compare with; empty where there is nothing to compare.
    """

    table: pd.DataFrame
    speedups: pd.DataFrame
    baseline: dict[str, Any]


class Plot(msgspec.Struct, frozen=True):
    """A drawn plot.

    Attributes:
        title: what it shows; plots of one title stand together.
        key: unique within a view, and fit for a file name.
        alt: one sentence for who does not see it.
        caption: what to know when reading it.
        columns: headings of its data.
        rows: its data as text, so that nobody needs the picture.
        svg: a whole SVG document; its ink is ``currentColor``.
        png: for where SVG cannot be shown; dark ink on white.
    """

    title: str
    key: str
    alt: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    svg: str
    png: bytes


Data = tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]
"""Headings of a plot's data, and its rows, as text."""


def finished(key: str, title: str, figure: Callable[[], Figure], alt: str, caption: str, data: Data) -> Plot:
    """Draw a figure and put it together with its data."""
    with style.styled():
        drawn = figure()
        style.settle(drawn)
        svg, png = style.to_svg(drawn, alt), style.to_png(drawn)
    columns, rows = data
    return Plot(title=title, key=key, alt=alt, caption=caption, columns=columns, rows=rows, svg=svg, png=png)


def first_of(parts: Sequence[pd.DataFrame], part: pd.DataFrame) -> int:
    """The place of a panel among those of its plot."""
    return next(place for place, other in enumerate(parts) if other is part)
