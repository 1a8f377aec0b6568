"""Division of a table into panels: the rows of each, the names of its series, and its title."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from bench.analysis.table import axes_of
from bench.analysis.units import IMAGE
from bench.cases.axes import NOT_ASKED, axes
from bench.report import labels


def split(table: pd.DataFrame, by: Sequence[str], keys: Sequence[str], most: int) -> list[pd.DataFrame]:
    """Split a table into parts with at most ``most`` different ``keys`` each.

    The table is divided by the axes ``by``, one after another, as long as needed. If that is not enough, it is divided
    by the order of its keys.
    """
    several = [axis for axis in by if table[axis].nunique() > 1]
    distinct = list(dict.fromkeys(zip(*(table[axis] for axis in keys), strict=True)))
    if len(distinct) <= most:
        return [table] if len(table) else []
    if not several:
        places = {key: place // most for place, key in enumerate(distinct)}
        numbers = pd.Series(
            [places[key] for key in zip(*(table[axis] for axis in keys), strict=True)], index=table.index
        )
        return [table[numbers == number] for number in range(max(places.values()) + 1)]
    axis, *others = several
    return [
        part
        for value in labels.order(axis, table[axis])
        for part in split(table[table[axis] == value], others, keys, most)
    ]


def narrowed(table: pd.DataFrame, names: Iterable[str]) -> pd.DataFrame:
    """Return the columns of a table that a plot reads, with its axes and units: cutting a narrow frame is quick."""
    wanted = {*axes_of(table), "unit", "size_unit", *names}
    return table[[name for name in table.columns if name in wanted]]


def divide(table: pd.DataFrame, names: Sequence[str]) -> list[pd.DataFrame]:
    """Return one part per combination of values on the axes."""
    return [table.iloc[places] for places in _places(table, names)]


def ordered(table: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Return the rows of a table, sorted by the parts that ``names`` cut it into."""
    return table.iloc[[place for places in _places(table, names) for place in places]]


def _places(table: pd.DataFrame, names: Sequence[str]) -> list[list[int]]:
    """Return the places of the rows of each part; the frame itself is cut only once, since that is slow."""
    columns = {axis: table[axis].tolist() for axis in names}

    def parted(places: list[int], rest: Sequence[str]) -> list[list[int]]:
        if not rest:
            return [places]
        groups: dict[object, list[int]] = {}
        for place in places:
            groups.setdefault(columns[rest[0]][place], []).append(place)
        return [part for value in labels.order(rest[0], groups) for part in parted(groups[value], rest[1:])]

    return parted(list(range(len(table))), names)


def varying(table: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """Return the axes on which the rows differ."""
    return [axis for axis in names if table[axis].nunique() > 1]


def title(table: pd.DataFrame, names: Sequence[str] | None = None) -> str:
    """Format the values that all rows share: ``Training · yolov8n · cpu``; on all axes unless some are named."""
    first = labels.rows(table.head(1))[0]
    wanted = axes_of(table) if names is None else names
    same = [axis for axis in wanted if table[axis].nunique() == 1 and first[axis] != NOT_ASKED]
    return labels.point(first, same)


def folded(text: str, width: int = 54) -> str:
    """Break a title of a plot between its values, into lines that its picture has room for."""
    lines: list[str] = []
    for value in text.split(" · "):
        if lines and len(lines[-1]) + len(value) + 3 <= width:
            lines[-1] += f" · {value}"
        else:
            lines.append(value)
    return "\n".join(lines)


def down(columns: Iterable[Any]) -> tuple[str, ...]:
    """Return the axes on the rows of a two-dimensional table: model, size and the further axes."""
    known = axes()
    return tuple(name for name in labels.case_axes(columns) if name not in known or not known[name].across)


def across(columns: Iterable[Any]) -> tuple[str, ...]:
    """Return the axes on the columns of a two-dimensional table: device, precision and batch."""
    return tuple(name for name in labels.case_axes(columns) if name not in down(columns))


def dividing(columns: Iterable[Any], x: str = "batch") -> tuple[str, ...]:
    """Return the axes, without ``x``, that divide a table too large for one panel, in order."""
    return tuple(name for name in (*down(columns), *across(columns)) if name not in (x, "batch"))


def in_units(text: str, table: pd.DataFrame) -> str:
    """Return a text about images in the unit of the rows of a table: ``sequences/s``; items where rows differ."""
    units = list(dict.fromkeys(table["unit"])) if "unit" in table else [IMAGE]
    return text.replace(IMAGE, str(units[0]) if len(units) == 1 else "item")


def slug(*parts: str) -> str:
    """Join the parts of a file name."""
    return "-".join(re.sub(r"[^a-z0-9.]+", "-", part.lower()).strip("-") for part in parts if part)
