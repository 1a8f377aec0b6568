"""Stacked bars: one bar per row, with its parts in the colours of their order and their values inside."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import msgspec
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from bench.formatting import format_number
from bench.report.plots import palette, scale, style

ROW, BAR, AROUND = 30, 0.66, 128
LEGEND = 24
"""Maximum length of a line of the legend, in characters: three names fit side by side."""

LEAST_NAMED, LEAST_WRITTEN = 0.01, 0.12
"""Least share of a bar for a part to have a colour, and least share of the axis for its value to be inside."""


class Layer(msgspec.Struct, frozen=True):
    """One part of all rows.

    Attributes:
        name: for the legend.
        widths: of each row.
        look: number of its colour; None for the remainder, which is hollow.
    """

    name: str
    widths: Sequence[float]
    look: int | None


def figure(
    title: str,
    names: Sequence[str],
    layers: Sequence[Layer],
    axis: str,
    ends: Sequence[str] = (),
    ends_title: str = "",
    size: float = 12.5,
) -> Figure:
    """Draw the bars; call it within :func:`bench.report.plots.style.styled`.

    Args:
        title: of the panel.
        names: of the rows, from the top.
        layers: in the order in which they stand from the left.
        axis: label of the x-axis, with its unit.
        ends: text to the right of each row; empty for none.
        ends_title: heading of those texts.
        size: of the title, in pixels.
    """
    drawn, axes = style.canvas(AROUND + ROW * len(names))
    axes.set_title(title, fontsize=size)
    axes.set_ylim(len(names) - 0.5, -0.5)
    places = list(range(len(names)))
    scale.set_ticks(axes.yaxis, places, names)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    totals = [sum(widths) for widths in zip(*(layer.widths for layer in layers), strict=True)]
    longest = max(totals, default=0.0) or 1.0
    left = [0.0] * len(names)
    for layer in grouped(layers):
        for place, start, width in zip(places, left, layer.widths, strict=True):
            bar = Rectangle(
                (start, place - BAR / 2),
                width,
                BAR,
                facecolor="none" if layer.look is None else colour(layer.look),
                edgecolor=palette.INK if layer.look is None else palette.GROUND,
                linewidth=0.8 if layer.look is None else 1.4,
                label="" if place else textwrap.fill(layer.name, LEGEND),
            )
            axes.add_artist(bar)  # add_patch and barh would also search for limits, which are set below
        for place, start, width in zip(places, left, layer.widths, strict=True):
            if width >= LEAST_WRITTEN * longest:
                ink = palette.INK if layer.look is None else palette.GROUND
                middle = start + width / 2
                axes.text(
                    middle, place, format_number(width), ha="center", va="center", fontsize=style.SMALL, color=ink
                )
        left = [start + width for start, width in zip(left, layer.widths, strict=True)]
    axes.set_xlim(0, longest * 1.02)
    scale.round_ticks(axes.xaxis)
    axes.grid(axis="x")
    axes.set_xlabel(axis)
    if ends_title:
        axes.text(1.015, 1.0, ends_title, transform=axes.transAxes, va="bottom", fontsize=style.SMALL)
    for place, text in zip(places, ends, strict=False):
        axes.text(1.015, place, text, transform=axes.get_yaxis_transform(), va="center", fontsize=style.SMALL)
    drawn.legend(
        loc="outside lower left", ncols=3, frameon=False, fontsize=style.SMALL, handlelength=1.6, columnspacing=1.4
    )
    return drawn


def grouped(layers: Sequence[Layer]) -> list[Layer]:
    """Return the layers with the small ones in one at the end, whose name says which: ``other: optimizer, rest``.

    A layer is small where it is less than :data:`LEAST_NAMED` of every row. A large remainder takes the others up, and
    a small layer that is alone remains.
    """
    totals = [sum(widths) for widths in zip(*(layer.widths for layer in layers), strict=True)]
    small = [
        layer
        for layer in layers
        if all(width < LEAST_NAMED * total for width, total in zip(layer.widths, totals, strict=True))
    ]
    rest = [layer for layer in layers if layer.look is None and layer not in small] if small else []
    if len(group := [*rest, *small]) < 2:
        return list(layers)
    names = ", ".join(layer.name for layer in group)
    sums = [sum(widths) for widths in zip(*(layer.widths for layer in group), strict=True)]
    others = Layer(names if rest else f"other: {names}", sums, None)
    return [*(layer for layer in layers if layer not in group), others]


def colour(look: int) -> str:
    """Return the colour of a part by its number; further numbers count back from the last colour."""
    count = len(palette.PHASES)
    return palette.PHASES[look if look < count else -1 - (look - count) % count][0]
