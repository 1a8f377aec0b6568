"""A metric as one bar per case, for tables without a batch axis to draw against; a ratio as one dot per case."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.analysis.metrics import RATIO, SHARE, Metric
from bench.analysis.units import in_units
from bench.report import labels
from bench.report.plots import facets, palette, scale, style

ROWS = 16
"""Maximum number of rows per panel; a panel with more is split."""

ROW = 26
AROUND = 78


class Bar(msgspec.Struct, frozen=True):
    """One row: its name, its value, the ends of its interval (nan without one), and its value as text."""

    name: str
    value: float
    low: float
    high: float
    shown: str


def parts(table: pd.DataFrame) -> list[pd.DataFrame]:
    """Divide a table into panels."""
    return [
        part
        for mode in facets.divide(table, ("mode",))
        for part in facets.split(mode, facets.dividing(mode), labels.case_axes(mode), ROWS)
    ]


def bars(part: pd.DataFrame, metric: Metric) -> list[Bar]:
    """Return the bars of a panel, in the order of the table's axes: model, device, precision, batch, size."""
    keys = labels.case_axes(part)
    names = facets.varying(part, keys)
    show = scale.shower(metric, [float(value) for value in part[metric.key]])
    rows = []
    for row in labels.rows(facets.ordered(part, keys)):
        low, high = (row.get(f"{metric.key}_{end}", float("nan")) for end in ("low", "high"))
        value = float(row[metric.key])
        rows.append(
            Bar(
                name=labels.point(row, names),
                value=value,
                low=float(low) if labels.there(low) else float("nan"),
                high=float(high) if labels.there(high) else float("nan"),
                shown=in_units(show(value), row),
            )
        )
    return rows


def figure(part: pd.DataFrame, metric: Metric, baseline: str = "") -> Figure:
    """Draw the panel of some rows; call it within :func:`style.styled`.

    A ratio is a dot on a logarithmic axis, where a bar has no honest length. Bars of other metrics start at 0.
    """
    rows = bars(part, metric)
    title = facets.folded(facets.title(part))
    drawn, axes = style.canvas(AROUND + ROW * (len(rows) + bool(baseline) + title.count("\n")))
    axes.set_title(title)
    places = list(range(len(rows)))
    axes.set_ylim(len(rows) - 0.5, -0.5)
    scale.set_ticks(axes.yaxis, places, [row.name for row in rows])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    if metric.unit == RATIO:
        _ratio_axis(axes, rows, metric, baseline)
        divisor = 1.0
    else:
        divisor = _plain_axis(axes, rows, metric)
        axes.set_xlabel(facets.in_units(axes.get_xlabel(), part))
    for place, row in zip(places, rows, strict=True):
        value, ends = row.value / divisor, (row.low / divisor, row.high / divisor)
        unclear = metric.unit == RATIO and row.low <= 1 <= row.high
        if metric.unit == RATIO:
            face = "none" if unclear else palette.BAR
            axes.plot(
                value, place, "o", markersize=9, markerfacecolor=face, markeredgecolor=palette.BAR, markeredgewidth=1.6
            )
        else:
            axes.barh(place, value, height=0.5, facecolor=palette.BAR, linewidth=0)
        if ends[0] == ends[0]:
            below, above = [value - ends[0]], [ends[1] - value]
            axes.errorbar(
                [value], [place], xerr=[below, above], fmt="none", ecolor=palette.INK, elinewidth=1.2, capsize=3
            )
        axes.text(
            1.015, place, row.shown, transform=axes.get_yaxis_transform(), va="center", ha="left", fontsize=style.SMALL
        )
    return drawn


def _ratio_axis(axes: Axes, rows: Sequence[Bar], metric: Metric, baseline: str) -> None:
    ends = [end for row in rows for end in (row.value, row.low, row.high) if end == end]
    low, high = min(1.0, *ends), max(1.0, *ends)
    room = (high / low) ** 0.06 if high > low else 1.05
    low, high = low / room if low < 1 else 1.0, high * room
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    ticks = [tick for tick in scale.ratios(low, high) if low * 0.999 <= tick <= high * 1.001]
    scale.set_ticks(axes.xaxis, ticks, [f"{scale.tick(tick)}{RATIO.symbol}" for tick in ticks])
    axes.axvline(1, color=palette.INK, linewidth=1.2)
    axes.grid(axis="x")
    axes.set_xlabel(f"{metric.title} over {baseline} (log scale)")


def _plain_axis(axes: Axes, rows: Sequence[Bar], metric: Metric) -> float:
    divisor, symbol = scale.unit(metric, [row.value for row in rows])
    reach = max(end for row in rows for end in (row.value, row.high) if end == end) / divisor
    if metric.unit == SHARE:  # how far it is from all
        reach = max(reach, 1 / divisor)
    axes.set_xlim(0, reach * 1.04)
    scale.round_ticks(axes.xaxis)
    axes.grid(axis="x")
    axes.set_xlabel(scale.title(metric, symbol))
    return divisor


def alt(part: pd.DataFrame, metric: Metric, over: str = "") -> str:
    """Return one sentence: the content of the panel, and its smallest and largest value."""
    rows = bars(part, metric)
    low, high = min(rows, key=lambda row: row.value), max(rows, key=lambda row: row.value)
    what = f"{metric.title}{over} by case, {facets.title(part)}"
    if len(rows) == 1:
        return f"{what}: {high.shown}."
    return f"{what}: {len(rows)} bars from {low.shown} ({low.name}) to {high.shown} ({high.name})."
