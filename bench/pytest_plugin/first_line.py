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


def first_line(profile: str | None, resumed: str = "") -> str:
    """Return the line that comes before everything else.

    Args:
        profile: that is named; the default one without.
        resumed: the run that goes on, which has a profile already.
    """
    about = f"run {resumed} goes on" if resumed else f"{profile or 'quick'} profile"
    return f"yolopace {__version__} · {clean(about)}"


def write_first_line(arguments: Sequence[str]) -> None:
    """Write the line, unless the arguments start nothing."""
    if not any(argument in STARTS_NOTHING for argument in arguments):
        print(first_line(_value("--profile", arguments), _value("--resume", arguments)), flush=True)


def _value(option: str, arguments: Sequence[str]) -> str:
    """Return the last value of an option; empty without one."""
    values = [argument.partition("=")[2] for argument in arguments if argument.startswith(f"{option}=")]
    values += [value for name, value in itertools.pairwise(arguments) if name == option]
    return values[-1] if values else ""
