"""The colours of plots, one per meaning, each for a light and for a dark page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

INK = "#1b2128"
"""Text, axes and grid. In SVG it becomes ``currentColor``, so that a plot follows the page from light to dark."""

GROUND = "#fefefe"
"""Lines between the parts of a bar, and text on them: the background of the page."""

GROUNDS = ("#ffffff", "#15181c")
"""Background of a light and of a dark page."""

Shades = tuple[str, str, str]
"""A hue on one background: medium, lighter and darker on white; medium, darker and lighter on black."""

HUES: tuple[tuple[Shades, Shades], ...] = (
    (("#147874", "#2e9f99", "#064a47"), ("#59c5bf", "#14938d", "#89f4ed")),
    (("#8048b6", "#a66edf", "#561687"), ("#c797fd", "#9860d0", "#e7d5ff")),
    (("#367b24", "#5ba24b", "#154d03"), ("#7fc76f", "#4e943e", "#abf59b")),
    (("#ab3276", "#d65a9c", "#73004b"), ("#fe7fc0", "#c74c8e", "#fecee4")),
    (("#8c5f0e", "#b48337", "#563801"), ("#daa75d", "#a67628", "#fed7a3")),
    (("#536b85", "#7690ab", "#2b425a"), ("#9ab4d0", "#6a839d", "#c6e1ff")),
)
"""Hues of models, on white and on black, with three shades for the lines of one model."""

PHASES: tuple[tuple[str, str], ...] = (
    ("#6d3a56", "#d9a3bd"),
    ("#9a6813", "#b38433"),
    ("#3f6690", "#8fb4de"),
    ("#1d2f4a", "#dbe6f5"),
    ("#57671f", "#b9c98f"),
)
"""Phases of a step in their order: neighbours differ in lightness too."""

BAR = "#6a727d"
SLOWER = "#a4262c"
FASTER = "#1f5fc4"
UNDECIDED = "#8a5300"
SAME = "#5c6570"

TOKENS: dict[str, tuple[str, str]] = {
    **{
        f"hue-{number}{shade}": (light, dark)
        for number, hue in enumerate(HUES, 1)
        for shade, light, dark in zip("abc", *hue, strict=True)
    },
    **{f"phase-{number}": pair for number, pair in enumerate(PHASES, 1)},
    "bar": (BAR, "#969fab"),
    "slower": (SLOWER, "#ff9c9c"),
    "faster": (FASTER, "#8ab4f8"),
    "unsure": (UNDECIDED, "#f0b45c"),
    "same": (SAME, "#9aa4ae"),
}
"""All colours by the name of their variable in the style sheet, for a light and a dark page.

Plots are drawn in the first; SVG refers to the variable, so that the page chooses.
"""

MARKERS = ("o", "s", "^", "D", "v", "P")
DASHES: tuple[Any, ...] = (
    "solid",
    (0, (5, 2)),
    (0, (1.2, 1.6)),
    (0, (6, 1.6, 1.2, 1.6)),
    (0, (9, 2.5)),
    (0, (3, 1.2, 1.2, 1.2, 1.2, 1.2)),
)
"""Series differ by marker and dash too, never by colour alone."""


class Look(msgspec.Struct, frozen=True):
    """The colour, marker and dash of a series."""

    colour: str
    marker: str
    dash: Any


def looks(lines: Sequence[str], models: Sequence[str]) -> list[Look]:
    """Return the look of each line of a panel: the hue says the model, shade, marker and dash say which of its lines.

    Args:
        lines: model of each line.
        models: all models of the page, in its order, so that a model has one hue on the whole page.
    """
    order = list(dict.fromkeys([*models, *lines]))
    chosen = []
    for place, model in enumerate(lines):
        shades = HUES[order.index(model) % len(HUES)][0]
        shade = shades[lines[:place].count(model) % len(shades)]
        chosen.append(Look(shade, MARKERS[place % len(MARKERS)], DASHES[place % len(DASHES)]))
    return chosen


def machine_look(place: int) -> Look:
    """Return the look of a machine: hues from the end, since models take them from the start."""
    return Look(HUES[-1 - place % len(HUES)][0][0], MARKERS[place % len(MARKERS)], DASHES[place % len(DASHES)])


def css() -> str:
    """Return the variables of the style sheet, for light and dark pages; paper is light."""
    light, dark = ("".join(f"--{name}:{pair[theme]};" for name, pair in TOKENS.items()) for theme in (0, 1))
    return (
        f":root{{{light}}}\n@media (prefers-color-scheme: dark){{:root{{{dark}}}}}\n@media print{{:root{{{light}}}}}\n"
    )


def with_variables(svg: str) -> str:
    """Replace the colours of an SVG by their variables; where there is no style sheet, the light colour stands."""
    names = {pair[0]: name for name, pair in TOKENS.items()}
    text = svg.replace(INK, "currentColor").replace(GROUND, f"var(--ground,{GROUNDS[0]})")
    return re.sub("|".join(map(re.escape, names)), lambda match: f"var(--{names[match[0]]},{match[0]})", text)
