"""Options that all live comparisons have: which cases, how exactly, and where the results go."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Optional, get_type_hints

import msgspec
import typer

from bench.cli.axis_options import FIRST_DEVICE, axis_options, replace_parameter

PARAMETER = "shared"
"""The parameter of a command that takes these options."""


class SharedOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options of a live comparison, as they were given; each field is an option of that name."""

    case: Annotated[
        Optional[list[str]],  # noqa: UP045 - typer reads it
        typer.Option("--case", metavar="ID", help="A case such as train-yolov8n-cpu-fp32-b4-i160; may be repeated."),
    ] = None
    axes: dict[str, list[Any]]
    data: Annotated[str, typer.Option(help="An Ultralytics data yaml; default: a generated dataset.")] = ""
    threads: Annotated[int, typer.Option(help="CPU threads; 0: the workload's own choice.")] = 0
    margin: Annotated[
        str,
        typer.Option(metavar="PERCENT", help="Equivalence margin of speed; default: what calibrate found, or 3%."),
    ] = ""
    time_budget: Annotated[str, typer.Option(metavar="TIME", help="Stop before this time is used up, such as 10m.")] = (
        ""
    )
    exclude_newer: Annotated[str, typer.Option(metavar="DATE", help="Leave out all releases after this date.")] = ""
    results: Annotated[Path, typer.Option(help="Folder of the records.")] = Path("results")
    reports: Annotated[Path, typer.Option(help="Folder of the page.")] = Path("reports")
    json: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(metavar="FILE", help="Write the result as JSON to this file too."),
    ] = None
    resume: Annotated[bool, typer.Option("--resume", help="Continue the newest run with these arguments.")] = False


Package = Annotated[str, typer.Option(help="torch, ultralytics, or a runtime such as onnxruntime.")]

Override = Annotated[
    str,
    typer.Option(
        metavar="SPEC",
        help="Packages that stay the same, such as torch==2.14.1; default: those that the newest release installs.",
    ),
]


def comparison_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command these options and those of the axes, in place of its parameter ``shared``."""
    hints = get_type_hints(SharedOptions, include_extras=True)

    def run(**given: Any) -> None:
        shared = SharedOptions(**{name: given.pop(name) for name in hints})
        command(**given, **{PARAMETER: shared})

    parameters = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.default is msgspec.NODEFAULT else field.default,
            annotation=hints[field.name],
        )
        for field in msgspec.structs.fields(SharedOptions)
    ]
    return axis_options(notes=FIRST_DEVICE)(replace_parameter(command, PARAMETER, parameters, run))
