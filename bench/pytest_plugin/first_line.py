"""The first line of a run. It imports next to nothing: it is to be there within a second."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from bench import __version__
from bench.worker.text import clean

STARTS_NOTHING = ("--plan", "--collect-only", "--co", "--version", "-V", "--help", "-h")
"""Arguments of pytest after which nothing is measured."""

WRITTEN = "yolopace-first-line"
"""Name of the plugin by which ``yolopace run`` says that it has written the line."""


def first_line(profile: str) -> str:
    """Return the line that comes before everything else."""
    return f"yolopace {__version__} · {clean(profile)} profile"


def write_first_line(arguments: Sequence[str]) -> None:
    """Write the line, unless the arguments start nothing."""
    if any(argument in STARTS_NOTHING for argument in arguments):
        return
    values = [argument.partition("=")[2] for argument in arguments if argument.startswith("--profile=")]
    values += [value for name, value in itertools.pairwise(arguments) if name == "--profile"]
    print(first_line(values[-1] if values else "quick"), flush=True)
