"""A metric against batch, or another numeric axis: one line per combination of the other axes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.analysis.metrics import Metric
from bench.analysis.table import axes_of
from bench.analysis.units import IMAGE, in_units
from bench.cases.axes import NOT_ASKED, further_axes
from bench.report import labels
from bench.report.plots import facets, palette, scale, style

HEIGHT = 300
WALL = "A cross marks the first batch that ran out of memory."
LABEL_GAP = 0.075
"""Minimum distance of the names of two series, as a fraction of the height of the axes."""


class Series(msgspec.Struct, frozen=True):
    """One line.

    Attributes:
        name: its values on the axes that differ within its panel.
        model: of its cases.
        xs, values: of its measured cases, by rising batch or other x-axis.
        errors: below and above each value; nan without an interval.
        wall: the smallest batch that ran out of memory, if any.
    """

    name: str
    model: str
    xs: list[int | float]
    values: list[float]
    errors: tuple[list[float], list[float]]
    wall: int | None


class Panel(msgspec.Struct, frozen=True):
    """What a figure shows.

    Attributes:
        title: values that all rows share.
        x: axis of the cases against which the metric is drawn.
        unit: of what a batch holds.
        lines: one per combination of the other axes.
    """

    title: str
    x: str
    unit: str
    lines: list[Series]


def parts(table: pd.DataFrame, metric: Metric) -> tuple[list[pd.DataFrame], list[pd.DataFrame]]:
    """Divide a table into panels with an x-axis and, per mode, the remaining rows."""
    drawable = table[table[metric.key].notna() | (table["status"] == "out_of_memory")]
    lines, single = [], []
    for mode in facets.divide(drawable, ("mode",)):
        rest: list[pd.DataFrame] = []
        several: dict[str, list[pd.DataFrame]] = {}
        for part in facets.divide(mode, ("model",)):
            if part[metric.key].notna().sum() > 1 and (x := x_axis(part)):
                has = part[x] != NOT_ASKED
                several.setdefault(x, []).append(part[has])
                rest.append(part[~has & part[metric.key].notna()])
            else:
                rest.append(part[part[metric.key].notna()])
        for x, tables in several.items():
            lines += facets.split(pd.concat(tables), facets.dividing(mode, x), keys(mode, x), style.SERIES)
        if rest and len(leftover := pd.concat(rest)):
            single.append(leftover)
    return [part for part in lines if part[metric.key].notna().any()], single


def x_axis(table: pd.DataFrame) -> str:
    """Return the numeric axis for a table's lines: batch, or a further axis where batch does not vary.

    Empty if no numeric axis varies.
    """
    further = [name for name, axis in further_axes().items() if axis.numeric and name in axes_of(table)]
    return next((name for name in ("batch", *further) if table[table[name] != NOT_ASKED][name].nunique() > 1), "")


def keys(columns: Iterable[Any], x: str) -> tuple[str, ...]:
    """Return the axes on which lines differ."""
    return tuple(name for name in labels.case_axes(columns) if name != x)


def has_wall(table: pd.DataFrame) -> bool:
    """Whether any case of a table ran out of memory."""
    return bool((table["status"] == "out_of_memory").any())


def panel(part: pd.DataFrame, metric: Metric) -> Panel:
    """Return what the figure of some rows shows."""
    x = x_axis(part) or "batch"
    title = facets.title(part, ("mode", *keys(part, x)))
    return Panel(title, x, facets.in_units(IMAGE, part), _series(part, metric, x))


def _series(part: pd.DataFrame, metric: Metric, x: str) -> list[Series]:
    names = facets.varying(part, keys(part, x))
    lines = []
    for rows in facets.divide(part[part[x] != NOT_ASKED], keys(part, x)):
        measured = rows[rows[metric.key].notna()].sort_values(x)
        failed = rows.loc[(rows["status"] == "out_of_memory") & (x == "batch"), x]
        values = [float(value) for value in measured[metric.key]]
        lines.append(
            Series(
                name=labels.point(labels.rows(rows.head(1))[0], names),
                model=str(rows["model"].iloc[0]),
                xs=list(map(_number, measured[x])),
                values=values,
                errors=_errors(measured, metric, values),
                wall=int(failed.min()) if len(failed) else None,
            )
        )
    return lines


def _number(value: Any) -> int | float:
    """Return a place on the x-axis: whole numbers without a decimal point."""
    return int(value) if value == int(value) else float(value)


def _errors(rows: pd.DataFrame, metric: Metric, values: Sequence[float]) -> tuple[list[float], list[float]]:
    if f"{metric.key}_low" not in rows:
        return [float("nan")] * len(values), [float("nan")] * len(values)
    low, high = rows[f"{metric.key}_low"], rows[f"{metric.key}_high"]
    return (
        [value - float(end) for value, end in zip(values, low, strict=True)],
        [float(end) - value for value, end in zip(values, high, strict=True)],
    )


def figure(shown: Panel, metric: Metric, models: Sequence[str] = ()) -> Figure:
    """Draw a panel; call it within :func:`style.styled`.

    Args:
        shown: the panel.
        metric: to draw.
        models: all models of the page: each has its hue.
    """
    lines = shown.lines
    looks = palette.looks([line.model for line in lines], models)
    values = [value for line in lines for value in line.values]
    divisor, symbol = scale.unit(metric, values)
    logarithmic = scale.is_wide(values)
    drawn, axes = style.canvas(HEIGHT)
    axes.set_title(shown.title)
    axes.set_ylabel(scale.title(metric, symbol, logarithmic).replace(IMAGE, shown.unit))
    xs = sorted({place for line in lines for place in [*line.xs, *([line.wall] if line.wall else [])]})
    if shown.x == "batch":
        axes.set_xlabel(f"Batch ({shown.unit}s per step, log scale)")
        axes.set_xscale("log", base=2)
        axes.set_xlim(xs[0] / 1.3, xs[-1] * 1.3)
        scale.set_ticks(axes.xaxis, kept := scale.thinned(list(map(int, xs))), [str(place) for place in kept])
    else:  # a numeric axis that may begin at 0, which a log scale cannot show
        axes.set_xlabel(labels.axis_title(shown.x))
        room = (xs[-1] - xs[0]) * 0.04
        axes.set_xlim(xs[0] - room, xs[-1] + room)
        scale.set_ticks(axes.xaxis, xs, list(map(str, xs)))
    _limits(axes, lines, divisor, logarithmic)
    axes.grid(axis="y")
    for look, line in zip(looks, lines, strict=True):
        _draw(axes, line, look, divisor)
    for wall in sorted({line.wall for line in lines if line.wall}):
        axes.axvline(wall, color=palette.INK, linewidth=1, linestyle=(0, (2, 2)), alpha=0.6, zorder=1)
        axes.annotate(
            "out of memory",
            (wall, 0.02),
            (-3, 0),
            xycoords=axes.get_xaxis_transform(),
            textcoords="offset points",
            rotation=90,
            ha="right",
            va="bottom",
            fontsize=style.SMALL,
        )
    if any(line.name for line in lines):
        _names(axes, lines, looks, divisor)
    return drawn


def _limits(axes: Axes, lines: Sequence[Series], divisor: float, logarithmic: bool) -> None:
    """Set the limits: a linear axis begins at 0, a logarithmic one holds all values and intervals."""
    tops = [v + (e if e == e else 0) for line in lines for v, e in zip(line.values, line.errors[1], strict=True)]
    feet = [v - (e if e == e else 0) for line in lines for v, e in zip(line.values, line.errors[0], strict=True)]
    high = max(tops) / divisor
    if not logarithmic:
        axes.set_ylim(0, high * 1.08)
        scale.round_ticks(axes.yaxis)
        return
    low = min(feet) / divisor
    axes.set_yscale("log")
    axes.set_ylim(low / 1.25, high * 1.25)
    ticks = scale.decades(low / 1.25, high * 1.25)
    scale.set_ticks(axes.yaxis, ticks, [scale.tick(value) for value in ticks])


def _draw(axes: Axes, line: Series, look: palette.Look, divisor: float) -> None:
    colour, marker = look.colour, look.marker
    heights = [value / divisor for value in line.values]
    axes.plot(line.xs, heights, color=colour, marker=marker, linestyle=look.dash, zorder=3)
    if any(error == error for error in line.errors[0]):
        errors = [[e / divisor for e in side] for side in line.errors]
        axes.errorbar(line.xs, heights, errors, fmt="none", ecolor=colour, elinewidth=1.3, capsize=3, zorder=3)
    if line.wall and heights:
        reach = [line.xs[-1], line.wall]
        axes.plot(reach, [heights[-1]] * 2, color=colour, linewidth=1, linestyle=(0, (1, 2)), zorder=2)
        axes.plot([line.wall], [heights[-1]], color=colour, marker="x", markersize=8, markeredgewidth=2, zorder=4)
    elif line.wall:
        axes.plot([line.wall], [0.04], color=colour, marker="x", markersize=8, markeredgewidth=2, zorder=4,
                  transform=axes.get_xaxis_transform(), clip_on=False)  # fmt: skip


def _names(axes: Axes, lines: Sequence[Series], looks: Sequence[palette.Look], divisor: float) -> None:
    """Draw the name and a sample of each line, right of the axes and as near to its end as the others allow."""
    wanted = []
    for line in lines:
        if line.values:
            end = axes.transData.transform((line.xs[-1], line.values[-1] / divisor))
            wanted.append(float(axes.transAxes.inverted().transform(end)[1]))
        else:
            wanted.append(0.04)
    name_lines(axes, [line.name for line in lines], looks, wanted)


def name_lines(axes: Axes, names: Sequence[str], looks: Sequence[palette.Look], wanted: Sequence[float]) -> None:
    """Draw the names of series with a sample of each, right of the axes.

    Args:
        axes: the axes of the series.
        names: of the series.
        looks: of the series.
        wanted: preferred height of each, as a fraction of the height of the axes; names keep their distance.
    """
    for name, look, height in zip(names, looks, spread_out(wanted, LABEL_GAP), strict=True):
        sample = Line2D(
            [1.02, 1.055, 1.09],
            [height] * 3,
            color=look.colour,
            linestyle=look.dash,
            marker=look.marker,
            markevery=[1],
            transform=axes.transAxes,
            clip_on=False,
        )
        axes.add_artist(sample)
        axes.text(1.11, height, name, transform=axes.transAxes, va="center", fontsize=style.SMALL)


def spread_out(wanted: Sequence[float], gap: float, low: float = 0.0, high: float = 1.0) -> list[float]:
    """Return places near the wanted ones, at least ``gap`` apart, within the bounds if there is room.

    >>> spread_out([0.5, 0.5], 0.1)
    [0.45, 0.55]
    """
    ranked = sorted(range(len(wanted)), key=lambda index: (wanted[index], index))
    clusters: list[tuple[float, list[int]]] = []
    for index in ranked:
        clusters.append((min(max(wanted[index], low), high), [index]))
        while len(clusters) > 1 and _foot(clusters[-1], gap) - _top(clusters[-2], gap) < gap - 1e-12:
            (upper, above), (lower, below) = clusters.pop(), clusters.pop()
            centre = (upper * len(above) + lower * len(below)) / (len(above) + len(below))
            half = (len(above) + len(below) - 1) * gap / 2
            centre = max(min(centre, high - half), low + half) if high - low >= 2 * half else (low + high) / 2
            clusters.append((centre, below + above))
    places = [0.0] * len(wanted)
    for centre, members in clusters:
        for rank, index in enumerate(members):
            places[index] = round(centre + (rank - (len(members) - 1) / 2) * gap, 9)
    return places


def _foot(cluster: tuple[float, list[int]], gap: float) -> float:
    return cluster[0] - (len(cluster[1]) - 1) * gap / 2


def _top(cluster: tuple[float, list[int]], gap: float) -> float:
    return cluster[0] + (len(cluster[1]) - 1) * gap / 2


def alt(part: pd.DataFrame, shown: Panel, metric: Metric) -> str:
    """Return one sentence: the content of the panel, its smallest and largest value, and where memory ran out.

    Args:
        part: rows of the panel.
        shown: the panel.
        metric: of the values.
    """
    lines, x = shown.lines, shown.x
    names = facets.varying(part, (*keys(part, x), x))
    rows = sorted(labels.rows(part[part[metric.key].notna()]), key=lambda row: float(row[metric.key]))
    show = scale.shower(metric, [float(row[metric.key]) for row in rows])
    low, high = (f"{in_units(show(r[metric.key]), r)} ({labels.point(r, names)})" for r in (rows[0], rows[-1]))
    walls = [line for line in lines if line.wall]
    full = f"; {labels.count(len(walls), 'line')} of them ran out of memory" if walls and len(lines) > 1 else ""
    if walls and len(lines) == 1:
        full = f"; batch {walls[0].wall} ran out of memory"
    return (
        f"{metric.title} against {labels.axis_title(x).lower()}, {shown.title}: "
        f"{labels.count(len(lines), 'line')} from {low} to {high}{full}."
    )
