"""``yolopace run``: measure this machine, as ``pytest bench/ --benchmark-only`` does."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Annotated, Any, Optional

import pytest
import typer

from bench.cli.axis_options import replace_parameter
from bench.errors import ExitCode, UsageError
from bench.pytest_plugin.command_line import RunOption, run_options
from bench.pytest_plugin.endings import describe_usage_error
from bench.pytest_plugin.first_line import WRITTEN

FOLDER = Path(__file__).resolve().parents[1]
"""The folder whose tests are the cases."""


def measure(arguments: Sequence[str]) -> int:
    """Measure what the options ask for, and return the exit status; the first line is written.

    Args:
        arguments: options of yolopace and of pytest.
    """
    if not (FOLDER / "test_train.py").is_file():
        raise UsageError(f"{FOLDER} has no test_*.py files, which are the cases: install yolopace again.")
    given, plugin = [str(FOLDER), "--benchmark-only", "-p", "no:cacheprovider", *arguments], _Began()
    code = pytest.main(given, plugins=[plugin])
    # pytest's own status for an option that it does not know is that of a run that measured nothing.
    return int(code) if plugin.began else int(ExitCode.WRONG_USE)


class _Began:
    """A plugin of pytest that says that the first line is written, and learns whether the options were understood."""

    began = False

    def pytest_addoption(self, pluginmanager: pytest.PytestPluginManager) -> None:
        """Take the name by which it is looked for."""
        pluginmanager.register(object(), WRITTEN)

    @pytest.hookimpl(wrapper=True)
    def pytest_cmdline_parse(self) -> Generator[None, object, object]:
        """Say what is wrong with the options in one sentence, without pytest's own usage."""
        try:
            return (yield)
        except pytest.UsageError as error:
            raise describe_usage_error(error) from None

    def pytest_configure(self) -> None:
        """Note that all options were understood."""
        self.began = True


def listed_option(option: RunOption, hidden: bool = False) -> inspect.Parameter:
    """Return an option as the help lists it; a hidden one is not listed."""
    first = option.help.partition(" ")[0]
    about = f"{option.help[0].upper() if first.isalpha() else option.help[0]}{option.help[1:]}."
    listed = typer.Option(
        option.name, metavar=option.metavar or None, help=about, rich_help_panel=option.group, hidden=hidden
    )
    kind: Any = bool if not option.metavar else Optional[list[str]] if option.repeated else Optional[str]  # noqa: UP045
    name = option.name.lstrip("-").replace("-", "_")
    default = None if option.metavar else False
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, listed])


def _with_listed_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give the command the options of a run, for its help; pytest reads the arguments, its own among them."""
    options = [listed_option(option) for option in run_options() if option.group]
    return replace_parameter(command, "options", options, command)


@_with_listed_options
def run(**options: Any) -> None:
    """Measure this machine: records, a page, and the result in the terminal.

    pytest bench/ --benchmark-only does the same. pytest's own options work too, such as -k, -v and --benchmark-json.

    Exit status: 0 measured; 1 a case failed; 2 usage error; 4 nothing was measured.
    """
    raise AssertionError("the arguments of run are read by pytest")
