"""The terminal of a run: lines that stay, and below them a live line on what happens now."""

from __future__ import annotations

import os
import re
import textwrap
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

from bench.pytest_plugin import output_streams
from bench.text import clean

if TYPE_CHECKING:  # importing rich takes a tenth of a second, and the first line is to come before that
    from rich.console import Console

WIDTH = 80
"""Columns of the output: fewer on a narrower terminal, never more."""

NARROWEST = 20

LABEL = 10
"""Columns of a label such as ``Machine``."""

REDRAWN_AFTER = 5.0
"""Seconds between two drawings of the live line: each costs a millisecond, on a machine that is being measured."""

SILENT_AFTER = 9.0
"""Seconds without output after which a pipe gets a line on what happens now."""

CLEAR = "\r\x1b[2K"
"""Erases the line of a terminal that the cursor is in."""

Piece = tuple[str, str]
"""A text with the name of its style for Rich, such as ``bold`` or ``red``."""

Describe = Callable[[int], str]
"""Returns what happens now, in at most so many columns."""


class Screen:
    """Writes lines to a terminal or a pipe; on a terminal with styles by Rich, which obeys ``NO_COLOR``.

    Attributes:
        is_terminal: whether a live line can be drawn.
    """

    def __init__(self, stream: TextIO) -> None:
        """Write to a stream, which pytest does not capture."""
        self._stream = stream
        self.is_terminal = stream.isatty() and os.environ.get("TERM") != "dumb"
        self._console: Console | None = None
        self._lock = threading.RLock()
        self._describe: Describe | None = None
        self._drawn = False
        self._written = time.monotonic()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def width(self) -> int:
        """Columns that a line may take."""
        return width_of(self._stream)

    def line(self, *pieces: str | Piece) -> None:
        """Write a line that stays; it is as long as its pieces."""
        parts = [(piece, "") if isinstance(piece, str) else piece for piece in pieces]
        with self._lock:
            self._erase()
            if self.is_terminal and any(style for _, style in parts):
                self._write_styled(parts)
            else:
                self._stream.write("".join(clean(text) for text, _ in parts).rstrip() + "\n")
            self._written = time.monotonic()
            self._draw()

    def text(self, text: str, style: str = "", indent: str = "", first: str = "") -> None:
        """Write a text in as many lines as it needs.

        Args:
            text: in one line.
            style: of all of it.
            indent: of every line but the first.
            first: indent of the first line.
        """
        for line in wrap(self.readable(text), self.width, indent, first):
            self.line((line, style))

    def entry(self, label: str, text: str, style: str = "") -> None:
        """Write a text next to a label, such as ``Machine``."""
        space = LABEL if self.width >= 5 * LABEL else 2
        first, *rest = wrap(self.readable(text), self.width, " " * space, f"{label:<{space - 1}} ") or [label]
        self.line((first[: len(label)], "bold"), (first[len(label) :], style))
        for line in rest:
            self.line((line, style))

    def readable(self, text: str) -> str:
        """Return a text in the characters that the terminal has."""
        return output_streams.readable(clean(text), self._stream.encoding)

    def show(self, describe: Describe) -> None:
        """Keep showing what happens now, until :meth:`hide`: in a live line, or in lines of a pipe."""
        with self._lock:
            self._describe = describe
            if self.is_terminal:
                self._draw()
        if self._thread is None and not self._over.is_set():
            self._thread = threading.Thread(target=self._repeat, name="yolopace-live-line", daemon=True)
            self._thread.start()

    def hide(self) -> None:
        """Show nothing of what happens now."""
        with self._lock:
            self._describe = None
            self._erase()

    def close(self) -> None:
        """Hide the live line for good."""
        self.hide()
        self._over.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _repeat(self) -> None:
        while not self._over.wait(REDRAWN_AFTER if self.is_terminal else self._patience()):
            with self._lock:
                if self.is_terminal:
                    self._draw()
                elif self._describe is not None and self._patience() <= 0.1:
                    self.line(f"      {self._describe(self.width - 6)}")

    def _patience(self) -> float:
        """Return the seconds after which a pipe has been silent for too long."""
        return max(self._written + SILENT_AFTER - time.monotonic(), 0.1)

    def _draw(self) -> None:
        if self._describe is not None and self.is_terminal:
            width = self.width - 1  # a full line would wrap
            self._stream.write(CLEAR + self.readable(self._describe(width))[:width])
            self._stream.flush()
            self._drawn = True

    def _erase(self) -> None:
        if self._drawn:
            self._stream.write(CLEAR)
            self._stream.flush()
            self._drawn = False

    def _write_styled(self, parts: list[Piece]) -> None:
        from rich.console import Console
        from rich.text import Text

        if self._console is None:
            self._console = Console(file=self._stream, highlight=False, legacy_windows=False)
        styled = Text.assemble(*((self.readable(text), style) for text, style in parts))
        styled.rstrip()
        self._console.print(styled, soft_wrap=True)


def width_of(stream: TextIO) -> int:
    """Return the columns that a line on a stream may take."""
    return min(WIDTH, max(columns(stream), NARROWEST))


def columns(stream: TextIO) -> int:
    """Return the columns of a terminal, those that ``COLUMNS`` names, or 80 without either."""
    if (named := os.environ.get("COLUMNS", "")).isdecimal() and int(named):
        return int(named)
    try:
        return os.get_terminal_size(stream.fileno()).columns or WIDTH
    except (OSError, ValueError):
        return WIDTH


UNIT = re.compile(r"(?<=[0-9±]) (?=[0-9]|%|px\b|h\b|min\b|s\b|ms\b|[KMG]iB\b|images/s\b)")
"""A space that keeps a number and its unit on one line."""

NO_BREAK = "\N{NO-BREAK SPACE}"


def wrap(text: str, width: int, indent: str = "", first: str = "") -> list[str]:
    """Break a text between words, and never between a number and its unit; a long word, such as a path, stays whole."""
    lines = textwrap.wrap(
        UNIT.sub(NO_BREAK, text),
        width,
        initial_indent=first,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace(NO_BREAK, " ") for line in lines]
