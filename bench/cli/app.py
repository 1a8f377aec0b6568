"""The command line: ``yolopace COMMAND``, or ``python -m bench COMMAND``."""

from __future__ import annotations

import contextlib
import importlib
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, NoReturn, Optional

import typer
from typer.core import TyperGroup

from bench import __version__, extensions, signals
from bench.cli import dependencies
from bench.cli.arguments import current_spelling, without_extensions
from bench.cli.help_groups import GroupedCommand, unwrapped
from bench.cli.io import say
from bench.environments import failure_causes
from bench.errors import BenchError, ExitCode, UsageError, describe_unexpected
from bench.pytest_plugin import output_streams
from bench.pytest_plugin.first_line import write_first_line

ABOUT = "Throughput of real Ultralytics YOLO training and prediction on this machine. Begin with: yolopace run"

GROUPS = {
    "Measure": {
        "run": "Measure this machine and make the report; the same as pytest bench/ --benchmark-only.",
        "tune": "The fastest settings for your model, data and machine, proven against the present ones.",
        "ceiling": "Search for the largest batch that trains.",
        "regress": "Is head slower than base? Two environments, compared live in interleaved pairs.",
        "sweep": "Throughput over releases, each compared live with the first of them.",
        "bisect": "With which release did it become slower? A binary search by live comparisons.",
        "node": "Train one case over several machines.",
        "fleet": "Measure on several machines at once, over ssh.",
    },
    "Look": {
        "report": "Make the report of the given runs: cases, ceilings and live comparisons.",
        "table": "Print one row per case of a run and one per ceiling.",
        "compare": "Compare two recorded runs case by case, without a verdict.",
        "plan": "List the cases of a profile with time estimates; starts nothing.",
    },
    "Machine": {
        "doctor": "Check every device and meter of this machine: ok, warning or unavailable, and what to do.",
        "calibrate": "Measure the run-to-run noise of this machine (A/A test).",
    },
    "Develop": {
        "selfcheck": "Measure the suite itself: cost per case, figures against plain training, verdicts.",
        "compat": "Run the smoke profile with old and new Ultralytics and torch; a table of what ran.",
    },
}
"""Commands by group, each with the line that lists it; it is the function of that name in the module of that name."""

COMMANDS = {name: about for group in GROUPS.values() for name, about in group.items()}


def build(arguments: Sequence[str]) -> typer.Typer:
    """Return the application, with the options of the commands that ``arguments`` may name.

    Only their modules are imported, so that ``--help`` is quick, and after all extensions, whose axes have options.
    """
    app = typer.Typer(
        cls=_Commands, help=ABOUT, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
    )
    app.callback(invoke_without_command=True)(options)
    for group, commands in GROUPS.items():
        for name, about in commands.items():
            if name in arguments:
                epilog = f"{extensions.OPTION} FILE: {extensions.HELP}." if name != "run" else None
                command = getattr(importlib.import_module(f"bench.cli.{name}"), name)
                text = unwrapped(command)
                app.command(name, cls=GroupedCommand, help=text, epilog=epilog, rich_help_panel=group)(command)
            else:
                app.command(name, help=about, rich_help_panel=group)(_listed)
    return app


class _Commands(TyperGroup):
    """All commands. Interrupts are kept from typer, which would end with a status of its own and no sentence."""

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        """Read the arguments."""
        with _aborting():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        with _aborting():
            return super().invoke(ctx)


@contextlib.contextmanager
def _aborting() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt as interrupt:
        raise typer.Abort() from interrupt


def _listed() -> None:
    """Stand for a command that is listed and not run."""


def options(
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
    extension: Annotated[
        Optional[list[str]],  # noqa: UP045 - typer reads it
        typer.Option(extensions.OPTION, metavar="FILE", help=f"{extensions.HELP[0].upper()}{extensions.HELP[1:]}."),
    ] = None,
) -> None:
    """Options of every command."""
    if version:
        print(__version__)
        raise typer.Exit(ExitCode.OK)


def main() -> None:
    """Run a command; every error is one sentence and an exit code."""
    output_streams.prepare()
    try:
        try:
            _guarded(sys.argv[1:])
        finally:  # whatever happened: what fails at the interpreter's own end would have exit status 120
            sys.stdout.flush()
            eval("None")  # forgets a Ctrl-C in the middle of a library's exec, which would replace the exit status
    except output_streams.OutputFailed as failure:
        say(f"yolopace: {failure.sentence}")
        raise


def run(arguments: Sequence[str]) -> NoReturn:
    """Run the command that ``arguments`` name, and exit with its status.

    Raises:
        UsageError: for arguments that typer refuses, in one sentence instead of its box.
    """
    extensions.load(extensions.named_in(arguments))
    rest = without_extensions(arguments)
    if rest[:1] == ["run"] and "--help" not in rest:
        own = list(arguments)
        own.remove("run")
        write_first_line(own)
        from bench.cli.run import measure  # with pytest, which takes a while

        raise SystemExit(measure(own))  # pytest reads its arguments, which may be any of pytest's own
    rest = current_spelling(rest)
    try:
        code = build(rest)(rest, standalone_mode=False)
    except ARGUMENT_ERROR as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            error.show()
            raise SystemExit(error.exit_code) from None
        raise UsageError(_describe_argument_error(error)) from None
    raise SystemExit(int(code or ExitCode.OK))


ARGUMENT_ERROR: Any = typer.BadParameter.__mro__[2]
"""Base class of the errors of arguments: ``ClickException``, which typer brings along and does not export."""


def _describe_argument_error(error: Any) -> str:
    """Return the error of an argument as one sentence, with the command whose help lists what is allowed."""
    text = " ".join(error.format_message().split()).removesuffix(".")
    for theirs, ours in (("Value error, ", ""), ("Input should be", "it has to be"), (r", unable to parse.*", "")):
        text = re.sub(theirs, ours, text)
    text = re.sub(r"\. Did you mean (.*)\?$", r" (did you mean \1?)", text)
    context = getattr(error, "ctx", None)
    command = f"{context.info_name} " if context is not None and context.parent is not None else ""
    return f"{text[:1].lower()}{text[1:]}; see yolopace {command}--help."


def _guarded(arguments: Sequence[str]) -> None:
    try:
        signals.interrupt_on_signals()
        run(arguments)
    except BenchError as error:
        say(f"yolopace: {error}")
        raise SystemExit(int(error.code)) from None
    except (KeyboardInterrupt, typer.Abort) as interrupt:  # typer takes the former for the latter
        say(f"yolopace: stopped by {signals.name_of(interrupt)}.")
        raise SystemExit(int(ExitCode.WRONG_USE)) from None
    except OSError as error:  # a disk that is full, say: whatever else ended with 1 would pass for a regression
        say(f"yolopace: {failure_causes.describe_system_error(error)}")
        raise SystemExit(int(ExitCode.WRONG_USE)) from None
    except SystemExit as end:
        if end.code == 1 and isinstance(end.__context__, BrokenPipeError):  # click ends with 1 where a pipe closes
            _unexpected(end.__context__)
        raise
    except Exception as error:
        _unexpected(error)


def _unexpected(error: BaseException) -> NoReturn:
    """Say an unforeseen error in one sentence; the traceback goes to a file."""
    if old := dependencies.outdated():
        say(f"yolopace: {old}")
        if "--help" in sys.argv[1:]:
            print(_short_help())
            raise SystemExit(int(ExitCode.OK))
    else:
        say(f"yolopace: {failure_causes.describe_system_error(error) or describe_unexpected(error)}")
    raise SystemExit(int(ExitCode.WRONG_USE))


def _short_help() -> str:
    """List the commands without the library that writes the whole help, where that is too old for it."""
    lines = [f"  {name:<10} {about}" for name, about in COMMANDS.items()]
    return "\n".join(["Usage: yolopace COMMAND [OPTIONS]", "", ABOUT, "", "Commands:", *lines])
