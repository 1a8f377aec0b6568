"""``python -m bench selfcheck``: the suite, measured by itself."""

from __future__ import annotations

import contextlib
import itertools
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from bench.cli.io import say

if TYPE_CHECKING:  # --help does without what these import
    from bench.selfcheck.check import Check


FLEET_CASES = 50
"""Canned records of each simulated machine."""


def selfcheck(
    cases: Annotated[int, typer.Option(min=1, help="Training cases started for the fixed cost.")] = 9,
    pairs: Annotated[
        int, typer.Option(min=0, help="Epochs of plain training for each comparison with it; 0: none.")
    ] = 5,
    python: Annotated[str, typer.Option(help="The interpreter to measure.")] = "",
    regress: Annotated[
        bool, typer.Option("--regress", help="Check the verdicts of regress instead, by injected slow-downs.")
    ] = False,
    comparisons: Annotated[int, typer.Option(min=1, help="Whole comparisons of each effect, with --regress.")] = 20,
    effects: Annotated[
        str, typer.Option(help="With --regress: some of none,+5%,+2%,optimizer,data.")
    ] = "none,+5%,+2%,optimizer,data",
    truth: Annotated[
        bool, typer.Option("--truth", help="Check seconds per epoch of each workload against its plain loop instead.")
    ] = False,
    workloads: Annotated[
        str, typer.Option(metavar="NAMES", help="With --truth: some workloads, such as torch:resnet18; default: all.")
    ] = "",
    formats: Annotated[
        bool,
        typer.Option("--formats", help="Check the forward pass of exported formats against their runtimes instead."),
    ] = False,
    processes: Annotated[
        int, typer.Option(min=2, help="With --truth, processes of each side; with --formats, of each cell.")
    ] = 6,
    fleet: Annotated[
        bool,
        typer.Option("--fleet", help="Check a fleet instead: its coordinator by simulated machines, and real agents."),
    ] = False,
    machines: Annotated[int, typer.Option(min=0, help="Simulated machines, with --fleet; 0: none.")] = 200,
    agents: Annotated[
        int, typer.Option(min=0, help="With --fleet, agents that measure 12 cases here, as a local run; 0: none.")
    ] = 3,
    tune: Annotated[
        bool,
        typer.Option(
            "--tune", help="Check the search for the fastest settings instead: about 35 minutes, 22 by one seed."
        ),
    ] = False,
    seeds: Annotated[int, typer.Option(min=0, help="Searches with --tune; 0: the simulation alone, seconds.")] = 5,
    keep: Annotated[
        Optional[Path],  # noqa: UP045 - typer reads it
        typer.Option(
            metavar="FOLDER", help="With --regress or --truth: keep what is measured there, and go on with it."
        ),
    ] = None,
) -> None:
    """Measure the suite itself on this machine: what a case costs, its figures against plain training, its verdicts."""
    from bench.environments.cache_checks import check_usable
    from bench.environments.interpreter import inspect
    from bench.selfcheck import checks, planted_effects
    from bench.selfcheck import truth as truths
    from bench.selfcheck.effects import chosen
    from bench.selfcheck.formats import checks as format_checks

    check_usable()
    if fleet:
        from bench.selfcheck import fleet as coordinators
        from bench.selfcheck import fleet_runs

        simulated = coordinators.checks(machines, FLEET_CASES) if machines else ()
        show(itertools.chain(simulated, fleet_runs.checks(agents, say) if agents else ()))
        return
    if truth:
        cases_of_truth = truths.chosen(workloads)
        interpreter = inspect(python, [case.model for case in cases_of_truth.values()])
        show(truths.checks(interpreter, cases_of_truth, processes, say, keep))
        return
    interpreter = inspect(python)
    if tune:
        from bench.selfcheck import tune as tunes

        show(tunes.checks(interpreter, seeds, say))
        return
    if formats:
        show(format_checks(interpreter, processes, say))
    elif regress:
        show(planted_effects.checks(interpreter, chosen(effects), comparisons, keep, say))
    else:
        show(checks(interpreter, cases, pairs, say))


def show(checks: Iterable[Check]) -> None:
    """Print checks as a table; Ctrl-C ends them early, and the finished ones are shown."""
    from rich.console import Console
    from rich.table import Table

    shown = Table("Check", "Figure", "Goal", "How")
    with contextlib.suppress(KeyboardInterrupt):
        for check in checks:
            shown.add_row(check.name, check.figure, check.goal, check.how)
    Console(width=None if sys.stdout.isatty() else 140).print(shown)
