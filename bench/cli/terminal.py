"""Text for a terminal: lines that fit it, colours of verdicts, and a live line. Pipes and files get it unchanged."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from typing import TextIO

from bench.formatting import format_rough_duration

NARROWEST = 20
"""Smallest width, in characters, that lines are made for."""

COLOURS = {
    "FASTER": "32",
    "SAME": "32",
    "SET": "32",
    "KEEP": "32",
    "NOT PROVEN": "33",
    "SLOWER": "31",
    "CANNOT RUN": "31",
    "MORE MEMORY": "31",
    "FALSE ALARM": "31",
    "FOUND": "31",
    "INCONCLUSIVE": "33",
    "NOT CONFIRMED": "33",
    "NOT COMPARED": "33",
    "UNFINISHED": "33",
    "NOTHING MEASURED": "33",
}
"""Colour of each verdict, as the number of an ANSI escape sequence."""

VERDICT = re.compile(rf"^( *)({'|'.join(COLOURS)})(?= |$)")
"""A verdict at the start of a line."""

CELLS = re.compile(r"^ *\S.*?  +(?=\S)")
"""Indentation and first cell of a line that has two cells."""


def is_terminal(stream: TextIO) -> bool:
    """Whether a stream is a terminal."""
    return stream.isatty()


def has_colour(stream: TextIO) -> bool:
    """Whether a stream shows colours: a terminal, unless ``NO_COLOR`` is set or it is a dumb one."""
    return is_terminal(stream) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def width() -> int:
    """Return the width of the terminal in characters; 80 where it is unknown."""
    return max(shutil.get_terminal_size().columns, NARROWEST)


def fit(text: str, columns: int) -> str:
    """Break lines that are longer than so many characters; continuations stand below the second cell or indented."""
    return "\n".join(part for line in text.split("\n") for part in _fit_line(line, columns))


def _fit_line(line: str, columns: int) -> list[str]:
    if len(line) <= columns:
        return [line]
    indent = len(line) - len(line.lstrip(" "))
    cell = CELLS.match(line)
    start = len(cell[0]) if cell and len(cell[0]) <= columns // 2 else min(indent + 2, columns // 2)
    rest = textwrap.wrap(
        line[indent:],
        columns,
        initial_indent=" " * indent,
        subsequent_indent=" " * start,
        break_on_hyphens=False,
        drop_whitespace=True,
    )
    return rest or [line]


def colour(text: str) -> str:
    """Colour the verdict at the start of each line."""
    return "\n".join(
        VERDICT.sub(lambda match: f"{match[1]}\x1b[1;{COLOURS[match[2]]}m{match[2]}\x1b[0m", line)
        for line in text.split("\n")
    )


def show(text: str) -> None:
    """Print a text on standard output, fitted and coloured for a terminal, unchanged elsewhere."""
    LIVE.clear()
    if is_terminal(sys.stdout):
        text = fit(text, width())
    print(colour(text) if has_colour(sys.stdout) else text)


QUIET = 10.0
"""Seconds of silence after which a line says what is going on."""

REPEAT = 60.0
"""Seconds between further such lines where standard error is no terminal."""


class LiveLine:
    """What a command is doing, shown on standard error while nothing else is printed.

    On a terminal it is one line that is rewritten every second; elsewhere a line after some seconds of silence.

    Attributes:
        text: what is going on; empty where nothing is.
    """

    def __init__(self) -> None:
        self.text = ""
        self._since = self._printed = time.monotonic()
        self._wait = QUIET
        self._shown = False
        self._lock = threading.RLock()
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()

    def start(self, text: str) -> None:
        """Show a text from now on, in place of the one before."""
        with self._lock:
            self.text, self._since = text, time.monotonic()
            if text and self._thread is None:
                self._ended.clear()
                self._thread = threading.Thread(target=self._run, daemon=True)
                self._thread.start()

    def update(self, text: str) -> None:
        """Show a text in place of the present one, if there is one."""
        if self.text:
            self.start(text)

    def stop(self) -> None:
        """Show nothing any more."""
        thread, self._thread = self._thread, None
        self._ended.set()
        if thread is not None:
            thread.join()
        self.start("")
        self.clear()

    def clear(self) -> None:
        """Make room for a line that is printed now."""
        with self._lock:
            if self._shown:
                sys.stderr.write("\r\x1b[K")
                sys.stderr.flush()
            self._shown, self._wait, self._printed = False, QUIET, time.monotonic()

    def _run(self) -> None:
        while not self._ended.wait(1.0):
            with contextlib.suppress(OSError, ValueError), self._lock:
                if self.text:
                    self._beat(time.monotonic())

    def _beat(self, now: float) -> None:
        line = f"... {self.text}, {format_rough_duration(now - self._since)}"
        if is_terminal(sys.stderr) and os.environ.get("TERM") != "dumb":
            sys.stderr.write(f"\r\x1b[K{line[: width() - 1]}")
            sys.stderr.flush()
            self._shown = True
        elif now - self._printed >= self._wait:
            print(line, file=sys.stderr)
            self._printed, self._wait = now, REPEAT


LIVE = LiveLine()
"""The live line of this process."""


@contextlib.contextmanager
def doing(text: str) -> Iterator[None]:
    """Show what is going on, until the block ends; blocks may be nested."""
    outer = LIVE.text
    LIVE.start(text)
    try:
        yield
    finally:
        if outer:
            LIVE.start(outer)
        else:
            LIVE.stop()
