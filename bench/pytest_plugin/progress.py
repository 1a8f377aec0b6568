"""What the terminal shows of a run: the plan, and one line a case. Text only; the faces print it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from bench.cases import Case
from bench.cases.plan import PlannedRun
from bench.formatting import format_number, format_percent, format_rough_duration
from bench.records.calibration import Calibration, Lockstep
from bench.records.outcome import Status
from bench.records.record import Record
from bench.runner.estimate import Estimator


def rate(record: Record) -> float | None:
    """Images per second of a measured case, else None."""
    steps = record.steps
    if record.outcome.status is not Status.MEASURED or steps is None:
        return None
    return steps.images_per_second


def plus_minus(share: float) -> str:
    """``± 2.3 %``."""
    return f"± {format_percent(share, 2)}"


def so_far(measured: Sequence[Record]) -> str:
    """What the measured processes of a case say together: ``23.1 ± 2.3 % of 3``; empty with fewer than two."""
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
    settles: int = 0,
    width: int = 0,
    processes: int = 1,
    together: str = "",
) -> str:
    """One line on a process of a case that has ended.

    Args:
        record: of the process.
        number: of the process in the run, from 1; of those beyond the plan, it is larger than ``total``.
        total: of the run.
        left: seconds that the rest is estimated to take.
        reused: whether it was there since before.
        settles: how many other cases end as this one did without being started.
        width: of the longest id of the run, so that speeds stand below each other.
        processes: how many of the case are planned.
        together: what the processes of the case say so far (:func:`so_far`).
    """
    speed = rate(record)
    if speed is not None:
        found = f"{format_number(speed):>8} images/s  in {format_rough_duration(record.durations.total)}"
        found += " (from before)" if reused else ""
    else:
        found = f"{record.outcome.status.value.replace('_', ' ')}: {record.outcome.reason}"
        if other := record.extra.get("skipped_because_of"):
            found = f"{record.outcome.status.value}, as {other} showed"
        elif settles:
            more = "1 more case is" if settles == 1 else f"{settles} more cases are"
            found += f" ({more} skipped for that.)"
    if record.process > processes:
        found += f"  process {record.process}"
    elif record.process > 1:
        found += f"  process {record.process} of {processes}"
    found += f": {together}" if together and record.process > 1 else ""
    rest = f"  [{format_rough_duration(left)} left]" if number < total and left >= 1 else ""
    place = f"{number:{len(str(total))}}/{total}" if number <= total else f"+{number - total}"
    return f"[{place}] {record.case.id:<{width}}  {found}{rest}"


def model_lines(cases: Iterable[Case]) -> list[str]:
    """Which file each model is whose cases have six digits in place of its path."""
    files = {case.model: case.model_name for case in cases if case.model_name != case.model}
    return [f"{name} is {path}" for path, name in files.items()]


def plan_lines(planned: Sequence[PlannedRun], estimator: Estimator) -> list[str]:
    """The cases of a plan with their estimates, and the sum; all processes of a case are one line."""
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


CHANCE = "one in twenty such intervals misses 0 by chance"


def calibration_lines(found: Calibration, differences: Mapping[int, float], alone: float) -> list[str]:
    """What a calibration found of a device and a mode, in plain words.

    Args:
        found: the calibration.
        differences: half the width of the interval that a comparison would have, by the number of its pairs.
        alone: how far a single process may be from the mean of many, as a share.
    """
    out = f", {found.interfered} disturbed left out" if found.interfered else ""
    mode = {"train": "training", "predict": "prediction"}.get(found.mode, found.mode)
    same = f" ± {format_percent(found.difference_half, 2)}" if found.difference_half is not None else ""
    half_widths = " / ".join(format_number(half * 100, 2) for half in differences.values())
    lines = [
        f"{found.device}, {mode} ({found.case}): processes of the same thing scatter by "
        f"{format_percent(found.stdev, 2)} "
        f"(SD of {found.processes}{out}); a single process is known to ±{format_percent(alone, 2)}",
        f"  the interval of a comparison by {' / '.join(map(str, differences))} pairs would be ± {half_widths} %; "
        f"in the {found.pairs} pairs of this run, neighbours differed by {format_percent(found.median_difference, 2)} "
        "in the "
        f"median, {format_percent(found.greatest_difference, 2)} at most, {format_percent(found.difference, 2)}{same} "
        "on average",
    ]
    if found.difference_half is not None and abs(found.difference) > found.difference_half:
        lines.append(f"  the interval of that average should hold 0, and does not: {CHANCE}")
    if found.drift_half is not None and abs(found.drift) > found.drift_half:
        way = "slower" if found.drift > 0 else "faster"
        lines.append(
            f"  it became {format_percent(abs(found.drift), 2)} {way} over the run (± "
            f"{format_percent(found.drift_half, 2)}): "
            f"the machine warms up, or something else on it changed; {CHANCE}"
        )
    return lines


def lockstep_line(found: Lockstep, differences: Mapping[int, float], margin: float) -> str:
    """What a calibration found of pairs that take turns, in plain words.

    Args:
        found: it.
        differences: as of :func:`calibration_lines`.
        margin: what ``regress`` will take as its margin from it, as a share.
    """
    half_widths = " / ".join(format_number(half * 100, 2) for half in differences.values())
    return (
        f"processes that take turns, as in regress: the ratio of a pair scatters by {format_percent(found.stdev, 2)} "
        f"(SD of {found.pairs}), which makes that ± {half_widths} %, and the margin {format_percent(margin, 2)}"
    )
