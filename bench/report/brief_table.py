"""The table for a terminal: the columns that answer most questions, within a given width."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import pandas as pd

from bench.analysis.flags import kinds
from bench.analysis.metrics import METRICS, RATE
from bench.formatting import format_bytes
from bench.report import labels
from bench.report.labels import NONE, there

GAP = 2
"""Spaces between two columns."""

GROUP = ["run", "machine", "torch", "ultralytics"]
"""Columns that are the same in all rows below one heading."""

CEILING = "ceiling"
"""Mode of the rows of ceilings."""

REASONS = 5
"""Largest number of reasons that are listed for cases without a figure; above it, the rest is counted."""


class Column(msgspec.Struct, frozen=True):
    """A column of text.

    Attributes:
        title: its heading.
        cells: one per row.
        left: whether its text is aligned to the left.
        droppable: the larger, the sooner it is left out where the width does not suffice; 0: never.
    """

    title: str
    cells: Sequence[str]
    left: bool = False
    droppable: int = 0

    @property
    def width(self) -> int:
        """Width of its longest text."""
        return max(len(text) for text in (self.title, *self.cells))

    def padded(self) -> list[str]:
        """Return heading and cells, all of one width."""
        return [f"{text:{'<' if self.left else '>'}{self.width}}" for text in (self.title, *self.cells)]


def align(columns: Sequence[Column], notes: Sequence[str], width: int) -> list[str]:
    """Return a heading and a line per row; columns that do not fit are left out, and notes stand below their row.

    Args:
        columns: at least one.
        notes: of each row; empty without one.
        width: in characters.
    """
    shown = [column for column in columns if any(cell not in ("", NONE) for cell in column.cells)]
    while _width(shown) > width and any(column.droppable for column in shown):
        shown.remove(max(shown, key=lambda column: column.droppable))
    last = Column("Notes", notes, left=True)
    inline = any(notes) and _width([*shown, last]) <= width
    parts = zip(*(column.padded() for column in [*shown, *([last] if inline else [])]), strict=True)
    head, *rows = [(" " * GAP + (" " * GAP).join(cells)).rstrip() for cells in parts]
    lines = [head]
    for row, note in zip(rows, notes, strict=True):
        lines += [row, *([f"{' ' * 2 * GAP}{note}"] if note and not inline else [])]
    return lines


def _width(columns: Sequence[Column]) -> int:
    return sum(GAP + column.width for column in columns)


def render(table: pd.DataFrame, width: int) -> str:
    """Render a table with a block per run, and in it a block per mode.

    Args:
        table: from :func:`bench.analysis.table.frame`, with ceilings.
        width: in characters.
    """
    blocks = []
    for _, group in table.groupby(GROUP, sort=False, dropna=False):
        blocks.append("\n".join(_describe_run(group)))
        for mode, rows in group.groupby("mode", sort=False):
            measured = in_order(rows[rows["status"] == "measured"])
            if len(measured):
                lines = _ceilings(measured, width) if mode == CEILING else _cases(measured, width)
                blocks.append("\n".join(lines))
        if reasons := _reasons(group):
            blocks.append("\n".join(reasons))
    if any(table["images_per_second"].notna()):
        images = labels.listing(labels.images(int(count)) for count in table["epoch_images"].dropna().unique())
        blocks.append(f"Intervals are 95 %. An epoch has {images}.")
    return "\n\n".join(blocks)


def _describe_run(group: pd.DataFrame) -> list[str]:
    first = group.iloc[0]
    measured = int((group["status"] == "measured").sum())
    counted = f"{measured} of {labels.count(len(group), 'case')} measured"
    return [
        labels.to_one_line(f"{first['run']}: {counted}{labels.versions(group)}"),
        labels.to_one_line(str(first["machine_title"])),
    ]


def varying_axes(rows: pd.DataFrame, without: Sequence[str] = ()) -> list[str]:
    """Return the axes whose values differ over some rows, in the order of a case's name."""
    axes = [axis for axis in labels.case_axes(rows.columns) if axis not in without]
    varying = [axis for axis in axes if rows[axis].nunique(dropna=False) > 1]
    return varying or axes[:1]


def shared_title(rows: pd.DataFrame, varying: Sequence[str], without: Sequence[str] = ()) -> str:
    """Format the mode and the axes that are the same in all rows: ``Training: cpu · amp off · 160 px``."""
    first = labels.rows(rows)[0]
    shared = labels.point(first, without=[*varying, *without])
    title = "Largest batch that trains" if first["mode"] == CEILING else labels.mode(first["mode"])
    return f"{title}: {shared}" if shared else title


def axis_columns(rows: pd.DataFrame, axes: Iterable[str]) -> list[Column]:
    """Return a column per axis."""
    return [
        Column(
            labels.axis_title(axis), [_axis_cell(axis, value) for value in rows[axis]], left=axis in ("model", "device")
        )
        for axis in axes
    ]


def _axis_cell(axis: str, value: Any) -> str:
    """Format a value on an axis without the axis' name, which is in the heading."""
    text = labels.axis_value(axis, value)
    return text.removeprefix(f"{axis} ")


def _cells(rows: pd.DataFrame, name: str) -> list[str]:
    show = METRICS[name].unit.show
    return [show(float(value)) if there(value) else NONE for value in rows[name]]


def _memory(rows: pd.DataFrame) -> list[str]:
    """Format peak memory in one unit: GiB, or MiB where all of it is below half a GiB."""
    sizes = rows["peak_memory_bytes"]
    largest = max((float(size) for size in sizes if there(size)), default=0.0)
    unit, power, decimals = ("GiB", 30, 2) if largest >= 2**29 else ("MiB", 20, 0)
    return [f"{float(size) / 2**power:,.{decimals}f} {unit}" if there(size) else NONE for size in sizes]


def in_order(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows in the order of their values on each axis, batch last."""
    axes = sorted(labels.case_axes(rows.columns), key=lambda axis: axis == "batch")
    places = {axis: {value: place for place, value in enumerate(labels.order(axis, rows[axis]))} for axis in axes}
    keys = sorted(range(len(rows)), key=lambda row: [places[axis][rows[axis].iloc[row]] for axis in axes])
    return rows.iloc[keys]


def _cases(rows: pd.DataFrame, width: int) -> list[str]:
    """Return the lines of the measured cases of a mode."""
    varying = varying_axes(rows)
    rates = rows[["images_per_second", "images_per_second_low", "images_per_second_high"]].itertuples(index=False)
    decimals = labels.spread_decimals(rows["images_per_second_low"], rows["images_per_second_high"])
    epochs = _cells(rows, "seconds_per_epoch") if (rows["mode"] == "train").all() else [NONE] * len(rows)
    unit = rows["unit"].iloc[0] if rows["unit"].nunique() == 1 else "image"
    columns = [
        *axis_columns(rows, varying),
        Column(f"{unit}s/s", _cells(rows, "images_per_second")),
        Column("Interval", [labels.spread(RATE, *rate, decimals) for rate in rates], droppable=1),
        Column("Epoch", epochs, droppable=2),
        Column("Memory", _memory(rows), droppable=3),
    ]
    notes = [", ".join(kinds(flags)) if there(flags) else "" for flags in rows["flags"]]
    return [shared_title(rows, varying), *align(columns, notes, width)]


def _ceilings(rows: pd.DataFrame, width: int) -> list[str]:
    """Return the lines of the ceilings."""
    varying = varying_axes(rows, without=["batch"])
    columns = [
        *axis_columns(rows, varying),
        Column("Batch", [str(batch) for batch in rows["batch"]]),
        Column("Memory", _memory(rows), droppable=1),
    ]
    notes = [_format_limit(flags) if there(flags) else "" for flags in rows["flags"]]
    return [shared_title(rows, varying, without=["batch"]), *align(columns, notes, width)]


def _format_limit(flags: str) -> str:
    """Format the limit and the end of a search, with its bytes in GiB and without the method of the limit."""
    text = re.sub(r"(\d+) bytes", lambda match: format_bytes(int(match[1])), flags)
    return labels.to_one_line(re.sub(r" \([^)]*\)", "", text).replace("; ", ", "))


def _reasons(group: pd.DataFrame) -> list[str]:
    """Return a line per reason for which cases have no figure: ``Not measured: 18 cases, substituted: ...``."""
    rest = group[group["status"] != "measured"]
    ended = zip(rest["status"], rest["reason"], strict=True)
    reasons = Counter((labels.status(status), reason if there(reason) else "") for status, reason in ended)
    lines = [
        labels.to_one_line(f"Not measured: {labels.count(number, 'case')}, {status}: {reason}".rstrip(": "), 300)
        for (status, reason), number in reasons.most_common(REASONS)
    ]
    more = len(rest) - sum(number for _, number in reasons.most_common(REASONS))
    return [*lines, *([f"Not measured: {more} more."] if more else [])]
