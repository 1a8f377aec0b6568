"""A frame as text: csv, md or json."""

from __future__ import annotations

import functools
import itertools
import json
import operator
import re
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
from tabulate import tabulate

from bench.analysis.metrics import METRICS
from bench.analysis.table import AXES, axes_of
from bench.cases.axes import NOT_ASKED
from bench.errors import UsageError
from bench.report import labels
from bench.report.labels import NONE, there
from bench.text import clean, cleaned


def render(frame: pd.DataFrame, format: str) -> str:
    """Render a frame from :func:`bench.analysis.table.frame`, or some of its columns, as text with a final newline.

    ``csv`` and ``json`` hold raw numbers with full precision; a missing value is empty, or null. ``md`` shows numbers
    with the units of :data:`bench.analysis.metrics.METRICS`; a missing value is an em dash.

    Args:
        frame: one row per case of a run.
        format: ``csv``, ``md`` or ``json``.

    Raises:
        UsageError: for an unknown format.
    """
    if format not in FORMATS:
        raise UsageError(f"format {format!r} is unknown: use {', '.join(FORMATS)}.")
    further = [axis for axis in axes_of(frame) if axis not in AXES]
    return clean(FORMATS[format](frame.assign(**{axis: _asked(frame[axis]) for axis in further})))


def _asked(column: pd.Series) -> pd.Series:
    """Return the values of a further axis, None if a case does not have it."""
    return column.astype("object").where(column != NOT_ASKED, None)


def to_csv(frame: pd.DataFrame) -> str:
    """Render comma-separated values with a header; a missing value is an empty field.

    Text that a spreadsheet would take for a formula begins with an apostrophe: records come from anywhere.
    """
    texts = [name for name in frame.columns if not pd.api.types.is_numeric_dtype(frame[name])]
    spoilt = [name for name in texts if any(harmless(value) is not value for value in pd.unique(frame[name]))]
    safe = frame.assign(**{name: frame[name].map(harmless) for name in spoilt})
    return safe.to_csv(index=False, lineterminator="\n")


FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Prefixes of text that spreadsheets take for a formula."""


def harmless(value: Any) -> Any:
    """Return a cell without control characters, and with an apostrophe before text that looks like a formula."""
    if not isinstance(value, str):
        return value
    text = clean(value)
    return f"'{text}" if text.startswith(FORMULA) else text


def to_json(frame: pd.DataFrame) -> str:
    """Render a list with one object per row; a missing value is null."""
    blocks = [_json_rows(frame.iloc[start : start + BLOCK]) for start in range(0, len(frame), BLOCK)]
    return "[\n" + ",\n".join(blocks) + "\n]\n" if blocks else "[]\n"


BLOCK = 5_000
"""Rows that are turned into JSON at once: a cell takes many times the memory of its text."""

BETWEEN = "\0"
"""Separator that no JSON text has within it."""


def _json_rows(frame: pd.DataFrame) -> str:
    """Render rows as :func:`json.dumps` does with an indent of 1, column by column, in a tenth of its time."""
    encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(BETWEEN, ": ")).encode
    columns = [
        encode(cleaned(labels.values(frame[name].astype(object).where(frame[name].notna(), None))))[1:-1].split(BETWEEN)
        for name in frame.columns
    ]
    keys = [f"  {json.dumps(clean(str(name)), ensure_ascii=False)}: " for name in frame.columns]
    rows = (",\n".join(map(operator.add, keys, cells)) for cells in zip(*columns, strict=True))
    return ",\n".join(f" {{\n{row}\n }}" for row in rows)


def to_md(frame: pd.DataFrame) -> str:
    """Render a Markdown table, one line per row."""
    names = list(frame.columns)
    right = [pd.api.types.is_numeric_dtype(frame[name]) for name in names]
    columns = [[_cell(format_cell(name, value)) for value in labels.values(frame[name])] for name in names]
    return _pipe(names, columns, right) if len(frame) else markdown(names, [], right)


FORMATS: dict[str, Callable[[pd.DataFrame], str]] = {"csv": to_csv, "md": to_md, "json": to_json}


def format_cell(column: str, value: Any) -> str:
    """Format a cell for readers, in the unit of its column's metric, which the ends of an interval share."""
    if not there(value):
        return NONE
    metric = METRICS.get(column.removesuffix("_low").removesuffix("_high"))
    return metric.unit.show(float(value)) if metric else str(value)


SIGNS = re.compile(r"[\\`*\[\]~$|]|(?<![^\W_])_|_(?![^\W_])|^#")
"""Characters that Markdown interprets: code, emphasis, links and images, formulas, columns, headings."""

CALL = re.compile(r"@(?=\w)")
"""Text that GitHub takes for a mention of a user."""


@functools.lru_cache(2**14)
def escaped(text: str) -> str:
    """Escape text for one cell of Markdown: one line, without columns, Markdown, HTML or mentions of users."""
    line = SIGNS.sub(r"\\\g<0>", labels.to_one_line(" ".join(text.split())))
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return CALL.sub("@\N{ZERO WIDTH SPACE}", line)


class Own(str):
    """Trusted Markdown for a cell, which is not escaped."""


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool] = ()) -> str:
    """Render plain text as a Markdown table.

    Args:
        columns: headings.
        rows: cells, which are escaped unless they are an :class:`Own`; line breaks are kept.
        right: whether each column is aligned to the right; all are aligned to the left by default.
    """
    lines = [list(map(_cell, row)) for row in rows]
    sides = ["right" if is_right else "left" for is_right in right] or ["left"] * len(columns)
    return tabulate(lines, [escaped(c) for c in columns], "pipe", colalign=sides, disable_numparse=True) + "\n"


def _cell(text: str) -> str:
    """Return a cell of a Markdown table on one line."""
    return "<br>".join(line if isinstance(text, Own) else escaped(line) for line in text.split("\n")) or NONE


PADDING = 2
"""Columns are wider than their heading by so much, as tabulate has them."""


def _pipe(names: Sequence[str], columns: Sequence[Sequence[str]], right: Sequence[bool]) -> str:
    """Render columns of cells as tabulate does, which takes many times the memory for a large table."""
    heads = list(map(escaped, names))
    cells = [list(map(str.strip, column)) for column in columns]
    widths = [max(len(head) + PADDING, *map(len, column)) for head, column in zip(heads, cells, strict=True)]
    line = "".join(f"| {{:{'>' if end else '<'}{width}}} " for end, width in zip(right, widths, strict=True)) + "|"
    rules = "|".join(
        "-" * (width + 1) + ":" if end else ":" + "-" * (width + 1) for end, width in zip(right, widths, strict=True)
    )
    rows = itertools.starmap(line.format, zip(*cells, strict=True))
    return "\n".join(itertools.chain([line.format(*heads), f"|{rules}|"], rows)) + "\n"
