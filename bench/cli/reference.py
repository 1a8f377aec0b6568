"""Write the reference of the command line: ``python -m bench.cli.reference > docs/reference/cli.md``."""

from __future__ import annotations

import enum
import inspect
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import typer

from bench import extensions
from bench.cli import app

INTRODUCTION = """\
# Command line

<!-- Generated: python -m bench.cli.reference > docs/reference/cli.md -->

`yolopace COMMAND` and `python -m bench COMMAND` are the same. [Exit statuses](output-files.md#exit-statuses) are listed
elsewhere. Every command takes these options:"""

UNGROUPED = "Options"


class Row:
    """A row of a table of options.

    Attributes:
        panel: title of the group that the option stands in.
        names: of the option, with the name of its value.
        text: its help.
        default: as a user would write it, or empty.
    """

    def __init__(self, panel: str, names: str, text: str, default: str) -> None:
        self.panel, self.names, self.text, self.default = panel, names, text, default


def reference() -> str:
    """Return the page: each command with its help, arguments and options."""
    application: Any = typer.main.get_command(app.build(list(app.COMMANDS)))
    commands = {name: command for name, command in application.commands.items() if not command.hidden}
    parts = [INTRODUCTION, *_tables(_parameters(application)), "| command | what it does |\n|---|---|"]
    parts[-1] += "".join(
        f"\n| [`{name}`](#{name}) | {_cell(next(_paragraphs(command.help), ''))} |"
        for name, command in commands.items()
    )
    for name, command in commands.items():
        parts += [f"## {name}", *_paragraphs(command.help), *_tables(_parameters(command))]
    return "\n\n".join(parts) + "\n"


def _paragraphs(text: str | None) -> Iterator[str]:
    """Paragraphs of a help text, each in one line."""
    for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(text or "").replace("\b", "")):
        if paragraph.strip():
            yield " ".join(paragraph.split())


def _tables(rows: Iterable[Row]) -> Iterator[str]:
    """A table for each panel of options, under its title where there are several."""
    panels: dict[str, list[Row]] = {}
    for row in rows:
        panels.setdefault(row.panel, []).append(row)
    for panel, listed in panels.items():
        if panel != UNGROUPED:
            yield f"**{panel}**"
        lines = ["| option | meaning | default |", "|---|---|---|"]
        lines += [f"| {row.names} | {_cell(row.text)} | {_cell(row.default)} |" for row in listed]
        yield "\n".join(lines)


def _cell(text: str) -> str:
    """The text of a cell of a table, in which nothing is markup."""
    return re.sub(r"([|<>*\[\]_])", r"\\\1", " ".join(text.split()))


def _parameters(command: Any) -> Iterator[Row]:
    """Arguments and options of a command, without ``--help``."""
    for parameter in command.params:
        if parameter.name == "help" or getattr(parameter, "hidden", False):
            continue
        option = any(name.startswith("-") for name in parameter.opts)
        names = ", ".join(f"`{name}`" for name in [*parameter.opts, *parameter.secondary_opts])
        if not option:
            names = f"`{parameter.metavar or parameter.name.upper()}`"
        elif not parameter.is_flag:
            names += f" `{parameter.metavar or _value_name(parameter)}`"
        default = "required" if parameter.required else _default(parameter.default)
        panel = getattr(parameter, "rich_help_panel", None) or UNGROUPED
        yield Row(panel, names, parameter.help or "", default)


def _value_name(parameter: Any) -> str:
    """What stands for a value that the command gives no name: its choices, or its kind."""
    default = parameter.default
    kind = getattr(getattr(parameter, "type_descriptor", None), "annotation", type(default))
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return "|".join(str(choice.value) for choice in kind)
    if choices := getattr(getattr(parameter, "type", None), "choices", None):
        return "|".join(str(getattr(choice, "value", choice)) for choice in choices)
    return "N" if isinstance(default, int | float) else "PATH" if isinstance(default, Path) else "TEXT"


def _default(value: Any) -> str:
    """A default as a user would write it; empty where it says nothing."""
    if value is None or value is False or value in ("", ()) or callable(value):
        return ""
    return str(value.value if isinstance(value, enum.Enum) else value)


def main() -> None:
    """Print the page."""
    if extensions.named_in([]):
        raise SystemExit(f"{extensions.VARIABLE} adds options that are not yolopace's: unset it.")
    print(reference(), end="")


if __name__ == "__main__":
    main()
