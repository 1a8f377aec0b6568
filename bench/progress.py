"""What the terminal shows of a run: the plan, and one line a case. Text only; the faces print it."""

from __future__ import annotations

from collections.abc import Sequence

from bench.analysis.metrics import significant
from bench.cases.matrix import Planned
from bench.durations import about
from bench.records.outcome import Status
from bench.records.record import Record
from bench.runner.estimate import Estimator


def rate(record: Record) -> float | None:
    """Images per second of a measured case, else None."""
    steps = record.steps
    if record.outcome.status is not Status.MEASURED or steps is None:
        return None
    return steps.images_per_second


def line(
    record: Record, number: int, total: int, left: float, reused: bool = False, settles: int = 0, width: int = 0
) -> str:
    """One line on a case that has ended.

    Args:
        record: of the case.
        number: of the case in the run, from 1.
        total: of the run.
        left: seconds that the rest is estimated to take.
        reused: whether it was there since before.
        settles: how many other cases end as this one did without being started.
        width: of the longest id of the run, so that speeds stand below each other.
    """
    speed = rate(record)
    if speed is not None:
        found = f"{significant(speed):>8} images/s  in {about(record.costs.total)}"
        found += " (from before)" if reused else ""
    else:
        found = f"{record.outcome.status.value.replace('_', ' ')}: {record.outcome.reason}"
        if other := record.extra.get("settled_by"):
            found = f"{record.outcome.status.value}, as {other} showed"
        elif settles:
            more = "1 more case is" if settles == 1 else f"{settles} more cases are"
            found += f" ({more} skipped for that.)"
    rest = f"  [{about(left)} left]" if number < total and left >= 1 else ""
    return f"[{number:{len(str(total))}}/{total}] {record.case.id:<{width}}  {found}{rest}"


def plan_lines(planned: Sequence[Planned], estimator: Estimator) -> list[str]:
    """The cases of a plan with their estimates, and the sum."""
    if not planned:
        return ["no cases"]
    width = max(len(plan.case.id) for plan in planned)
    lines = []
    for number, plan in enumerate(planned, 1):
        basis = "as last time" if estimator.knows(plan) else "a guess"
        lines.append(f"{number:>5}  {plan.case.id:<{width}}  {about(estimator.seconds(plan)):>10}  {basis}")
    known = sum(estimator.knows(plan) for plan in planned)
    total = sum(estimator.seconds(plan) for plan in planned)
    lines.append(
        f"{len(planned)} cases, about {about(total)} ({known} from earlier runs, {len(planned) - known} guessed)"
    )
    return lines
