"""Cases of several machines side by side. They are shown, never tested; each recipe has its own table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import pandas as pd

from bench.analysis.metrics import METRICS, RATE
from bench.compare.recorded_runs import MADE
from bench.machine.description import SHORT_ID
from bench.report import labels
from bench.report.plots import Plot, facets, machines
from bench.report.tables import escaped, markdown

NAME = 44
"""Maximum length of the name of a chip in a short name, in characters."""

ALIKE = ("protocol", "overrides_hash", "files")
"""Columns that must be equal for figures to be shown side by side."""


class Line(msgspec.Struct, frozen=True):
    """One case; each cell is a time, the rate with its interval and its flags, and whether it is the best."""

    case: str
    cells: tuple[tuple[str, str, bool], ...]


class Shared(msgspec.Struct, frozen=True):
    """A table of cases that several machines measured with the same recipe.

    Attributes:
        mode: of all cases; several modes if they fix the same settings.
        how: how the cases were measured.
        columns: shortest names that distinguish machine, device and versions.
        lines: one per case.
        legend: sign, name and meaning of the flags of the figures.
        plots: throughput of the cases.
    """

    mode: str
    how: str
    columns: tuple[str, ...]
    lines: list[Line]
    legend: list[tuple[str, str, str]]
    plots: list[Plot]

    def markdown(self) -> str:
        """Render as a Markdown table."""
        rows = [
            [line.case, *(f"{time} {labels.BEST * best}\n{rate}" if time else "" for time, rate, best in line.cells)]
            for line in self.lines
        ]
        table = markdown(["Case", *self.columns], rows, [False, *[True] * len(self.columns)])
        return table + "".join(
            f"\n- {escaped(sign)} {name.capitalize()}: {meaning}\n" for sign, name, meaning in self.legend
        )


def shared(table: pd.DataFrame) -> list[Shared]:
    """Return one table per way of measuring in which several machines have a case in common.

    Args:
        table: latest rows of all machines.
    """
    measured = table[table["status"] == "measured"].assign(files=lambda rows: rows["data"].map(_files))
    tables: list[Shared] = []
    for key, rows in measured.groupby(list(ALIKE), sort=False, dropna=False):
        protocol = key[0] if isinstance(key, tuple) else key
        common = rows.groupby(_keys(rows), sort=False)["machine"].transform("nunique") > 1
        if common.any():
            tables.append(_table(str(protocol), rows[common], len(tables) + 1))
    return tables


def _keys(rows: Iterable[Any]) -> list[str]:
    """Return the axes that identify a case on every machine: all but the device.

    Args:
        rows: a frame, or the keys of a row.
    """
    across = [axis for axis in facets.across(rows) if axis != "device"]
    return ["mode", *facets.down(rows), *reversed(across)]


def _files(data: object) -> str:
    """Identify a data set by its files; synthetic data is defined by its recipe, whatever encoded its images."""
    return "" if str(data).startswith(f"{MADE} ") else str(data)


def _table(protocol: str, rows: pd.DataFrame, number: int) -> Shared:
    columns: dict[tuple[Any, ...], None] = {}
    cells: dict[tuple[Any, ...], dict[tuple[Any, ...], dict[str, Any]]] = {}
    for row in labels.rows(rows):
        columns.setdefault(_where(row))
    keys = _keys(rows)
    for row in labels.rows(facets.ordered(rows, keys)):
        where = _where(row)
        cells.setdefault(tuple(row[name] for name in keys), {})[where] = row
    shown = [name for name in keys if name != "mode" or rows["mode"].nunique() > 1]  # the heading has the only mode
    names = _names(columns, {str(row["machine"]): str(row["machine_title"]) for row in labels.rows(rows)})
    series = [
        machines.Series(
            name, {place: by_column[where] for place, by_column in enumerate(cells.values()) if where in by_column}
        )
        for where, name in zip(columns, names, strict=True)
    ]
    return Shared(
        labels.listing(labels.mode(mode) for mode in labels.order("mode", rows["mode"])),
        protocol,
        tuple(names),
        [_line(dict(zip(keys, key, strict=True)), shown, by_column, list(columns)) for key, by_column in cells.items()],
        labels.legend(labels.signs(marks) for marks in rows["flags"]),
        machines.plots([dict(zip(keys, key, strict=True)) for key in cells], series, number),
    )


def _names(columns: Iterable[tuple[Any, ...]], titles: dict[str, str]) -> list[str]:
    """Return a short name per column: the first GPU or the CPU, the device, and more if needed to be unique.

    Of torch and Ultralytics, only versions that differ are named.
    """
    columns = list(columns)
    short = [f"{labels.to_one_line(titles[w[0]].partition(' · ')[0], NAME)} · {labels.device(w[1])}" for w in columns]
    packages = [(2, "torch"), (3, "Ultralytics")]
    differing = [(place, package) for place, package in packages if len({w[place] for w in columns}) > 1]
    versions = [" · ".join(f"{package} {w[place]}" for place, package in differing) for w in columns]
    longer = [" · ".join(filter(None, (version, name))) for version, name in zip(versions, short, strict=True)]
    apart = [f"{name} · ID {w[0][:SHORT_ID]}" for w, name in zip(columns, short, strict=True)]
    full = [f"{w[0][:SHORT_ID]} · {name}" for w, name in zip(columns, longer, strict=True)]
    for names in (short, longer, apart, full):
        if len({labels.to_one_line(name, machines.LONGEST) for name in names}) == len(names):
            return names
    return [f"{number} · {name}" for number, name in enumerate(full, 1)]


def _where(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("machine", "device", "torch", "ultralytics"))


def _line(
    case: dict[str, Any],
    names: Sequence[str],
    by_column: dict[tuple[Any, ...], dict[str, Any]],
    columns: list[tuple[Any, ...]],
) -> Line:
    time = METRICS["seconds_per_epoch"].unit
    best = min(by_column, key=lambda where: float(by_column[where]["seconds_per_epoch"]))
    return Line(
        case=labels.point(case, names),
        cells=tuple(
            (
                time.show(by_column[where]["seconds_per_epoch"]),
                _rate(by_column[where]),
                where == best,
            )
            if where in by_column
            else ("", "", False)
            for where in columns
        ),
    )


def _rate(row: dict[str, Any]) -> str:
    """Format a throughput with its interval and flags: ``23.1 images/s (± 2.6 %) †``."""
    point, low, high = (row[f"images_per_second{end}"] for end in ("", "_low", "_high"))
    interval = labels.spread(RATE, point, low, high)
    return " ".join(filter(None, (labels.rate(point), f"({interval})" if interval else "", labels.signs(row["flags"]))))
