"""Run a calibration: measure processes of the same case, then interleaved pairs; print and keep the results."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.analysis import noise
from bench.analysis.flags import commonest
from bench.analysis.intervals import single_process
from bench.analysis.noise import DEFAULT_MARGIN
from bench.cli import terminal
from bench.cli.calibration_text import calibration_lines, lockstep_line
from bench.cli.io import say
from bench.cli.live.pairs import pair_line
from bench.compare import calibration as runner
from bench.environments.interpreter import Interpreter
from bench.errors import NothingMeasured, UsageError
from bench.formatting import format_rough_duration
from bench.machine.fingerprint import machine
from bench.machine.paths import calibration_folder
from bench.pytest_plugin.progress import line, so_far
from bench.records import store
from bench.records.calibration import ENOUGH, Calibration, Lockstep
from bench.records.comparison import CaseComparison
from bench.records.outcome import Status
from bench.records.record import Record
from bench.runner.launchers import local
from bench.runner.run import Run
from bench.text import clean


class CalibrationRun(msgspec.Struct, frozen=True):
    """Results of a calibration.

    Attributes:
        records: of all processes.
        folder: of the records.
        problem: one sentence where a record could not be written, else empty.
        calibrations: of each device and mode that was measured often enough.
        pairs: of interleaved pairs, likewise.
    """

    records: list[Record]
    folder: Path
    problem: str
    calibrations: Sequence[Calibration]
    pairs: Sequence[Lockstep]


def measure(interpreter: Interpreter, devices: list[str], results: Path, budget: float) -> CalibrationRun:
    """Measure processes, then pairs, and say a line for each."""
    say(f"measuring {', '.join(devices)} against itself for {format_rough_duration(budget)} ...")
    with terminal.doing("measuring fresh processes"), contextlib.closing(local.open_launcher(interpreter)) as launcher:
        began = time.monotonic()
        launcher.prepare()
        share = budget * (1 - runner.PAIRS_SHARE)
        records, folder, problem, stopped = runner.calibrate(launcher, devices, results, share, _say_process)
        calibrations = noise.calibrations(records)
        pairs: Sequence[Lockstep] = []
        if calibrations and not stopped:
            terminal.LIVE.update("measuring interleaved pairs")
            rest = budget - (time.monotonic() - began)
            pairs = noise.lockstep(runner.calibrate_interleaved(launcher, devices, folder, rest, _say_pair))
    return CalibrationRun(records, folder, problem, calibrations, pairs)


def _say_process(record: Record, run: Run) -> None:
    rest = len(run.planned) - run.skipped
    together = so_far(run.measured(record.case))
    say(line(record, len(run.records), rest, run.seconds_left(), processes=runner.MAX_PROCESSES, running_mean=together))
    if run.save_error:
        say(run.save_error)


def _say_pair(compared: CaseComparison, problem: str) -> None:
    if problem or compared.both_runnable:
        say(f"interleaved: {compared.case.id}  {problem or pair_line(compared, DEFAULT_MARGIN, planned=False)}")


def show(run: CalibrationRun) -> None:
    """Print the results of each device and mode, and the cases without a result."""
    pairs = {(lockstep.device, lockstep.mode): lockstep for lockstep in run.pairs}
    for calibration in run.calibrations:
        widths = {count: noise.half_width_for(calibration.pair_stdev, count) for count in noise.LOOKS}
        terminal.show("\n".join(calibration_lines(calibration, widths, single_process(calibration.summary))))
        if calibration.processes < ENOUGH:
            terminal.show(
                f"  warning: {calibration.processes} processes give a rough estimate: use a longer --time-budget"
            )
        if together := pairs.get((calibration.device, calibration.mode)):
            widths = {count: noise.half_width_for(together.stdev, count) for count in noise.LOOKS}
            terminal.show(f"  {lockstep_line(together, widths, noise.margin_of(together))}")
    known = {calibration.case for calibration in run.calibrations}
    first = {record.case: record for record in reversed(run.records) if record.case.id not in known}
    for case, record in first.items():
        count = sum(record.case == case and record.outcome.status is Status.MEASURED for record in run.records)
        few = f"measured {count} times, fewer than {noise.LEAST} without interference: no estimate"
        terminal.show(clean(f"{case.device}, {case.id}: {few if count else record.outcome.reason}"))
    if run.problem:
        say(run.problem)


def keep(run: CalibrationRun) -> None:
    """Keep the results for later comparisons on this machine.

    Raises:
        NothingMeasured: where there is no result.
        UsageError: where it cannot be written.
    """
    if not run.calibrations:
        raise nothing(run.records)
    place, here = calibration_folder(), machine()
    if complaint := store.read_calibrations(place, here)[1]:
        say(complaint)
    if problem := store.keep_calibrations(place, here, run.calibrations, run.pairs):
        raise UsageError(problem)
    kept, _ = store.read_calibrations(place, here)
    for calibration in run.calibrations:
        if calibration not in kept.calibrations:
            terminal.show(f"{calibration.device}, {calibration.mode}: an earlier calibration of more processes is kept")
    terminal.show(f"calibration: {place / kept.file_name}; records: {run.folder}")


def nothing(records: list[Record]) -> NothingMeasured:
    """Return the error that says why there is no result, and what may help."""
    measured = [record for record in records if record.outcome.status is Status.MEASURED]
    if records and not measured and all(record.outcome.status is not Status.INTERRUPTED for record in records):
        remedy = "the reasons are above"
    elif phrase := commonest(records):
        remedy = f"remove the most frequent interference ({phrase})"
    else:
        remedy = "use a longer --time-budget"
    return NothingMeasured(f"no device was measured often enough without interference, so nothing is kept: {remedy}.")
