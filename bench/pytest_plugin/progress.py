"""Lines of a run for the terminal: its plan, and one line per case. Text only; others print it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.cases import Case
from bench.cases.plan import PlannedRun
from bench.formatting import format_number, format_percent, format_rough_duration
from bench.records.outcome import Status
from bench.records.record import Record
from bench.runner.estimate import Estimator


def rate(record: Record) -> float | None:
    """Return the images per second of a measured case, else None."""
    steps = record.steps
    if record.outcome.status is not Status.MEASURED or steps is None:
        return None
    return steps.images_per_second


def plus_minus(share: float) -> str:
    """Format a half-width: ``± 2.3 %``."""
    return f"± {format_percent(share, 2)}"


def so_far(measured: Sequence[Record]) -> str:
    """Format the mean over processes of a case: ``23.1 ± 2.3 % of 3``; empty with fewer than two."""
    if len(measured) < 2:
        return ""
    from bench.analysis.intervals import rate_of  # it takes numpy and scipy, which collecting does without

    together, _ = rate_of(measured)
    return f"{format_number(together.point)} {plus_minus(together.relative)} of {len(measured)}"


def line(
    record: Record,
    number: int,
    total: int,
    left: float,
    reused: bool = False,
    implied_count: int = 0,
    width: int = 0,
    processes: int = 1,
    running_mean: str = "",
) -> str:
    """Format one line on a process of a case that has ended.

    Args:
        record: of the process.
        number: of the process in the run, from 1; of those beyond the plan, it is larger than ``total``.
        total: of the run.
        left: seconds that the rest is estimated to take.
        reused: whether an earlier run measured it.
        implied_count: how many other cases have the same outcome without being started.
        width: of the longest id of the run, so that speeds stand below each other.
        processes: planned per case.
        running_mean: the mean over processes so far (:func:`so_far`).
    """
    speed = rate(record)
    if speed is not None:
        text = f"{format_number(speed):>8} images/s  in {format_rough_duration(record.durations.total)}"
        text += " (from before)" if reused else ""
    else:
        text = f"{record.outcome.status.value.replace('_', ' ')}: {record.outcome.reason}"
        if other := record.extra.get("skipped_because_of"):
            text = f"{record.outcome.status.value}, as {other} showed"
        elif implied_count:
            more = "1 more case is" if implied_count == 1 else f"{implied_count} more cases are"
            text += f" ({more} skipped for that.)"
    if record.process > processes:
        text += f"  process {record.process}"
    elif record.process > 1:
        text += f"  process {record.process} of {processes}"
    text += f": {running_mean}" if running_mean and record.process > 1 else ""
    rest = f"  [{format_rough_duration(left)} left]" if number < total and left >= 1 else ""
    place = f"{number:{len(str(total))}}/{total}" if number <= total else f"+{number - total}"
    return f"[{place}] {record.case.id:<{width}}  {text}{rest}"


def model_lines(cases: Iterable[Case]) -> list[str]:
    """Format the path of each model file, for which cases have six digits in its place."""
    files = {case.model: case.model_name for case in cases if case.model_name != case.model}
    return [f"{name} is {path}" for path, name in files.items()]


def plan_lines(planned: Sequence[PlannedRun], estimator: Estimator) -> list[str]:
    """Format the cases of a plan with their estimates, and the sum; all processes of a case are one line."""
    if not planned:
        return ["no cases"]
    cases: dict[Case, list[PlannedRun]] = {}
    for plan in planned:
        cases.setdefault(plan.case, []).append(plan)
    width = max(len(case.id) for case in cases)
    lines = []
    for number, (case, processes) in enumerate(cases.items(), 1):
        basis = "as last time" if estimator.knows(processes[0]) else "a guess"
        times = f", {len(processes)} processes" if len(processes) > 1 else ""
        seconds = sum(map(estimator.seconds, processes))
        lines.append(f"{number:>5}  {case.id:<{width}}  {format_rough_duration(seconds):>10}  {basis}{times}")
    known = sum(estimator.knows(processes[0]) for processes in cases.values())
    total = sum(estimator.seconds(plan) for plan in planned)
    several = f" in {len(planned)} processes" if len(planned) > len(cases) else ""
    lines.append(
        f"{len(cases)} cases{several}, about {format_rough_duration(total)} ({known} from earlier runs, "
        f"{len(cases) - known} guessed)"
    )
    return lines + model_lines(cases)
