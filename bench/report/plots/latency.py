"""The distribution of the latency of a call: the share of calls that take no longer, one line per case."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from bench.analysis.latency import LEVELS
from bench.formatting import format_duration
from bench.report import labels
from bench.report.plots import palette, scale, style
from bench.report.plots.plot import Plot, make_plot

KEY, TITLE = "latency", "Distribution of the latency of a call"
HEIGHT, LINE = 260, 17

MOST_FIGURES = 2
"""Maximum number of figures; the cases of the first ones are drawn."""

MOST_POINTS = 240
"""Maximum number of points of a line: quantiles, closer to each other in the tail."""

MIDDLE = " · "
"""Between the parts of a case's name."""

NAME = 70
"""Maximum length of the name of a line."""

COLUMNS = ("Case", "Calls", "Shortest", *(f"{level:.0%}" for level in LEVELS.values()), "Longest")
CAPTION = (
    "The share of calls that take no longer than a time. A steep line is a steady case; a step far to the right is "
    "a stall. Dotted lines are at 50, 90 and 99 %. The processes of a case are drawn together."
)

Line = tuple[str, str, Sequence[float]]
"""Name, model and calls of a case."""


def plots(lines: Sequence[Line], models: Sequence[str]) -> list[Plot]:
    """Return a figure for every few cases.

    Args:
        lines: the cases.
        models: all models of the page: each has its hue.
    """
    groups = [lines[first : first + style.SERIES] for first in range(0, len(lines), style.SERIES)][:MOST_FIGURES]
    drawn = []
    for number, group in enumerate(groups, 1):
        names = distinct([name for name, _, _ in group])
        points = [(name, model, *_points(calls)) for name, (_, model, calls) in zip(names, group, strict=True)]
        alt = labels.to_one_line(f"{TITLE}: {'; '.join(name for name, _, _ in group)}.")
        data = COLUMNS, tuple(map(_row, group))
        key = KEY if number == 1 else f"{KEY}-{number}"
        drawn.append(make_plot(key, TITLE, functools.partial(figure, points, models), alt, CAPTION, data, "latency"))
    return drawn


def distinct(names: Sequence[str]) -> list[str]:
    """Return names of lines without the parts that all have in common; a single name stays whole."""
    parts = [labels.to_one_line(name).split(MIDDLE) for name in names]
    shared = set.intersection(*map(set, parts)) if len(parts) > 1 else set()
    own = [[part for part in line if part not in shared] for line in parts]
    return [(MIDDLE.join(left) or MIDDLE.join(line))[:NAME] for left, line in zip(own, parts, strict=True)]


def _points(calls: Sequence[float]) -> tuple[list[float], list[float]]:
    """Return the times in ms and the shares of a line: every call, or quantiles of many."""
    ordered = np.sort(np.asarray(calls, dtype=float)) * 1e3
    shares = np.arange(1, len(ordered) + 1) / len(ordered)
    if len(ordered) > MOST_POINTS:
        half = MOST_POINTS // 2
        wanted = np.concatenate([np.linspace(0, 0.9, half), np.linspace(0.9, 1, half)])
        places = np.unique(np.rint(wanted * (len(ordered) - 1)).astype(int))
        ordered, shares = ordered[places], shares[places]
    return ordered.tolist(), shares.tolist()


def _row(line: Line) -> tuple[str, ...]:
    name, _, calls = line
    quantiles = np.quantile(np.asarray(calls, dtype=float), [0.0, *LEVELS.values(), 1.0])
    return name, f"{len(calls):,}", *(format_duration(float(value)) for value in quantiles)


def figure(lines: Sequence[tuple[str, str, list[float], list[float]]], models: Sequence[str]) -> Figure:
    """Draw the lines of some cases; call it within :func:`style.styled`."""
    drawn, axes = style.canvas(HEIGHT + LINE * len(lines))
    chosen = palette.looks([model for _, model, _, _ in lines], models)
    for look, (name, _, times, shares) in zip(chosen, lines, strict=True):
        axes.step([times[0], *times], [0.0, *shares], where="post", color=look.colour, linestyle=look.dash, label=name)
    for level in LEVELS.values():
        axes.axhline(level, color=palette.INK, linewidth=0.8, linestyle=(0, (1, 2)), alpha=0.6)
    low, high = min(times[0] for _, _, times, _ in lines), max(times[-1] for _, _, times, _ in lines)
    axes.set_xscale("log")
    axes.set_xlim(low / 1.08, high * 1.08)
    ticks = scale.decades(low / 1.08, high * 1.08)
    scale.set_ticks(axes.xaxis, ticks, [scale.tick(tick) for tick in ticks])
    axes.set_ylim(0, 1.01)
    scale.set_ticks(axes.yaxis, [0, 0.25, 0.5, 0.75, 0.9, 1], ["0 %", "25 %", "50 %", "75 %", "90 %", "100 %"])
    axes.set_xlabel("Latency (ms, log scale)")
    axes.set_ylabel("Share of calls")
    axes.grid(axis="x")
    drawn.legend(loc="outside lower left", ncols=1, frameon=False, fontsize=style.SMALL)
    return drawn
