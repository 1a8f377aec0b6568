"""Calibrate a machine by A/A measurements of one small case per device and mode.

Fresh processes run in random interleaved order, then interleaved pairs of the same cases, as in a live comparison.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench.cases.device_kinds import kind_of
from bench.cases.plan import PlannedRun, expand_grid, profile, repeat
from bench.compare.pairs import now
from bench.compare.scheduler import OnPair, PairScheduler
from bench.machine.conditions import conditions
from bench.machine.fingerprint import machine
from bench.records import store
from bench.records.comparison import CaseComparison, Comparison, EnvironmentSide
from bench.records.record import Record
from bench.runner.estimate import from_history
from bench.runner.launchers import local as launching
from bench.runner.launchers.local import Launcher
from bench.runner.run import Run

RUN_PREFIX = "calibration-"
"""Prefix of the folder of a calibration run, before the time and the machine."""

DEFAULT_BUDGET = 170.0
"""Default seconds of a calibration: on a small CPU eight processes of each case, and five pairs.

With start-up and the last pair it ends within three minutes."""

MAX_PROCESSES = 20
"""Largest number of processes of a case; more would hardly change the result."""

PAIRS = 8
"""Interleaved pairs of each case, if the budget allows."""

PAIRS_SHARE = 1 / 2
"""Share of the budget for interleaved pairs."""


def planned(devices: Sequence[str], seed: str) -> list[PlannedRun]:
    """Plan a training and a prediction case of each device with profile ``quick``, :data:`MAX_PROCESSES` times."""
    return repeat(cases("quick", devices), MAX_PROCESSES, seed)


def cases(name: str, devices: Sequence[str]) -> list[PlannedRun]:
    """Return a training and a prediction case of each device, by the recipe of a profile."""
    plans: list[PlannedRun] = []
    for device in devices:
        batch, size = kind_of(device).small_case
        values: dict[str, list[Any]] = {
            "mode": ["train", "predict"],
            "model": ["yolov8n"],
            "amp": ["off"],
            "batch": [batch],
            "imgsz": [size],
        }
        plans += expand_grid(profile(name), [device], values)
    return plans


def calibrate_interleaved(
    launcher: Launcher, devices: Sequence[str], folder: Path, budget: float, on_pair: OnPair
) -> Comparison:
    """Compare the environment with itself by interleaved pairs, until the budget is over; Ctrl-C ends it early.

    Args:
        launcher: of the environment; the caller closes it.
        devices: as cases name them.
        folder: of the calibration's run; the comparison is written there.
        budget: seconds; each case gets one pair in any case.
        on_pair: called after every pair.

    Raises:
        UsageError: where the environment or the data cannot be used at all.
    """
    environment = launcher.interpreter.environment
    itself = EnvironmentSide(asked="this environment", key="", packages=[], environment=environment)
    comparison = Comparison(
        run=folder.name,
        started=now(),
        machine=machine(),
        conditions=conditions(launcher.interpreter.variables),
        base=itself,
        head=itself,
        margin=0.0,
        margin_from="",
        memory_margin=0.0,
        cases=[
            CaseComparison(case=plan.case, recipe=plan.recipe)
            for plan in planned(devices, folder.name)
            if plan.process == 1
        ],
    )
    other = launching.open_launcher(launcher.interpreter)  # workers of one parent are more alike than those of two
    try:
        with contextlib.suppress(KeyboardInterrupt):
            PairScheduler(comparison, (launcher, other), folder, too_few, on_pair, budget=budget).run()
    finally:
        other.close()
    return comparison


def too_few(comparison: Comparison) -> dict[str, bool]:
    """Return the cases that run and have fewer than :data:`PAIRS` pairs."""
    live = (compared for compared in comparison.cases if compared.both_runnable and not compared.error)
    return {compared.case.id: False for compared in live if len(compared.pairs) < PAIRS}


def calibrate(
    launcher: Launcher,
    devices: Sequence[str],
    results: Path,
    budget: float,
    say: Callable[[Record, Run], None],
) -> tuple[list[Record], Path, str, bool]:
    """Measure until the budget is over; every record is saved at once.

    Args:
        launcher: of the environment; the caller closes it.
        devices: as cases name them.
        results: folder of all runs.
        budget: seconds for everything, importing torch included.
        say: called with every record and its run.

    Returns:
        The records, in the order of measurement; their folder; one sentence on records that had no room there, or an
        empty string; and whether Ctrl-C ended it early.

    Raises:
        UsageError: where the environment cannot be used or the folder not written to.
    """
    name = RUN_PREFIX + store.new_run_name(machine().fingerprint)
    folder = store.Store(results, name, new=True)
    plans = planned(devices, folder.run)
    run = Run(plans, folder, launcher, from_history(results), time_budget=budget)
    stopped = False
    try:
        for plan in plans:
            if not run.skip_reason(plan):
                say(run.measure(plan), run)
    except KeyboardInterrupt:
        stopped = True
    finally:
        trouble = folder.rescue()
        if not run.records:
            folder.discard()
    return run.records, folder.folder, trouble, stopped
