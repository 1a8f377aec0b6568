"""Groups of the options of long commands, in their help: the same as those of ``yolopace run``."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

from typer.core import TyperCommand

from bench.cases.axes import axes

WHAT, PRECISION, OUTPUT, ADVANCED = "What to measure", "How precisely", "Output", "Advanced"
"""Titles of the groups, in their order."""

MEMBERS = {
    WHAT: "package base head last versions pin good bad since case data present allow max memory-limit memory-sizes "
    "releases",
    PRECISION: "margin processes time-budget pairs target-ci",
    OUTPUT: "results reports json format epoch-images run summary html",
}
"""Names of options by group; those of fixed axes belong to the first, and what is missing is advanced."""

MANY = 8
"""Options from which a command has them in groups."""


class GroupedCommand(TyperCommand):
    """A command whose options, where they are many, stand in groups."""

    def __init__(self, *arguments: Any, **attributes: Any) -> None:
        super().__init__(*arguments, **attributes)
        options: list[Any] = [option for option in self.params if option.opts[0].startswith("--")]
        if len(options) >= MANY:
            for option in options:
                if option.name != "help" and option.rich_help_panel is None:
                    option.rich_help_panel = group_of(option.opts[0].removeprefix("--"))
            self.params.sort(key=_place)


def _place(option: Any) -> int:
    """Return the place of the group of an option: rich shows the groups in the order of their first options."""
    order = [None, WHAT, PRECISION, OUTPUT, ADVANCED]
    group = getattr(option, "rich_help_panel", None)
    return order.index(group) if group in order else len(order)


def group_of(name: str) -> str:
    """Return the title of the group of an option."""
    axis = axes().get(name.replace("-", "_"))
    if axis is not None:
        return WHAT if axis.fixed else ADVANCED
    return next((group for group, names in MEMBERS.items() if name in names.split()), ADVANCED)


def unwrapped(command: Callable[..., Any]) -> str:
    """Return the help of a command with each paragraph on one line, which the terminal breaks at its own width."""
    paragraphs = re.split(r"\n\s*\n", inspect.cleandoc(command.__doc__ or ""))
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
