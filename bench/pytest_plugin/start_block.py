"""The first lines of a run: version, machine, software, plan, warnings, and where the report will be. Text only."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path

from bench.analysis.units import size_texts
from bench.cases import Case
from bench.cases.axes import fixed_axes, sort_values, value_label
from bench.formatting import format_rough_duration
from bench.machine.description import Machine
from bench.pytest_plugin.progress import model_lines
from bench.pytest_plugin.screen import LABEL, Screen
from bench.records.record import Environment

MOST_VALUES = 6
"""Values of an axis that the plan names; of more it names the number."""


def machine_text(machine: Machine) -> str:
    """Describe a machine: ``AMD EPYC, 2 cores, 24 GiB, Linux x86_64 · no GPU``."""
    cores = "1 core" if machine.cores == 1 else f"{machine.cores} cores"
    gpus = " · ".join(machine.gpus) or "no GPU"
    return f"{machine.cpu_name}, {cores}, {machine.memory_gib} GiB, {machine.system_name} · {gpus}"


def software_text(environment: Environment) -> str:
    """Describe the measured software: ``torch 2.15.0 · Ultralytics 8.4.190 · Python 3.11.7``."""
    torch, ultralytics = environment.label("torch"), environment.label("ultralytics")
    return f"torch {torch} · Ultralytics {ultralytics} · Python {environment.python}"


def plan_text(cases: Sequence[Case], processes: int, seconds: float, searches: int = 0) -> list[str]:
    """Describe a plan: how many cases in about how long, then the values of its axes.

    Args:
        cases: of the run, each once.
        processes: fresh processes of all cases together.
        seconds: estimated duration of the cases.
        searches: ceilings that are searched for.
    """
    parts = []
    if cases:
        counted = "1 case" if len(cases) == 1 else f"{len(cases)} cases"
        several = f" in {processes} processes" if processes > len(cases) else ""
        parts.append(f"{counted}{several}, about {format_rough_duration(seconds)}")
    if searches:
        parts.append("1 ceiling" if searches == 1 else f"{searches} ceilings")
    lines = [" and ".join(parts) or "no case that this machine can measure"]
    if cases:
        lines.append(" · ".join(map(lambda axis: values_text(axis, cases), fixed_axes())))
    return lines


def values_text(axis: str, cases: Sequence[Case]) -> str:
    """List the values of an axis in some cases: ``batch 16, 4``."""
    if axis == "imgsz" and len({case.imgsz for case in cases}) <= MOST_VALUES:
        return size_texts(cases)
    by_label = {case.value(axis): case.model_label if axis == "model" else str(case.value(axis)) for case in cases}
    values = sort_values(axis, by_label) if axis == "mode" else list(by_label)
    if len(values) > MOST_VALUES:
        return f"{len(values)} values of {axis}"
    first = by_label[values[0]] if axis in ("mode", "model") else value_label(axis, values[0])
    others = [by_label[value] if axis != "device" else value_label(axis, value) for value in values[1:]]
    return ", ".join([first, *others])


def short_path(path: Path) -> str:
    """Return a path as short as it can be typed here: relative below the current folder."""
    absolute, here = Path(os.path.abspath(path)), Path.cwd()
    return str(absolute.relative_to(here)) if absolute.is_relative_to(here) else str(absolute)


def write(
    screen: Screen,
    *,
    machine: Machine,
    environment: Environment,
    plan: Sequence[str],
    cases: Sequence[Case],
    notes: Sequence[str],
    warnings: Sequence[str],
    report: Path,
) -> None:
    """Write the block, but its first line."""
    screen.entry("Machine", machine_text(machine))
    screen.entry("Software", software_text(environment))
    screen.entry("Plan", plan[0])
    for text in [*plan[1:], *notes, *model_lines(cases)]:
        screen.entry("", text)
    for text in warnings:
        screen.entry("Warning", text, "yellow")
    path, about = short_path(report), " (updated while it runs)"
    screen.entry("Report", path + about if LABEL + len(path + about) <= screen.width else path)
    screen.line()


def time_left(seconds: float) -> str:
    """Format the time that a run still takes: ``about 2 min left``; empty below a second."""
    return f"about {format_rough_duration(seconds)} left" if seconds >= 1 and math.isfinite(seconds) else ""
