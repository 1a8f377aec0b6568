"""``yolopace calibrate``: the noise floor of this machine, and what it means for a comparison."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from bench.cases.axes import find_axis, parse_values


def calibrate(
    device: Annotated[Optional[str], typer.Option(help=f"{find_axis('device').help}; default: all here.")] = None,  # noqa: UP045
    time_budget: Annotated[
        str, typer.Option(metavar="TIME", help="Time for all devices, such as 90s or 10m; default: 3 minutes.")
    ] = "",
    results: Annotated[Path, typer.Option(help="Folder of the records.")] = Path("results"),
    python: Annotated[str, typer.Option(help="The interpreter to measure.")] = "",
) -> None:
    """Measure the run-to-run noise of this machine (A/A test): how far do fresh processes of the same case differ?"""
    from bench.cli import calibration
    from bench.compare.calibration import DEFAULT_BUDGET
    from bench.environments.cache_checks import check_calibrations, check_usable
    from bench.environments.interpreter import inspect
    from bench.formatting import parse_duration
    from bench.machine.fingerprint import devices

    chosen = parse_values(find_axis("device"), device) if device is not None else devices()
    budget = parse_duration(time_budget) if time_budget else DEFAULT_BUDGET
    check_usable()
    check_calibrations()
    run = calibration.measure(inspect(python), chosen, results, budget)
    calibration.show(run)
    calibration.keep(run)
