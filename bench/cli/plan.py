"""``python -m bench plan``: the cases of a profile, before anything is started."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from bench.cases.axes import AXES


def plan(
    profile: Annotated[str, typer.Option(help="smoke, quick or full.")] = "quick",
    mode: Annotated[Optional[str], typer.Option(help=AXES["mode"].help)] = None,  # noqa: UP045
    model: Annotated[Optional[str], typer.Option(help=AXES["model"].help)] = None,  # noqa: UP045
    device: Annotated[Optional[str], typer.Option(help=AXES["device"].help)] = None,  # noqa: UP045
    amp: Annotated[Optional[str], typer.Option(help=AXES["amp"].help)] = None,  # noqa: UP045
    batch: Annotated[Optional[str], typer.Option(help=AXES["batch"].help)] = None,  # noqa: UP045
    imgsz: Annotated[Optional[str], typer.Option(help=AXES["imgsz"].help)] = None,  # noqa: UP045
    results: Annotated[Path, typer.Option(help="Earlier runs, for the estimates.")] = Path("results"),
    python: Annotated[str, typer.Option(help="The interpreter to measure.")] = "",
) -> None:
    """List the cases of a profile with time estimates; starts nothing."""
    from bench.environments.interpreter import inspect
    from bench.pytest_plugin.options import parse
    from bench.pytest_plugin.progress import plan_lines
    from bench.runner.estimate import from_history

    options = {"mode": mode, "model": model, "device": device, "amp": amp, "batch": batch, "imgsz": imgsz}
    planned = parse(profile, options, "", 0, inspect(python)).planned()
    print("\n".join(plan_lines(planned, from_history(results))))
