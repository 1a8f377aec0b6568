"""Prove the winner of a search against the present settings: interleaved pairs, judged as in a live comparison."""

from __future__ import annotations

import contextlib
import math
from pathlib import Path

from bench.compare.estimator import pending_cases
from bench.compare.pairs import now
from bench.compare.scheduler import OnPair, PairScheduler
from bench.machine.conditions import conditions
from bench.machine.fingerprint import machine
from bench.records.comparison import CaseComparison, Comparison, EnvironmentSide
from bench.records.tune import Tuning
from bench.runner.launchers import local
from bench.runner.launchers.local import Launcher
from bench.tune.measurer import Planner
from bench.tune.space import describe_change

PAIRS = 8
"""Number of pairs that a clear winner takes: four of the first look, and four fresh ones that confirm it."""


CLEAR = math.log(1.05)
"""A gain, beyond the margin, above which both sides share one fork server: workers of two differ by much less."""


def reserve(present: float, winner: float) -> float:
    """Return the seconds to keep for the proof, from those of a measurement of each side."""
    return (PAIRS + 0.5) * (present + winner)  # half a pair for the start of a second fork server


def prove(
    tuning: Tuning,
    planner: Planner,
    launcher: Launcher,
    folder: Path,
    budget: float,
    on_pair: OnPair,
    gain: float = 0.0,
) -> None:
    """Measure pairs of the present settings (base) and the winner (head) until they are judged, or time is over.

    Args:
        tuning: gets the pairs, and is saved after each.
        planner: makes the planned runs.
        launcher: of the environment; the caller closes it.
        folder: of the run.
        budget: seconds; one pair is measured in any case.
        on_pair: called after every pair.
        gain: by the search, at least: ``ln(time of the present settings / time of the winner)``.

    Raises:
        KeyboardInterrupt: at Ctrl-C; all pairs were saved.
        UsageError: where the environment or the data cannot be used at all.
    """
    assert tuning.winner is not None, "a search that ended has a winner"
    base, head = planner.plan(tuning.present), planner.plan(tuning.winner)
    known = tuning.proof
    if known is None or [(case.case, case.head_case) for case in known.cases] != [(base.case, head.case)]:
        tuning.proof = Comparison(
            run=tuning.run,
            started=now(),
            machine=machine(),
            conditions=conditions(launcher.interpreter.variables),
            base=side(launcher, "present settings"),
            head=side(launcher, describe_change(tuning.present, tuning.winner)),
            margin=tuning.margin,
            margin_from=tuning.margin_from,
            memory_margin=0.0,
            cases=[CaseComparison(case=base.case, recipe=base.recipe, head_case=head.case, head_recipe=head.recipe)],
        )
    assert tuning.proof is not None, "it was just made"
    clear = gain >= CLEAR + math.log1p(tuning.margin)
    with contextlib.ExitStack() as stack:
        other = launcher
        if not clear:  # workers of one server share what its memory does to them: an interval would miss that
            other = stack.enter_context(contextlib.closing(local.open_launcher(launcher.interpreter)))
        scheduler = PairScheduler(
            tuning.proof,
            (launcher, other),
            folder,
            pending_cases,
            on_pair,
            budget=budget,
            saved=tuning,
            restarts=not clear,
        )
        scheduler.run()


def side(launcher: Launcher, settings: str) -> EnvironmentSide:
    """Return a side of the comparison: both are the same environment."""
    return EnvironmentSide(asked=settings, key="", packages=[], environment=launcher.interpreter.environment)
