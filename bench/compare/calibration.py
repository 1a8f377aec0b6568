"""This machine against itself: fresh processes of one small case a device and mode, in random interleaved order.

Then pairs of processes of the same cases that take turns, as two environments are compared.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench.cases.device_kinds import kind_of
from bench.cases.plan import PlannedRun, expand_grid, profile, repeat
from bench.compare.pairs import now
from bench.compare.scheduler import PairScheduler, Told
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
"""A calibration is a run like any other, with records in a folder of this name, the time and the machine."""

BUDGET = 170.0
"""Seconds that a calibration takes where nobody says: on a small CPU eight processes of each case, and five pairs.

With starting and the last pair it ends within three minutes."""

MOST = 20
"""Processes of a case beyond which more would hardly change what is known."""

PAIRS = 8
"""Pairs of each case that take turns, if the budget has room for them."""

PAIRS_SHARE = 1 / 2
"""Share of the budget that is kept for those."""


def planned(devices: Sequence[str], seed: str) -> list[PlannedRun]:
    """A training and a prediction case of each device, measured as profile ``quick`` does, :data:`MOST` times."""
    return repeat(cases("quick", devices), MOST, seed)


def cases(name: str, devices: Sequence[str]) -> list[PlannedRun]:
    """A training and a prediction case of each device, by the recipe of a profile."""
    found: list[PlannedRun] = []
    for device in devices:
        batch, size = kind_of(device).small_case
        values: dict[str, list[Any]] = {
            "mode": ["train", "predict"],
            "model": ["yolov8n"],
            "amp": ["off"],
            "batch": [batch],
            "imgsz": [size],
        }
        found += expand_grid(profile(name), [device], values)
    return found


def in_turns(launcher: Launcher, devices: Sequence[str], folder: Path, budget: float, told: Told) -> Comparison:
    """Compare the environment with itself by pairs that take turns, until the budget is over; Ctrl-C ends it early.

    Args:
        launcher: of the environment; the caller closes it.
        devices: as cases name them.
        folder: of the calibration's run; the comparison is written there.
        budget: seconds; each case gets one pair in any case.
        told: hears of every pair.

    Raises:
        WrongUse: where the environment or the data cannot be used at all.
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
            PairScheduler(comparison, (launcher, other), folder, too_few, told, budget=budget).run()
    finally:
        other.close()
    return comparison


def too_few(comparison: Comparison) -> dict[str, bool]:
    """Cases that have fewer than :data:`PAIRS` pairs, where they have any."""
    live = (one for one in comparison.cases if one.both and not one.error)
    return {one.case.id: False for one in live if len(one.pairs) < PAIRS}


def calibrate(
    launcher: Launcher,
    devices: Sequence[str],
    results: Path,
    budget: float,
    say: Callable[[Record, Run], None],
) -> tuple[list[Record], Path, str, bool]:
    """Measure until the budget is over; every record is written the moment it is there.

    Args:
        launcher: of the environment; the caller closes it.
        devices: as cases name them.
        results: folder of all runs.
        budget: seconds for everything, importing torch included.
        say: hears of every record, and of the run it belongs to.

    Returns:
        The records, in the order in which they were measured; the folder that they are in; and one sentence on those
        that had no room there, or nothing; and whether Ctrl-C ended it early.

    Raises:
        WrongUse: where the environment cannot be used or the folder not written to.
    """
    name = RUN_PREFIX + store.new_run_name(machine().fingerprint)
    folder = store.Store(results, name, new=True)
    plans = planned(devices, folder.run)
    run = Run(plans, folder, launcher, from_history(results), time_budget=budget)
    stopped = False
    try:
        for plan in plans:
            if not run.spare(plan):
                say(run.measure(plan), run)
    except KeyboardInterrupt:
        stopped = True
    finally:
        trouble = folder.rescue()
        if not run.records:
            folder.discard()
    return run.records, folder.folder, trouble, stopped
