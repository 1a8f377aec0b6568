"""``python -m bench calibrate``: this machine against itself, and what that means for a comparison."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from bench.cases.axes import find_axis, parse_values
from bench.cli.io import say
from bench.errors import NothingMeasured, UsageError
from bench.records.record import Record
from bench.text import clean

if TYPE_CHECKING:  # --help does without what these import
    from bench.records.comparison import CaseComparison
    from bench.runner.run import Run


def calibrate(
    device: Annotated[Optional[str], typer.Option(help=f"{find_axis('device').help}; default: all here.")] = None,  # noqa: UP045
    time_budget: Annotated[
        str, typer.Option(metavar="TIME", help="For everything, such as 90s or 10m; default: 3 minutes.")
    ] = "",
    results: Annotated[Path, typer.Option(help="Where the records go.")] = Path("results"),
    python: Annotated[str, typer.Option(help="The interpreter to measure.")] = "",
) -> None:
    """Measure this machine against itself: how far do fresh processes of the same thing differ?"""
    from bench.analysis import noise
    from bench.analysis.intervals import single_process
    from bench.analysis.noise import DEFAULT_MARGIN
    from bench.cli.live_comparison import pair_line
    from bench.compare import calibration as runner
    from bench.environments.cache_checks import check_calibrations, check_usable
    from bench.environments.interpreter import inspect
    from bench.formatting import parse_duration
    from bench.machine.fingerprint import devices, machine
    from bench.machine.paths import calibration_folder
    from bench.pytest_plugin.progress import calibration_lines, line, lockstep_line, so_far
    from bench.records import calibration, store
    from bench.records.outcome import Status
    from bench.runner.launchers.local import open_launcher

    chosen = parse_values(find_axis("device"), device) if device is not None else devices()
    budget = parse_duration(time_budget) if time_budget else runner.BUDGET

    def told(record: Record, run: Run) -> None:
        rest = len(run.planned) - run.spared
        together = so_far(run.measured(record.case))
        number = len(run.records)
        say(line(record, number, rest, run.seconds_left(), processes=runner.MOST, together=together))
        if run.trouble:
            say(run.trouble)

    def told_pair(compared: CaseComparison, trouble: str) -> None:
        if trouble or compared.both:
            say(f"in turns: {compared.case.id}  {trouble or pair_line(compared, DEFAULT_MARGIN)}")

    check_usable()
    check_calibrations()
    with contextlib.closing(open_launcher(inspect(python))) as launcher:
        began = time.monotonic()
        launcher.prepare()
        share = budget * (1 - runner.PAIRS_SHARE)
        records, folder, trouble, stopped = runner.calibrate(launcher, chosen, results, share, told)
        found = noise.calibrations(records)
        turns = []
        if found and not stopped:
            rest = budget - (time.monotonic() - began)
            turns = noise.lockstep(runner.in_turns(launcher, chosen, folder, rest, told_pair))
    pairs = {(one.device, one.mode): one for one in turns}
    for one in found:
        seen = {count: noise.half_width_for(one.pair_stdev, count) for count in noise.LOOKS}
        print("\n".join(calibration_lines(one, seen, single_process(one.summary))))
        if one.processes < calibration.ENOUGH:
            print(f"  {one.processes} processes tell this but roughly: give it more time (--time-budget)")
        if together := pairs.get((one.device, one.mode)):
            seen = {count: noise.half_width_for(together.stdev, count) for count in noise.LOOKS}
            print(f"  {lockstep_line(together, seen, noise.margin_of(together))}")
    known = {one.case for one in found}
    for record in {record.case: record for record in reversed(records) if record.case.id not in known}.values():
        count = sum(r.case == record.case and r.outcome.status is Status.MEASURED for r in records)
        few = f"measured {count} times, fewer than {noise.LEAST} of them undisturbed: nothing can be said"
        print(clean(f"{record.case.device}, {record.case.id}: {few if count else record.outcome.reason}"))
    if trouble:
        say(trouble)
    if not found:
        raise nothing(records)
    place, here = calibration_folder(), machine().fingerprint
    _, wrong = store.read_calibrations(place, here)
    if wrong:
        say(wrong)
    if unsaved := store.keep_calibrations(place, here, found, turns):
        raise UsageError(unsaved)
    kept, _ = store.read_calibrations(place, here)
    for one in found:
        if one not in kept.calibrations:
            print(f"{one.device}, {one.mode}: an earlier calibration of more processes stays in its place")
    print(f"kept in {place / kept.file_name}; records: {folder}")


def nothing(records: list[Record]) -> NothingMeasured:
    """Why nothing is known, and what may help."""
    from bench.analysis.flags import commonest
    from bench.records.outcome import Status

    measured = [record for record in records if record.outcome.status is Status.MEASURED]
    if records and not measured and all(record.outcome.status is not Status.INTERRUPTED for record in records):
        remedy = "the reasons are above"
    elif phrase := commonest(records):
        remedy = f"mend what disturbed it most often ({phrase})"
    else:
        remedy = "give it more time (--time-budget)"
    return NothingMeasured(f"no device was measured often enough undisturbed, so nothing is kept: {remedy}.")
