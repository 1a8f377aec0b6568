"""The style of all plots, and the conversion of a figure to SVG and PNG, independent of its content.

All sizes are CSS pixels: a figure is drawn at 72 dots per inch, so that a point is a pixel.
"""

from __future__ import annotations

import functools
import io
import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backend_bases import FigureCanvasBase
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.backends.backend_svg import RendererSVG
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.textpath import text_to_path

from bench.report.plots import palette
from bench.report.plots.palette import GROUNDS, HUES, INK

SERIES = len(HUES)
"""Maximum number of series per panel; a panel with more is split."""

DPI = 72
WIDTH = 480
PAD = 6
"""Pixels around the texts of a figure."""

SMALL = 11
"""Font size of the smallest texts, in pixels; a narrow screen scrolls a plot and does not shrink it."""

FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif"
"""Fonts for browsers; text is measured in DejaVu Sans, which is wider than any of the others."""

RC: dict[str, Any] = {
    "svg.hashsalt": "yolopace",
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",
    # Alternatives, which no text has: each search for a font reads these lists.
    **{f"font.{kind}": ["DejaVu Sans"] for kind in ("serif", "sans-serif", "cursive", "fantasy", "monospace")},
    "font.size": 11,
    "text.color": INK,
    "text.parse_math": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.labelsize": 11,
    "axes.labelpad": 6,
    "axes.titlesize": 12.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 12,
    "axes.titley": 1.0,  # not found anew from the texts around it at each drawing
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.8,
    "ytick.major.width": 0.8,
    "grid.color": INK,
    "grid.alpha": 0.13,
    "grid.linewidth": 0.8,
    "lines.linewidth": 1.9,
    "lines.markersize": 6,
    "hatch.linewidth": 0.8,
}

STANDALONE = (
    f"<style>{palette.css()}svg:root{{color:{INK};background:{GROUNDS[0]};--ground:{GROUNDS[0]}}}"
    f"@media(prefers-color-scheme:dark){{svg:root{{color:#e4e7ea;background:{GROUNDS[1]};--ground:{GROUNDS[1]}}}}}"
    "</style>"
)
"""Colours of a standalone SVG file. A page has its own, and removes them."""


@contextmanager
def styled() -> Iterator[None]:
    """Apply the settings of matplotlib for drawing; the user's settings are restored afterwards."""
    with matplotlib.rc_context():
        apply()
        yield


def apply() -> None:
    """Apply the settings of matplotlib for drawing, for a process that does nothing else."""
    matplotlib.rcdefaults()
    matplotlib.rcParams.update(RC)


def canvas(height: float, width: float = WIDTH) -> tuple[Figure, Axes]:
    """Return a figure of one panel, with room for the texts around its axes."""
    figure, [axes] = panels(1, height, width)
    return figure, axes


def panels(count: int, height: float, width: float = WIDTH) -> tuple[Figure, list[Axes]]:
    """Return a figure of several panels one below the other, with shared axes."""
    figure = Figure(
        figsize=(width / DPI, height / DPI), dpi=DPI, layout=ConstrainedLayoutEngine(w_pad=PAD / DPI, h_pad=PAD / DPI)
    )
    _Ruler(figure)
    every = list(figure.subplots(count, 1, sharex=True, sharey=True, squeeze=False)[:, 0])
    # Spines end within the axes and the labels of ticks, which only the last panel has on both axes.
    every[-1].spines[:].set_in_layout(False)
    return figure, every


class _Ruler(FigureCanvasBase):
    """The canvas of a figure whose texts are measured, and which is drawn by other means."""

    def get_renderer(self) -> RendererAgg:
        """Return the renderer that measures texts; it draws nothing."""
        return _renderer(1, 1, DPI)


@functools.lru_cache(8)
def _renderer(width: int, height: int, dpi: int) -> RendererAgg:
    """Return a renderer that figures of a size share: it keeps the sizes of texts, and most texts recur."""
    return RendererAgg(width, height, dpi)


def settle(figure: Figure, *, final: bool) -> None:
    """Compute the layout of a figure once, so that SVG and PNG are equal and take half the time.

    Args:
        figure: to lay out.
        final: whether the figure stays as it is until it is drawn.
    """
    engine = figure.get_layout_engine()
    if final and len(figure.axes) == 1 and not (figure.legends or figure.axes[0].texts):
        _fit(figure, figure.axes[0])
        _fix_labels(figure)
    elif engine is not None:
        with warnings.catch_warnings():  # for labels that leave no room for the axes, as in a spoilt record
            warnings.filterwarnings("ignore", message="constrained_layout not applied")
            engine.execute(figure)  # without the extra drawing of figure.draw_without_rendering()
        if final:
            _fix_labels(figure)
    figure.set_layout_engine(None)  # with a placeholder, each picture would be drawn twice


def _fit(figure: Figure, axes: Axes) -> None:
    """Give the only axes of a figure the room that their labels leave, as constrained layout does in two passes.

    One is enough without texts at places of the data, such as names of lines: how far those reach depends on the room.
    """
    inner, outer = axes.get_window_extent().frozen(), axes.get_tightbbox(for_layout_only=True)
    assert outer is not None, "axes of a plot are visible"
    left, bottom = inner.x0 - outer.x0 + PAD, inner.y0 - outer.y0 + PAD
    right, top = outer.x1 - inner.x1 + PAD, outer.y1 - inner.y1 + PAD
    width, height = figure.bbox.size
    if left + right < width and bottom + top < height:
        axes.set_position((left / width, bottom / height, 1 - (left + right) / width, 1 - (bottom + top) / height))
        moved = axes.get_window_extent()  # the labels of axes go with them, by as much
        axes.xaxis.label.set_y(axes.xaxis.label.get_position()[1] + moved.y0 - inner.y0)
        axes.yaxis.label.set_x(axes.yaxis.label.get_position()[0] + moved.x0 - inner.x0)


def _fix_labels(figure: Figure) -> None:
    """Keep the labels of axes where the layout has them: a drawing need not measure the labels of ticks for them."""
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        # A title is above ticks at the top, and the offset of numbers is beyond their labels.
        if axis.get_ticks_position() in ("bottom", "left") and not axis.get_offset_text().get_text():
            place = axis.label.get_transform().transform(axis.label.get_position())
            x, y = figure.transFigure.inverted().transform(place)
            axis.set_label_coords(x, y, figure.transFigure)
            for tick in axis.get_major_ticks():
                tick.label1.set_in_layout(False)


class _SvgRenderer(RendererSVG):  # type: ignore[misc]
    """A renderer that draws one figure and keeps the sizes of texts for the next."""

    def get_text_width_height_descent(self, s: str, prop: FontProperties, ismath: Any) -> tuple[float, float, float]:
        """Return width, height and descent of a text."""
        return _unhinted_size(s, prop, ismath)


@functools.lru_cache(4096)
def _unhinted_size(text: str, font: FontProperties, is_math: Any) -> tuple[float, float, float]:
    return text_to_path.get_text_width_height_descent(text, font, is_math)


def to_svg(figure: Figure, alt: str) -> str:
    """Return a figure as an SVG document: the same bytes each time, in the colours of its page.

    Its backgrounds become transparent, and stay so.
    """
    file = io.StringIO()
    figure.dpi = DPI
    for patch in (figure.patch, *(axes.patch for axes in figure.axes)):
        patch.set(facecolor="none", edgecolor="none")
    nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
    renderer = _SvgRenderer(*figure.bbox.size, file, metadata=nothing)
    figure.draw(renderer)
    renderer.finalize()
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)
    text = palette.with_variables(_without_idle_ids(text)).replace("'DejaVu Sans'", FONTS)
    box = re.search(r'viewBox="[^"]*"', text)
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" {box[0] if box else ""}'
    )
    return f'{opening} role="img" aria-label="{_attribute(alt)}">{STANDALONE}{text[text.index(">") + 1 :]}'


def _without_idle_ids(text: str) -> str:
    """Remove the ids that nothing in an SVG refers to, since every figure has the same ones."""
    used = set(re.findall(r"(?:url\(#|href=\"#)([^)\"]+)", text))
    return re.sub(r' id="([^"]*)"', lambda match: match[0] if match[1] in used else "", text)


def _attribute(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def to_png(figure: Figure) -> bytes:
    """Return a figure as PNG on white, with two dots per pixel."""
    figure.dpi = 2 * DPI
    figure.set_facecolor("white")
    width, height = map(int, figure.bbox.size)
    renderer = _renderer(width, height, 2 * DPI)
    renderer.clear()
    figure.draw(renderer)
    return _encode(np.asarray(renderer.buffer_rgba()))


def _encode(pixels: np.ndarray) -> bytes:
    """Return opaque pixels as PNG without filters, which Pillow cannot: three times as fast, and a quarter smaller."""
    height, width = pixels.shape[:2]
    rows = np.zeros((height, 1 + 3 * width), np.uint8)  # the first byte of a row says that it has no filter
    for channel in range(3):
        rows[:, 1 + channel :: 3] = pixels[:, :, channel]
    dots = round(2 * DPI / 0.0254)
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),  # 8 bits each of red, green and blue
        (b"pHYs", struct.pack(">IIB", dots, dots, 1)),  # per metre
        (b"IDAT", zlib.compress(rows.data, 3)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(content, zlib.crc32(name)))
        for name, content in chunks
    )
