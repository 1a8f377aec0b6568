"""Pairs of a live comparison: both environments, and a line for each pair that is measured."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from bench.analysis.interference import summarize
from bench.analysis.noise import LOOKS
from bench.cases.plan import PlannedRun
from bench.cli import terminal
from bench.cli.io import say
from bench.compare.estimator import pair_ratios, pending_cases
from bench.compare.scheduler import PairScheduler, PendingCases
from bench.compare.verdict import FRESH_LOOKS, estimate
from bench.environments import builder
from bench.environments.builder import PreparedEnvironment
from bench.environments.specification import Specification
from bench.formatting import format_log_ratio, format_rough_duration
from bench.machine.limits import processors
from bench.pytest_plugin.options import needs_network
from bench.records.comparison import CaseComparison, Comparison
from bench.records.store import Store
from bench.report.labels import count
from bench.runner.launchers import local


def provide_both(
    base: Specification, head: Specification, exclude_newer: str
) -> tuple[PreparedEnvironment, PreparedEnvironment]:
    """Build both environments; where they are the same one, head is a copy that is installed separately."""
    first = builder.provide(base, exclude_newer, say)
    second = builder.provide(head, exclude_newer, say)
    if (first.interpreter.path, first.key) == (second.interpreter.path, second.key):
        say("base and head are the same (A/A test): any difference is noise, or an error of yolopace")
        second = builder.provide(head, exclude_newer, say, replica=1)
    return first, second


def own_folder(comparison: Comparison, results: Path, name: str) -> Path:
    """Make a separate folder for a comparison, and name its run after the folder."""
    store = Store(results, name, new=True)
    comparison.run = store.run
    return store.folder


def measure(
    comparison: Comparison,
    sides: tuple[PreparedEnvironment, PreparedEnvironment],
    folder: Path,
    budget: float | None = None,
    wanted: PendingCases | None = None,
) -> bool:
    """Measure pairs until all is decided, and say a line for each; return whether Ctrl-C stopped it.

    Args:
        comparison: gets the pairs, and is written after each.
        sides: the environments.
        folder: of the comparison.
        budget: seconds, or None.
        wanted: chooses the next cases; by default those that are not decided.
    """
    try:
        cut = take_pairs(comparison, sides, folder, budget, wanted)
    except KeyboardInterrupt:
        say("stopped: --resume continues with what was measured")
        return True
    if cut:
        say(f"time budget used up with {count(cut, 'case')} undecided: --resume continues")
    return False


def take_pairs(
    comparison: Comparison,
    sides: tuple[PreparedEnvironment, PreparedEnvironment],
    folder: Path,
    budget: float | None = None,
    wanted: PendingCases | None = None,
) -> int:
    """Measure pairs as :func:`measure` does; return how many cases the time budget left undecided.

    Raises:
        KeyboardInterrupt: after the results so far were written.
        UsageError: for an environment or data that cannot be used at all.
    """
    network = needs_network([PlannedRun(compared.case, compared.recipe) for compared in comparison.cases])
    with contextlib.ExitStack() as stack:
        stack.enter_context(terminal.doing("measuring the first pair: both environments start and warm up"))
        launchers = [local.open_launcher(side.interpreter, network) for side in sides]
        for launcher in launchers:
            stack.enter_context(contextlib.closing(launcher))
        regress = PairScheduler(
            comparison,
            (launchers[0], launchers[1]),
            folder,
            wanted or pending_cases,
            progress(comparison),
            budget=budget,
        )
        try:
            regress.run()
        finally:
            if lost := regress.rescue():
                say(lost)
    return regress.over_budget


def progress(comparison: Comparison) -> Callable[[CaseComparison, str], None]:
    """Return a function that says a line for every pair, with the case where there are several."""
    several = len(comparison.cases) > 1
    width = max(len(compared.case.id) for compared in comparison.cases)

    def say_pair(compared: CaseComparison, problem: str) -> None:
        name = f"{compared.case.id:<{width}}  " if several else ""
        problem = problem or ("" if compared.both_runnable else "not on both sides")
        text = problem or pair_line(compared, comparison.margin)
        say(f"{name}{text}")
        pairs = sum(len(case.pairs) for case in comparison.cases)
        terminal.LIVE.update(f"measuring, {count(pairs, 'pair')} so far")

    return say_pair


def pair_line(compared: CaseComparison, margin: float, planned: bool = True) -> str:
    """Describe the last pair: ``pair 3/4  +0.8 %  so far +0.2 ± 1.1 %  7 s``, how much longer head took.

    Args:
        compared: the case; its last pair is described.
        margin: equivalence margin of speed, a share.
        planned: whether to show the number of pairs after which the next interim look comes.
    """
    pair, figures = compared.pairs[-1], pair_ratios(compared, margin)
    logs = figures.confirmation if pair.confirmation else figures.interim
    looks = FRESH_LOOKS if pair.confirmation else LOOKS
    of = next((f"/{look}" for look in looks if planned and look >= len(logs)), "")
    parts = [f"{'confirmation' if pair.confirmation else 'pair'} {len(logs)}{of}", f"{format_log_ratio(logs[-1])} %"]
    if len(logs) > 1:
        running_estimate = estimate(logs)
        parts.append(f"so far {format_log_ratio(running_estimate.log)} ± {running_estimate.half * 100:.1f} %")
    parts.append(format_rough_duration(pair.seconds))
    notes = [f"noisy ({summarize(pair.interference, processors())})"] if pair.interference else []
    notes += [f"repeated {pair.retries}×"] if pair.retries else []
    notes += [] if pair.lockstep else ["one after the other"]
    return "  ".join([*parts, *([", ".join(notes)] if notes else [])])
