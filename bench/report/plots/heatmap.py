"""Ratios as a heat map: rows model and size, columns device, precision and batch, a number in each cell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import matplotlib
import msgspec
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from bench.analysis.flags import INTERFERED
from bench.analysis.metrics import RATIO
from bench.report import labels
from bench.report.plots import facets, palette, scale, style

WIDE, TALL = 7, 14
"""Maximum number of columns and rows per panel; a panel with more is split."""

ROW, AROUND = 34, 86
FAINT, STRONG = 0.10, 0.55
"""Opacity of a cell for no change, and for the largest one. Text stays readable on both backgrounds."""


class Cell(msgspec.Struct, frozen=True):
    """One cell: a ratio with the ends of its interval (nan without one), or a word on why it is missing."""

    ratio: float = math.nan
    low: float = math.nan
    high: float = math.nan
    word: str = ""
    interfered: bool = False

    @property
    def unclear(self) -> bool:
        """Whether the interval includes 1 or is missing."""
        return not (self.low > 1 or self.high < 1)

    @property
    def text(self) -> str:
        """Text of the cell."""
        return self.word or RATIO.show(self.ratio) + (f" {labels.SIGNS[INTERFERED]}" if self.interfered else "")


class Map(msgspec.Struct, frozen=True):
    """A panel: its title, the names of its rows and columns, and the cells by row and column."""

    title: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: dict[tuple[int, int], Cell]


def parts(speedups: pd.DataFrame) -> list[pd.DataFrame]:
    """Divide ratios into panels of one mode each."""
    panels = []
    for mode in facets.divide(speedups, ("mode",)) if len(speedups) else []:
        rows, columns = facets.down(mode), facets.across(mode)
        for tall in facets.split(mode, rows, rows, TALL):
            panels += facets.split(tall, [axis for axis in columns if axis != "batch"], columns, WIDE)
    return panels


def is_map(part: pd.DataFrame) -> bool:
    """Whether a panel has two dimensions; with one, bars are clearer."""
    return all(part[list(axes)].drop_duplicates().shape[0] > 1 for axes in (facets.down(part), facets.across(part)))


def grid(part: pd.DataFrame, table: pd.DataFrame) -> Map:
    """Return the cells of a panel.

    Args:
        part: rows of :func:`bench.analysis.speedup.speedups`.
        table: all latest rows, for the outcomes of cases without a ratio.
    """
    down, across = facets.down(part), facets.across(part)
    names = facets.varying(part, (*down, *across))
    every = labels.rows(part)
    rows = [tuple(row[axis] for axis in down) for row in labels.rows(_ordered(part, down))]
    columns = [tuple(row[axis] for axis in across) for row in labels.rows(_ordered(part, across))]
    places = {}
    for row in every:
        key = rows.index(tuple(row[a] for a in down)), columns.index(tuple(row[a] for a in across))
        ends = float(row["speedup_low"]), float(row["speedup_high"])
        places[key] = Cell(float(row["speedup"]), *ends, interfered=bool(row["interfered"]))
    others = table[(table["mode"] == every[0]["mode"]) & (table["status"] != "measured")]
    for row in labels.rows(others):
        row_key, column_key = tuple(row[a] for a in down), tuple(row[a] for a in across)
        if row_key in rows and column_key in columns:
            places.setdefault((rows.index(row_key), columns.index(column_key)), Cell(word=labels.status(row["status"])))
    return Map(
        title=facets.title(part),
        rows=tuple(_named(down, row, names, " · ") for row in rows),
        columns=tuple(_named(across, column, names, "\n") for column in columns),
        cells=places,
    )


def _ordered(part: pd.DataFrame, axes: Sequence[str]) -> pd.DataFrame:
    return facets.ordered(part, axes)[list(axes)].drop_duplicates()


def _named(axes: Sequence[str], values: Sequence[Any], names: Sequence[str], between: str) -> str:
    return between.join(labels.axis_value(a, v) for a, v in zip(axes, values, strict=True) if a in names)


def figure(panel: Map) -> Figure:
    """Draw the panel; call it within :func:`style.styled`."""
    lines = max(name.count("\n") + 1 for name in panel.columns)
    with matplotlib.rc_context({"axes.titley": None}):  # above the ticks
        drawn, axes = style.canvas(AROUND + 14 * lines + ROW * len(panel.rows))
        axes.set_title(panel.title)
    axes.set_xlim(0, len(panel.columns))
    axes.set_ylim(len(panel.rows), 0)
    axes.xaxis.tick_top()
    scale.set_ticks(axes.xaxis, [place + 0.5 for place in range(len(panel.columns))], panel.columns)
    scale.set_ticks(axes.yaxis, [place + 0.5 for place in range(len(panel.rows))], panel.rows)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    most = max((abs(math.log2(cell.ratio)) for cell in panel.cells.values() if not cell.word), default=0.0)
    for (row, column), cell in panel.cells.items():
        _draw(axes, row, column, cell, max(most, 1.0))
    return drawn


def _draw(axes: Axes, row: int, column: int, cell: Cell, most: float) -> None:
    """Draw a cell; ``add_patch`` would also search for limits, which are set."""
    place = (column + 0.03, row + 0.05)
    if cell.word:
        box = Rectangle(place, 0.94, 0.9, facecolor="none", edgecolor=palette.INK, linewidth=0.6, linestyle=(0, (2, 2)))
        axes.add_artist(box)
        axes.text(column + 0.5, row + 0.5, cell.text, ha="center", va="center", fontsize=style.SMALL, alpha=0.75)
        return
    reach = abs(math.log2(cell.ratio)) / most
    colour = palette.FASTER if cell.ratio >= 1 else palette.SLOWER
    axes.add_artist(Rectangle(place, 0.94, 0.9, facecolor=colour, alpha=FAINT + (STRONG - FAINT) * reach, linewidth=0))
    if cell.unclear:
        axes.add_artist(
            Rectangle(place, 0.94, 0.9, facecolor="none", edgecolor=palette.INK, hatch="///", linewidth=0, alpha=0.3)
        )
    axes.text(column + 0.5, row + 0.5, cell.text, ha="center", va="center", fontsize=11, fontweight="bold")


def alt(panel: Map, over: str) -> str:
    """Return one sentence: the content of the panel, and its smallest and largest value."""
    known = {place: cell for place, cell in panel.cells.items() if not cell.word}
    ends = sorted(known, key=lambda place: known[place].ratio)

    def text_of(place: tuple[int, int]) -> str:
        name = f"{panel.rows[place[0]]} · {panel.columns[place[1]]}".replace("\n", " · ")
        return f"{RATIO.show(known[place].ratio)} ({name})"

    return (
        f"Speed-up over {over}, {panel.title}: a map of {len(panel.rows)} by {len(panel.columns)} cells from "
        f"{text_of(ends[0])} to {text_of(ends[-1])}."
    )
