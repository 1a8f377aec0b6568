"""Throughput of several machines side by side: one row per case, with one point per machine."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.analysis.metrics import METRICS
from bench.report import labels
from bench.report.plots import facets, palette, scale, style
from bench.report.plots.plot import Data, Plot, make_plot

METRIC = METRICS["images_per_second"]
ROWS, ROW, NAME, AROUND = 12, 34, 20, 92
"""Maximum number of rows per panel; heights of a row, of a machine's name, and of the surroundings."""

LONGEST = 64
"""Maximum length of a machine's name, in characters."""

REACH = 1.5
"""Factor by which bars may exceed the greatest value, or undercut the smallest on a logarithmic axis.

A very wide bar would leave no room for the others.
"""


class Series(msgspec.Struct, frozen=True):
    """The results of one machine on one device, by place of the case; cases without a result are missing.

    Attributes:
        name: unique among the series.
        rows: rows of :func:`bench.analysis.table.frame`, by place of their case.
    """

    name: str
    rows: dict[int, dict[str, Any]]


def plots(cases: Sequence[dict[str, Any]], series: Sequence[Series], number: int) -> list[Plot]:
    """Return the panels of some cases: one per mode, more if there are too many rows or machines.

    Args:
        cases: values of the axes of each, the mode first; the device belongs to a series.
        series: at least one.
        number: of the table of the page that they belong to, from 1.
    """
    panels: list[tuple[list[int], Sequence[Series]]] = []
    for mode in labels.order("mode", [case["mode"] for case in cases]):
        places = [place for place, case in enumerate(cases) if case["mode"] == mode]
        for start in range(0, len(places), ROWS):
            chunk = places[start : start + ROWS]
            for first in range(0, len(series), style.SERIES):
                few = [
                    machine
                    for machine in series[first : first + style.SERIES]
                    if any(place in machine.rows for place in chunk)
                ]
                if few:
                    panels.append((chunk, few))
    return [
        make_plot(
            key=facets.slug("machines", str(number), *([str(place)] if len(panels) > 1 else [])),
            title=METRIC.title,
            figure=functools.partial(figure, [cases[p] for p in chunk], taken(few, chunk)),
            alt=alt([cases[p] for p in chunk], taken(few, chunk)),
            caption=caption(taken(few, chunk)),
            data=data([cases[p] for p in chunk], taken(few, chunk)),
        )
        for place, (chunk, few) in enumerate(panels, 1)
    ]


def taken(series: Sequence[Series], places: Sequence[int]) -> list[Series]:
    """Return the series with only the cases at some places, renumbered from 0."""
    return [
        Series(machine.name, {new: machine.rows[old] for new, old in enumerate(places) if old in machine.rows})
        for machine in series
    ]


def figure(cases: Sequence[dict[str, Any]], series: Sequence[Series]) -> Figure:
    """Draw one panel; call it within :func:`style.styled`."""
    within = limits(series)
    drawn, axes = style.canvas(AROUND + ROW * len(cases) + NAME * len(series))
    varying = [key for key in cases[0] if key != "mode" and len({case[key] for case in cases}) > 1]
    axes.set_title(labels.point(cases[0], [key for key in cases[0] if key not in varying]))
    axes.set_xlabel(scale.title(METRIC, METRIC.unit.symbol, within.logarithmic))
    axes.set_ylim(len(cases) - 0.5, -0.5)
    scale.set_ticks(axes.yaxis, list(range(len(cases))), [labels.point(case, varying) for case in cases])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    for edge in range(1, len(cases)):
        axes.axhline(edge - 0.5, color=palette.INK, linewidth=0.8, alpha=0.13, zorder=1)
    _set_limits(axes, within)
    axes.grid(axis="x")
    for place, machine in enumerate(series):
        _draw(axes, machine, place, len(series))
    drawn.legend(
        handles=[_sample(place, machine) for place, machine in enumerate(series)],
        loc="outside lower left",
        frameon=False,
        fontsize=style.SMALL,
        handlelength=1.2,
    )
    return drawn


class Limits(NamedTuple):
    """Limits of the axis.

    Attributes:
        logarithmic: whether the axis is logarithmic; a linear one begins at 0.
        low, high: ends of the axis.
        cut: whether a bar exceeds it.
    """

    logarithmic: bool
    low: float
    high: float
    cut: bool


ENDS = (f"{METRIC.key}_low", f"{METRIC.key}_high")


def limits(series: Sequence[Series]) -> Limits:
    """Return limits that hold all values, and their intervals up to :data:`REACH`."""
    rows = [row for machine in series for row in machine.rows.values()]
    values = [float(row[METRIC.key]) for row in rows]
    every = values + [float(row[end]) for row in rows for end in ENDS if labels.there(row[end])]
    low, high = max(min(every), min(values) / REACH), min(max(every), max(values) * REACH)
    logarithmic = scale.is_wide(values)
    low, high = (low / 1.25, high * 1.25) if logarithmic else (0.0, high * 1.06)
    return Limits(logarithmic, low, high, min(every) < low or max(every) > high)


def caption(series: Sequence[Series]) -> str:
    """Explain how to read a panel."""
    bars = any(labels.there(row[end]) for machine in series for row in machine.rows.values() for end in ENDS)
    return " ".join(
        [
            "Waiting for data is included"
            + ("; bars are 95 % intervals" if bars else "")
            + (", cut where they leave the axis" if bars and limits(series).cut else "")
            + ".",
            "Differences between machines are not tested.",
        ]
    )


def _set_limits(axes: Axes, axis_limits: Limits) -> None:
    if not axis_limits.logarithmic:
        axes.set_xlim(axis_limits.low, axis_limits.high)
        scale.round_ticks(axes.xaxis)
        return
    axes.set_xscale("log")
    axes.set_xlim(axis_limits.low, axis_limits.high)
    ticks = scale.decades(axis_limits.low, axis_limits.high)
    scale.set_ticks(axes.xaxis, ticks, [scale.tick(value) for value in ticks])


def _draw(axes: Axes, machine: Series, place: int, count: int) -> None:
    """Draw the points of a series, a little below those of the series before it."""
    offset = (place - (count - 1) / 2) * 0.7 / count
    look = palette.machine_look(place)
    colour = look.colour
    for case, row in machine.rows.items():
        value, height = float(row[METRIC.key]), case + offset
        if labels.there(row[ENDS[0]]) and labels.there(row[ENDS[1]]):
            reach = [[value - float(row[ENDS[0]])], [float(row[ENDS[1]]) - value]]
            axes.errorbar([value], [height], xerr=reach, fmt="none", ecolor=colour, elinewidth=1.3, capsize=3, zorder=3)
        axes.plot([value], [height], color=colour, marker=look.marker, linestyle="none", zorder=4)


def _sample(place: int, machine: Series) -> Line2D:
    return Line2D(
        [], [], color=palette.machine_look(place).colour, marker=palette.machine_look(place).marker, linestyle="none",
        label=labels.to_one_line(machine.name, LONGEST),
    )  # fmt: skip


def alt(cases: Sequence[dict[str, Any]], series: Sequence[Series]) -> str:
    """Return one sentence: the content of the panel, and the range of each machine."""
    ranges = []
    for machine in series:
        rates = sorted(float(row[METRIC.key]) for row in machine.rows.values())
        ends = " to ".join(labels.rate(rate) for rate in dict.fromkeys((rates[0], rates[-1])))
        ranges.append(f"{labels.to_one_line(machine.name, LONGEST)} {ends}")
    return f"{METRIC.title} of {labels.count(len(cases), 'case')} by machine: {'; '.join(ranges)}."


def data(cases: Sequence[dict[str, Any]], series: Sequence[Series]) -> Data:
    """Return the data of a panel as text: case, machine, rate, interval."""
    rows = []
    for place, case in enumerate(cases):
        for machine in series:
            if place in machine.rows:
                row = machine.rows[place]
                rows.append(
                    (
                        labels.point(case, case),
                        labels.to_one_line(machine.name, LONGEST),
                        labels.rate(row[METRIC.key]),
                        labels.ends(METRIC.unit, row[ENDS[0]], row[ENDS[1]]) or labels.NONE,
                    )
                )
    return ("Case", "Machine", METRIC.title, "95 % interval"), tuple(rows)
