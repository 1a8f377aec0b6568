"""``python -m bench compat``: what runs with old and new releases of Ultralytics and torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from bench.cli.axis_options import axis_options
from bench.cli.io import say
from bench.errors import ExitCode, NothingMeasured
from bench.pytest_plugin import output_streams


@axis_options()
def compat(
    environment: Annotated[
        Optional[list[str]],  # noqa: UP045 - typer reads it
        typer.Option(metavar="SPEC", help="ultralytics==8.4.0,torch==2.6.0 and the like; may be repeated."),
    ] = None,
    results: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Folder for the runs; default: a new one under results."),
    ] = None,
    exclude_newer: Annotated[str, typer.Option(metavar="DATE", help="Leave out releases after this date.")] = "",
    *,
    axes: dict[str, list[Any]],
) -> None:
    """Run the smoke profile with old and new Ultralytics and torch; a Markdown table of what ran."""
    from bench.compat import smoke_runs as runner
    from bench.compat.environment_run import EnvironmentRun
    from bench.compat.table import compatibility
    from bench.environments.cache_checks import check_usable
    from bench.environments.specification import Specification
    from bench.machine.fingerprint import machine
    from bench.records.store import new_run_name
    from bench.report.comparisons.compat import to_md

    check_usable()
    wanted = [Specification.parse(text) for text in environment or []] or runner.specifications(exclude_newer)
    folder = results or Path("results") / f"compat-{new_run_name(machine().fingerprint)}"
    tried: list[EnvironmentRun] = []
    try:
        for environment_run in runner.run(wanted, folder, say, exclude_newer, axes):
            tried.append(environment_run)
    finally:  # Ctrl-C shows what was measured until then, also of the environment that it stopped
        table = compatibility(tried)
        if tried:
            output_streams.data_follow()
            print(to_md(table).rstrip("\n"))
    if not table.measured:
        raise NothingMeasured("no case was measured in any environment: the table says why.")
    say(f"the records are in {folder}")
    if not table.fine:
        raise typer.Exit(ExitCode.REGRESSION)
