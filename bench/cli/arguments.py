"""Arguments of a command line before typer reads them: extensions, which add options, and old spellings of options."""

from __future__ import annotations

from collections.abc import Sequence

from bench import extensions
from bench.cli.io import say
from bench.errors import UsageError

RENAMED = {
    "ceiling": {"--most": "--max", "--granularity": "--multiple-of", "--cards": "--memory-sizes"},
    "node": {"--meet": "--rdzv-endpoint", "--machine": "--node-rank", "--phase-limit": "--phase-timeout"},
    "sweep": {"--with": "--pin"},
    "bisect": {"--with": "--pin"},
}
"""Options of each command that had another name before; the old ones work until the next release."""


def without_extensions(arguments: Sequence[str]) -> list[str]:
    """Return the arguments without ``--extension FILE``, which may stand anywhere.

    Raises:
        UsageError: where the file is missing.
    """
    rest: list[str] = []
    given = iter(arguments)
    for argument in given:
        if argument == extensions.OPTION:
            if not next(given, ""):
                raise UsageError(f"{extensions.OPTION} needs a Python file.")
        elif argument == "--":
            rest += [argument, *given]
        elif not argument.startswith(f"{extensions.OPTION}="):
            rest.append(argument)
    return rest


def current_spelling(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with the present names of options that were renamed; a remark says which were."""
    command = next((argument for argument in arguments if not argument.startswith("-")), "")
    renamed = RENAMED.get(command, {})
    spelled = []
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if name in renamed:
            say(f"{name} is now {renamed[name]}: the old name works until the next release.")
        spelled.append(f"{renamed.get(name, name)}{equals}{value}")
    return spelled
