"""The picture of a page for links that are shared: 1200 × 630 pixels with machine, case and speed."""

from __future__ import annotations

import io
from collections.abc import Sequence

import msgspec
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bench.report import labels
from bench.report.plots import style

WIDTH, HEIGHT = 1200, 630
DOTS = 100
GROUND, INK, SOFT, ACCENT, AMBER = "#15181c", "#f2f4f6", "#aab4be", "#8ab4f8", "#f0b45c"
MARGIN = 72
SMALLEST = 9.0
"""Smallest size of a font in points; a longer text is cut."""


class Line(msgspec.Struct, frozen=True):
    """A figure on the picture.

    Attributes:
        figure: with its unit and interval.
        case: what was measured.
        noisy: whether the figure is doubtful.
    """

    figure: str
    case: str
    noisy: bool = False

    @property
    def caption(self) -> str:
        """The case, with a warning where its figure is doubtful."""
        return f"{self.case} · noisy" if self.noisy else self.case


class Figures(msgspec.Struct, frozen=True):
    """One machine on the picture.

    Attributes:
        machine: its name.
        lines: its figures; the first one is drawn largest.
        facts: its cores and threads, and the day of its figures.
    """

    machine: str
    lines: tuple[Line, ...]
    facts: str = ""


class SharePicture(msgspec.Struct, frozen=True):
    """The content of the picture.

    Attributes:
        machines: one entry per machine, at most four are drawn.
        footer: versions.
    """

    machines: Sequence[Figures]
    footer: str

    @property
    def png(self) -> bytes:
        """The picture as PNG."""
        return draw(self)


def draw(content: SharePicture) -> bytes:
    """Draw the picture; the same content gives the same bytes."""
    with style.styled():
        figure = Figure(figsize=(WIDTH / DOTS, HEIGHT / DOTS), dpi=DOTS, facecolor=GROUND)
        FigureCanvasAgg(figure)
        _text(figure, MARGIN, 66, "yolopace", 17, ACCENT, bold=True)
        if len(content.machines) == 1:
            _one_machine(figure, content.machines[0])
        else:
            _several_machines(figure, content.machines[:4])
        _text(figure, MARGIN, HEIGHT - 44, content.footer, 18, SOFT)
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=DOTS, facecolor=GROUND, metadata={"Software": None})
        return file.getvalue()


def _one_machine(figure: Figure, machine: Figures) -> None:
    _text(figure, MARGIN, 130, machine.machine, 34, INK, bold=True)
    _text(figure, MARGIN, 184, machine.facts, 20, SOFT)
    top = 276
    for number, line in enumerate(machine.lines[:3]):
        first = number == 0
        colour = AMBER if line.noisy else INK if first else ACCENT
        _text(figure, MARGIN, top, line.figure, 58 if first else 30, colour, bold=True)
        top += 68 if first else 44
        _text(figure, MARGIN, top, line.caption, 20 if first else 18, SOFT)
        top += 80 if first else 52


def _several_machines(figure: Figure, machines: Sequence[Figures]) -> None:
    for number, machine in enumerate(machines):
        top = 140 + number * 106
        line = machine.lines[0] if machine.lines else Line("nothing measured", "")
        _text(figure, MARGIN, top, machine.machine, 22, INK, bold=True, room=0.6)
        _text(figure, WIDTH - MARGIN, top, line.figure, 26, AMBER if line.noisy else ACCENT, bold=True, right=True)
        _text(figure, MARGIN, top + 40, " · ".join(filter(None, (line.caption, machine.facts))), 15, SOFT)


def _text(
    figure: Figure,
    left: float,
    middle: float,
    text: str,
    points: float,
    colour: str,
    *,
    bold: bool = False,
    right: bool = False,
    room: float = 1.0,
) -> None:
    """Write one line at a place in pixels from the top left, in a smaller font where it would be too wide."""
    artist = figure.text(
        left / WIDTH,
        1 - middle / HEIGHT,
        labels.to_one_line(text, 400),
        fontsize=points,
        color=colour,
        fontweight="bold" if bold else "normal",
        ha="right" if right else "left",
        va="center",
    )
    most = (WIDTH - 2 * MARGIN) * room
    width = artist.get_window_extent().width
    if width > most:
        artist.set_fontsize(max(points * most / width, SMALLEST))
    while (width := artist.get_window_extent().width) > most:
        shown = artist.get_text().removesuffix("…")
        artist.set_text(f"{shown[: min(int(len(shown) * most / width), len(shown) - 1)]}…")
