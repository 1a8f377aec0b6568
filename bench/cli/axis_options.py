"""Options of the axes, generated from their registry: the same ones for every command that chooses cases."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Annotated, Any, Optional, get_type_hints

import typer

from bench.cases.axes import Axis, axes, parse_options

PARAMETER = "axes"
"""The parameter of a command that takes the values of the axes, by axis."""

FIRST_DEVICE = {"device": "; default: the first here"}
"""The note of a command that takes the first device of the machine by default."""

FURTHER = Annotated[
    Optional[list[str]],  # noqa: UP045 - typer reads it
    typer.Option("--axis", metavar="NAME=VALUES", help="Values of a further axis; again for another axis."),
]


KEYWORD = inspect.Parameter.KEYWORD_ONLY


def axis_options(
    without: Collection[str] = (), defaults: Mapping[str, str] | None = None, notes: Mapping[str, str] | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command an option for each axis, and ``--axis`` for all of them.

    The command has a parameter ``axes``: the values that were asked for, by axis. The options stand in its place.

    Args:
        without: axes without a separate option in this command.
        defaults: text of the default values of an axis.
        notes: what to add to the help of an axis.
    """
    texts, about = defaults or {}, notes or {}

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        options = {
            axis.name: _parameter(axis, texts.get(axis.name), about.get(axis.name, ""))
            for axis in axes().values()
            if axis.option and axis.name not in without
        }

        def run(**given: Any) -> None:
            asked = {name: given.pop(name, option.default) for name, option in options.items()}
            further = given.pop("axis", None) or []
            command(**given, **{PARAMETER: parse_options(asked, further)})

        parameters = [*options.values(), inspect.Parameter("axis", KEYWORD, default=None, annotation=FURTHER)]
        return replace_parameter(command, PARAMETER, parameters, run)

    return decorate


def replace_parameter(
    command: Callable[..., None], name: str, parameters: list[inspect.Parameter], run: Callable[..., None]
) -> Callable[..., None]:
    """Give ``run`` the name, help and parameters of a command, with others in place of one of them."""
    hints = get_type_hints(command, include_extras=True)
    all_parameters: list[inspect.Parameter] = []
    for own in inspect.signature(command).parameters.values():
        all_parameters += parameters if own.name == name else [own.replace(annotation=hints[own.name], kind=KEYWORD)]
    run.__name__, run.__doc__, run.__module__ = command.__name__, command.__doc__, command.__module__
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in all_parameters}
    setattr(run, "__signature__", inspect.Signature(all_parameters))  # noqa: B010 - typer reads it
    return run


def _parameter(axis: Axis, default: str | None, note: str) -> inspect.Parameter:
    """Return the option of an axis."""
    option = typer.Option(f"--{axis.name.replace('_', '-')}", metavar="VALUES", help=f"{axis.help}{note}")
    annotation = Annotated[Optional[str], option]  # noqa: UP045 - typer reads it
    return inspect.Parameter(axis.name, KEYWORD, default=default, annotation=annotation)
