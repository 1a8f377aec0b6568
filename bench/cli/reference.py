"""Write the reference of the command line: ``python -m bench.cli.reference > docs/reference/cli.md``."""

from __future__ import annotations

import argparse
import enum
import inspect
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from bench import extensions
from bench.cli import app

ROOT = Path(__file__).resolve().parents[2]

INTRODUCTION = """\
# Command line

<!-- Generated: python -m bench.cli.reference > docs/reference/cli.md -->

`yolopace COMMAND` and `python -m bench COMMAND` are the same. [Exit statuses](output-files.md#exit-statuses) are listed
elsewhere. Every command takes these options:"""

RUN = """\
`yolopace run OPTIONS` and `pytest bench/ --benchmark-only OPTIONS` do the same. pytest's own options work too, such as
`-k`, `-v` and `--benchmark-json`."""

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
    if "run" not in commands:
        parts += ["## run", RUN, *_tables(_pytest_options())]
    for name, command in commands.items():
        options = list(_parameters(command))
        if name == "run" and not any(row.names.startswith("`-") for row in options):
            options = _pytest_options()  # it hands all its arguments to pytest
        parts += [f"## {name}", *_paragraphs(command.help), *([RUN] if name == "run" else []), *_tables(options)]
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


class _Parser:
    """A plugin that keeps the options of pytest's groups and stops pytest before it does anything."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_cmdline_main(self, config: pytest.Config) -> int:
        """Keep the options of the groups of yolopace."""
        parser: Any = getattr(config, "_parser")  # noqa: B009 - pytest lists its options only as text
        for group in parser._groups:
            if not group.name.startswith("yolopace"):
                continue
            title = getattr(group, "description", "") or group._arggroup.title  # which, depends on pytest's version
            for option in group.options:
                attributes = option.attrs()
                if attributes.get("help") != argparse.SUPPRESS:
                    self.rows.append(_pytest_row(title, list(option.names()), attributes))
        return 0


def _pytest_row(title: str, names: list[str], attributes: dict[str, Any]) -> Row:
    value = f" `{attributes['metavar']}`" if attributes.get("metavar") else ""
    title = title.removeprefix("yolopace: ")
    panel = title[:1].upper() + title[1:]
    return Row(panel, ", ".join(f"`{name}`" for name in names) + value, str(attributes.get("help", "")), "")


def _pytest_options() -> list[Row]:
    """Options of a run, as pytest knows them."""
    parser = _Parser()
    pytest.main([str(ROOT / "bench"), "-p", "no:cacheprovider"], plugins=[parser])
    return parser.rows


def main() -> None:
    """Print the page."""
    if extensions.named_in([]):
        raise SystemExit(f"{extensions.VARIABLE} adds options that are not yolopace's: unset it.")
    print(reference(), end="")


if __name__ == "__main__":
    main()
