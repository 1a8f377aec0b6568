"""Rows of a table as columns of distinct values, which are small and quick to write, read and join."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

MISSING = -1
"""Code of a cell that a row does not have."""


class Column(msgspec.Struct, array_like=True, frozen=True):
    """One column.

    Attributes:
        values: its distinct values; None in a column of numbers.
        cells: the place of each row's value among them, as 32-bit integers; or its numbers, as 64-bit floats.
    """

    values: list[Any] | None
    cells: bytes

    def __getitem__(self, rows: Sequence[int]) -> NDArray[Any]:
        """Return the cells of some rows: numbers, or objects, with NaN where a row does not have the cell."""
        if self.values is None:
            return np.frombuffer(self.cells, np.float64)[rows]
        values = np.empty(len(self.values) + 1, dtype=object)
        values[:-1], values[MISSING] = self.values, np.nan
        chosen: NDArray[Any] = values[np.frombuffer(self.cells, np.int32)[rows]]
        return chosen


Columns = dict[str, Column]
"""Columns by their names; all of the same length."""


def columns_of(rows: Sequence[Mapping[str, Any]], names: Sequence[str], numbers: Collection[str]) -> Columns:
    """Return the cells of some rows as columns of these names, of which some are ``numbers``."""
    return {name: _numbers(name, rows) if name in numbers else _values(name, rows) for name in names}


def _numbers(name: str, rows: Sequence[Mapping[str, Any]]) -> Column:
    cells = [np.nan if (value := row.get(name)) is None else value for row in rows]
    return Column(None, np.asarray(cells, dtype=np.float64).tobytes())


def _values(name: str, rows: Sequence[Mapping[str, Any]]) -> Column:
    places: dict[tuple[type, Any], int] = {}  # by type too: 1, 1.0 and True are equal
    codes = [places.setdefault((type(row[name]), row[name]), len(places)) if name in row else MISSING for row in rows]
    return Column([value for _, value in places], np.asarray(codes, dtype=np.int32).tobytes())


def joined(name: str, parts: Sequence[tuple[Columns, Sequence[int]]]) -> Any:
    """Return one column of several tables, of each the rows with some numbers: an array of numbers, or a list."""
    cells = [
        columns[name][rows] if name in columns else np.full(len(rows), np.nan, dtype=object) for columns, rows in parts
    ]
    whole = np.concatenate(cells)
    return whole.tolist() if whole.dtype == object else whole
