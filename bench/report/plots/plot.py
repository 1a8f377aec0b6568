"""What a plot is made from, and what it is once it is drawn."""

from __future__ import annotations

from typing import Any

import msgspec
import pandas as pd


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
