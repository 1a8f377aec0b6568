"""Start a live comparison, or prepare a stopped one to continue."""

from __future__ import annotations

from collections.abc import Callable

from bench.analysis.noise import default_margin
from bench.cases.plan import PlannedRun
from bench.compare.pairs import now
from bench.environments.builder import PreparedEnvironment
from bench.machine.conditions import conditions
from bench.machine.fingerprint import machine
from bench.machine.paths import calibration_folder
from bench.records.comparison import SIDES, CaseComparison, Comparison, EnvironmentSide
from bench.records.store import read_calibrations


def begin(
    sides: tuple[PreparedEnvironment, PreparedEnvironment],
    planned: list[PlannedRun],
    run: str,
    exclude_newer: str,
    margin: float | None,
    memory_margin: float,
    say: Callable[[str], None],
) -> Comparison:
    """Return a comparison that has no pairs yet; ``say`` gets a sentence on an unusable calibration."""
    share, origin = margin or 0.0, "as asked"
    if margin is None:
        known, wrong = read_calibrations(calibration_folder(), machine())
        if wrong:
            say(wrong)
        share, origin = default_margin([plan.case for plan in planned], known.lockstep)
    cases = [plan.case for plan in planned]
    base, head = (
        EnvironmentSide(
            asked=side.requested,
            key=side.key,
            packages=list(side.packages),
            environment=side.interpreter.environment_of(*cases),
        )
        for side in sides
    )
    return Comparison(
        run=run,
        started=now(),
        machine=machine(),
        conditions=conditions(sides[0].interpreter.variables),
        base=base,
        head=head,
        exclude_newer=exclude_newer,
        margin=share,
        margin_from=origin,
        memory_margin=memory_margin,
        cases=[CaseComparison(case=plan.case, recipe=plan.recipe) for plan in planned],
    )


def reopen(known: Comparison, question: Comparison, margin: float | None) -> None:
    """Prepare a stopped comparison to continue.

    Sides that failed for lack of room, or because a process died, are tried again.

    Args:
        known: the comparison that was stopped.
        question: the same comparison, requested again.
        margin: the requested margin, which then applies to all pairs; None without one.
    """
    for compared in known.cases:
        compared.error = ""
        for side in SIDES:
            ran = getattr(compared, side)
            if ran is not None and not ran.outcome.status.final:
                setattr(compared, side, None)
    if margin is not None:
        known.margin, known.margin_from = margin, question.margin_from
    known.memory_margin = question.memory_margin
