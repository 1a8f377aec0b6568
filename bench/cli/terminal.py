"""Text for a terminal: its width, lines that fit it, and the colour of verdicts. Pipes and files get it unchanged."""

from __future__ import annotations

import os
import re
import shutil
import sys
import textwrap
from typing import TextIO

NARROWEST = 20
"""Smallest width, in characters, that lines are made for."""

COLOURS = {
    "FASTER": "32",
    "SAME": "32",
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
    if is_terminal(sys.stdout):
        text = fit(text, width())
    print(colour(text) if has_colour(sys.stdout) else text)
