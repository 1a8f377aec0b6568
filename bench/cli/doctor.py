"""``yolopace doctor``: what can be measured on this machine, and how to make the rest work."""

from __future__ import annotations

from typing import Annotated

import typer

from bench.cli import terminal
from bench.cli.io import say


def doctor(
    deep: Annotated[
        bool, typer.Option("--deep", help="Also train a few steps on each kind of device in each precision: a minute.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    python: Annotated[str, typer.Option(help="The interpreter to measure.")] = "",
) -> None:
    """Check every device and meter of this machine: ok, warning or unavailable, and what to do. It changes nothing.

    Exit status: 0 a device can be measured; 2 usage error; 4 no device can be measured.
    """
    import sys

    from rich.console import Console

    from bench.environments.interpreter import inspect
    from bench.errors import ExitCode
    from bench.machine.doctor import State, devices_of, examine
    from bench.machine.fingerprint import devices
    from bench.report.doctor import as_json, summary, table
    from bench.runner import doctor as runner

    machine, software = runner.look(python)
    rows = examine(machine, software)
    if deep and rows[0].status is State.USABLE:
        names = devices()
        say(f"training a few steps on {', '.join(names)}, in each precision ...")
        try:
            for row in runner.deep(inspect(python), names):
                rows.append(row)
        except KeyboardInterrupt:
            say("stopped: what was tried is shown")
    if json:
        print(as_json(rows))
    else:
        Console(width=None if sys.stdout.isatty() else 120).print(table(rows))
        terminal.show(f"\n{summary(rows)}")
    raise typer.Exit(ExitCode.OK if devices_of(rows)[0] else ExitCode.NOTHING_MEASURED)
