"""Stacked bars: one bar per row, with parts that differ in colour and hatch."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from matplotlib.figure import Figure

from bench.report.plots import scale, style

ROW, AROUND = 30, 128
HATCHES = ("", "///", "|||", "xxx", "\\\\\\", "---")
"""No dots: each dot is eight curves, which increases a picture from 25 kB to 175 kB."""


class Layer(msgspec.Struct, frozen=True):
    """One part of all rows.

    Attributes:
        name: for the legend.
        widths: of each row.
        look: number of its colour and hatch; None for the remainder, which is hollow.
    """

    name: str
    widths: Sequence[float]
    look: int | None


def figure(
    title: str, names: Sequence[str], layers: Sequence[Layer], axis: str, ends: Sequence[str] = (), size: float = 12.5
) -> Figure:
    """Draw the bars; call it within :func:`bench.report.plots.style.styled`.

    Args:
        title: of the panel.
        names: of the rows, from the top.
        layers: in the order in which they stand from the left.
        axis: label of the x-axis, with its unit.
        ends: text to the right of each row; empty for none.
        size: of the title, in pixels.
    """
    drawn, axes = style.canvas(AROUND + ROW * len(names))
    axes.set_title(title, fontsize=size)
    axes.set_ylim(len(names) - 0.5, -0.5)
    places = list(range(len(names)))
    scale.set_ticks(axes.yaxis, places, names)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    left = [0.0] * len(names)
    for layer in layers:
        hollow = layer.look is None
        look = (layer.look or 0) % style.SERIES
        axes.barh(
            places,
            layer.widths,
            left=left,
            height=0.62,
            facecolor="none" if hollow else style.COLOURS[look],
            hatch="" if hollow else HATCHES[look],
            edgecolor=style.INK,
            linewidth=0.8,
            label=layer.name,
        )
        left = [start + width for start, width in zip(left, layer.widths, strict=True)]
    axes.set_xlim(0, max(left) * 1.02 or 1.0)
    scale.round_ticks(axes.xaxis)
    axes.grid(axis="x")
    axes.set_xlabel(axis)
    for place, text in zip(places, ends, strict=False):
        axes.text(1.015, place, text, transform=axes.get_yaxis_transform(), va="center", fontsize=10)
    drawn.legend(loc="outside lower left", ncols=3, frameon=False, fontsize=10, handlelength=1.6, columnspacing=1.4)
    return drawn
