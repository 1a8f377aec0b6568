"""Lines of a run for the terminal: its plan, and one line per case. Text only; others print it."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence

from bench.analysis.units import size_texts
from bench.cases import Case
from bench.cases.axes import NOUNS, value_label, value_text
from bench.cases.plan import PlannedRun
from bench.formatting import format_half_width, format_number, format_rough_duration
from bench.records.outcome import Status
from bench.records.record import Record
from bench.runner.estimate import Estimator


def rate(record: Record) -> float | None:
    """Return the images per second of a measured case, else None."""
    steps = record.steps
    if record.outcome.status is not Status.MEASURED or steps is None:
        return None
    return steps.images_per_second


def so_far(measured: Sequence[Record]) -> str:
    """Format the mean over processes of a case: ``23.1 ± 2.3 % of 3``; empty with fewer than two."""
    if len(measured) < 2:
        return ""
    from bench.analysis.intervals import rate_of  # it takes numpy and scipy, which collecting does without

    together, _ = rate_of(measured)
    return f"{format_number(together.point)} {format_half_width(together.relative)} of {len(measured)}"


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
    """Format the path of each model file, and its name in records, which has six digits in place of the folder."""
    files = {case.model: case for case in cases if case.model_name != case.model}
    return [
        f"{case.model_label} is {path}"
        + (f" ({case.model_name} in records)" if case.model_name != case.model_label else "")
        for path, case in files.items()
    ]


WIDTH = 80
"""Columns of the plan."""


def plan_lines(
    planned: Sequence[PlannedRun],
    estimator: Estimator,
    unavailable: Iterable[str] = (),
    verbose: bool = False,
    questions: Iterable[PlannedRun] = (),
) -> list[str]:
    """Format a plan: a summary by device and mode, then the sum; all processes of a case are one case.

    Args:
        planned: processes of cases in their order.
        estimator: of durations.
        unavailable: lines on what the devices do not offer.
        verbose: whether every case is listed too.
        questions: cases that only ask whether a precision is available; they count for the sum alone.
    """
    if not planned:
        return ["no cases", *unavailable]
    cases: dict[Case, list[PlannedRun]] = {}
    for plan in planned:
        cases.setdefault(plan.case, []).append(plan)
    lines = _summary(cases, estimator)
    if verbose:
        lines += ["", *_listing(cases, estimator), ""]
    lines += [line for text in unavailable for line in textwrap.wrap(text, WIDTH, subsequent_indent="  ")]
    known = sum(estimator.knows(processes[0]) for processes in cases.values())
    total = estimator.total(planned, questions)
    several = f" in {len(planned)} processes" if len(planned) > len(cases) else ""
    count = f"{len(cases)} case{'s' if len(cases) > 1 else ''}{several}"
    basis = f"{known} estimated from earlier runs" if known else "a first estimate"
    lines.append(f"{count}, about {format_rough_duration(total)} ({basis})")
    return lines + model_lines(cases)


def _summary(cases: Mapping[Case, Sequence[PlannedRun]], estimator: Estimator) -> list[str]:
    """Format the cases of each device and mode in two lines or more: their number and duration, and their values."""
    groups: dict[tuple[str, str], list[Case]] = {}
    devices = list(dict.fromkeys(case.device for case in cases))
    for case in sorted(cases, key=lambda case: devices.index(case.device)):
        groups.setdefault((value_label("device", case.device), NOUNS.get(case.mode, case.mode)), []).append(case)
    left, right = (max(len(key[place]) for key in groups) for place in (0, 1))
    lines = []
    for (device, mode), members in groups.items():
        seconds = sum(estimator.seconds(plan) for case in members for plan in cases[case])
        count = f"{len(members)} case{'s' if len(members) > 1 else ' '}"
        lines.append(f"{device:<{left}}  {mode:<{right}}  {count:>10}  about {format_rough_duration(seconds)}")
        values = "; ".join(_values(members))
        wrapped = textwrap.wrap(values, WIDTH - 4, break_on_hyphens=False)
        lines += ["    " + line.replace("\N{NO-BREAK SPACE}", " ") for line in wrapped]
    return lines


def _values(cases: Sequence[Case]) -> Iterator[str]:
    """Yield the values of every axis that the cases have, but for device and mode."""
    for name in dict.fromkeys(name for case in cases for name in case.values):
        if name in ("device", "mode"):
            continue
        if name == "model":
            yield ", ".join(dict.fromkeys(case.model_label for case in cases))
            continue
        if name == "imgsz":
            yield re.sub(r" (?=[a-z])", "\N{NO-BREAK SPACE}", size_texts(cases))
            continue
        values = list(dict.fromkeys(case.value(name) for case in cases))
        texts = [value_text(name, value) for value in values]
        yield value_label(name, values[0]).replace(texts[0], ", ".join(texts), 1)


def _listing(cases: Mapping[Case, Sequence[PlannedRun]], estimator: Estimator) -> list[str]:
    """Format a line per case: its number, id, estimate, and what the estimate is based on."""
    width = max(len(case.id) for case in cases)
    lines = []
    for number, (case, processes) in enumerate(cases.items(), 1):
        basis = "earlier run" if estimator.knows(processes[0]) else "estimate"
        times = f", {len(processes)} processes" if len(processes) > 1 else ""
        seconds = sum(map(estimator.seconds, processes))
        lines.append(f"{number:>5}  {case.id:<{width}}  {format_rough_duration(seconds):>10}  {basis}{times}")
    return lines
