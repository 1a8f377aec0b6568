"""The suite measured by itself: figures to quote, never asserted in a test, since machines are shared and noisy."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from bench.environments.interpreter import Interpreter
from bench.runner.launchers.local import open_launcher
from bench.selfcheck import accuracy, costs, instrumentation_overhead
from bench.selfcheck.check import Check

__all__ = ["Check", "checks"]


def checks(interpreter: Interpreter, cases: int, pairs: int, say: Callable[[str], None]) -> Iterator[Check]:
    """Run all checks, one after another.

    Args:
        interpreter: of the environment.
        cases: training cases that are started for the fixed cost.
        pairs: processes of plain training for each comparison; fewer than 2 leave those out.
        say: receives lines of progress.
    """
    with contextlib.closing(open_launcher(interpreter)) as launcher:
        say("importing torch and ultralytics ...")
        launcher.wait()
        say(f"starting {cases} training cases ...")
        yield from costs.fixed_cost(launcher, cases)
        say("running the smoke profile ...")
        records, smoke_checks = costs.smoke(launcher)
        yield from smoke_checks
        say("looking at one case of the quick profile ...")
        yield from costs.one_case(launcher)
        yield instrumentation_overhead.cost(launcher, records)
        if pairs > 1:
            yield from accuracy.instrumented(launcher, pairs, say)
            yield from accuracy.bias(launcher, pairs, say)
    say(f"collecting {costs.COLLECTED:,} cases ...")
    yield costs.collecting()
