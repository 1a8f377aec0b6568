"""``python -m bench plan``: the cases of a profile, before anything is started."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from bench.cli.axis_options import axis_options


@axis_options()
def plan(
    profile: Annotated[str, typer.Option(help="smoke, quick or full.")] = "quick",
    *,
    axes: dict[str, list[Any]],
    results: Annotated[Path, typer.Option(help="Earlier runs, for the estimates.")] = Path("results"),
    python: Annotated[str, typer.Option(help="The interpreter to measure.")] = "",
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="List every case too.")] = False,
) -> None:
    """Show the cases of a profile with time estimates; starts nothing."""
    from bench.cases.availability import unavailable_lines, why_unavailable
    from bench.environments.interpreter import inspect
    from bench.pytest_plugin.options import parse
    from bench.pytest_plugin.progress import plan_lines
    from bench.runner.estimate import from_history

    planned, questions = parse(profile, axes, "", 0, inspect(python, axes.get("model", [""]))).planned()
    modes = {plan.case.mode for plan in (*planned, *questions)}
    unavailable = unavailable_lines([(plan.case, why_unavailable(plan.case)) for plan in questions], modes)
    print("\n".join(plan_lines(planned, from_history(results), unavailable, verbose, questions)))
