"""The plots as a library: each takes a frame and returns a matplotlib figure, for a notebook or a paper.

    from pathlib import Path
    from bench.analysis.table import frame, newest_rows
    from bench.records.store import read
    from bench.report.plots import api

    table = newest_rows(frame(read([Path("results")])[0]))
    api.throughput(table[table["model"] == "yolov8n"]).savefig("throughput.svg")

A frame may need several panels: ``panel`` chooses the one to draw, from 0. A frame holds rows of one machine and one
pair of versions; :func:`bench.analysis.table.newest_rows` takes older rows out.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bench.analysis import scaling as scalings
from bench.analysis.metrics import METRICS, Metric
from bench.analysis.speedup import default_baseline, speedups
from bench.analysis.table import GROUP_KEYS, measured_only
from bench.errors import UsageError
from bench.records.ceiling import Ceiling
from bench.records.machines import with_ids
from bench.records.record import Record
from bench.report import labels
from bench.report.plots import bar_by_case, heatmap, line_by_batch, style
from bench.report.plots import ceiling as ceilings
from bench.report.plots import phases as parts_of_steps
from bench.report.plots import step_times as raw_steps

Panel = Callable[[], Figure]


def metric(table: pd.DataFrame, key: str, panel: int = 0) -> Figure:
    """Plot any metric of :data:`bench.analysis.metrics.METRICS`: against batch if there are several, else by case.

    Args:
        table: rows of :func:`bench.analysis.table.frame` of one machine and one pair of versions.
        key: of the metric: the name of its column.
        panel: which panel, from 0.

    Raises:
        UsageError: for an unknown metric or panel, or rows of several machines or versions.
    """
    if key not in METRICS:
        raise UsageError(f"metric {key!r} is unknown: use {', '.join(METRICS)}.")
    _alike(table)
    return _draw_panel(_panels(table, METRICS[key]), panel, METRICS[key].title)


def throughput(table: pd.DataFrame, panel: int = 0) -> Figure:
    """Plot images per second against batch, with 95 % intervals and a wall where memory ran out; see :func:`metric`."""
    return metric(table, "images_per_second", panel)


def memory(table: pd.DataFrame, panel: int = 0) -> Figure:
    """Plot peak memory against batch; see :func:`metric`."""
    return metric(table, "peak_memory_bytes", panel)


def energy(table: pd.DataFrame, panel: int = 0) -> Figure:
    """Plot images per joule against batch, where energy was measured; see :func:`metric`."""
    return metric(table, "images_per_joule", panel)


def speedup(table: pd.DataFrame, baseline: dict[str, Any] | None = None, panel: int = 0) -> Figure:
    """Plot the speed-up of cases over their counterparts in a baseline: a heat map, or bars with intervals.

    Args:
        table: see :func:`metric`.
        baseline: values by axis, such as ``{"device": "cpu", "amp": "off"}``; by default chosen from the table.
        panel: which panel, from 0.

    Raises:
        UsageError: as for :func:`metric`.
    """
    _alike(table)
    chosen = default_baseline(table) if baseline is None else baseline
    ratios = speedups(table, chosen)
    maps = [part for part in heatmap.parts(ratios) if heatmap.is_map(part)]
    rest = ratios.drop(pd.concat(maps).index) if maps else ratios
    over = labels.baseline(chosen)
    drawn: list[Panel] = [functools.partial(heatmap.figure, heatmap.grid(part, table)) for part in maps]
    drawn += [functools.partial(bar_by_case.figure, part, labels.SPEEDUP, over) for part in bar_by_case.parts(rest)]
    return _draw_panel(drawn, panel, f"speed-up over {over or 'a baseline'}")


def steps(table: pd.DataFrame, panel: int = 0) -> Figure:
    """Plot the parts of a training step, in milliseconds per image; see :func:`metric`."""
    _alike(table)
    return _draw_panel(
        [
            functools.partial(parts_of_steps.figure, part)
            for part in bar_by_case.parts(parts_of_steps.cases_with_phases(table))
        ],
        panel,
        "parts of a step",
    )


def step_times(processes: Sequence[Record]) -> Figure:
    """Plot raw step times of one case, one panel per process.

    Args:
        processes: records of one case.

    Raises:
        UsageError: if none of them was measured, or they are of several cases.
    """
    measured = measured_only(processes)
    if len({record.case for record in measured}) > 1:
        raise UsageError("the records differ in case: take those of one.")
    return _draw_panel([functools.partial(raw_steps.figure, measured)] if measured else [], 0, "step times")


def scaling(table: pd.DataFrame, panel: int = 0) -> Figure:
    """Plot scaling efficiency in percent: throughput per device over that of one device; see :func:`metric`."""
    _alike(table)
    efficiencies = scalings.efficiencies(table)
    parts = [
        part for kind in scalings.KINDS for part in bar_by_case.parts(efficiencies[efficiencies["scaling"] == kind])
    ]
    return _draw_panel(
        [functools.partial(bar_by_case.figure, part, scalings.EFFICIENCY) for part in parts],
        panel,
        "scaling",
    )


def ceiling(searches: Sequence[Ceiling]) -> Figure:
    """Plot peak memory against batch, for at most six ceilings of :mod:`bench.records.ceiling`.

    Raises:
        UsageError: for more than six, for none with a peak, or for ceilings of several machines.
    """
    if len({search.machine.key for search in with_ids(searches)}) > 1:
        raise UsageError("the ceilings differ in machine: take those of one.")
    lines = [line for line in ceilings.lines_of(searches) if line.points]
    if not 0 < len(lines) <= style.SERIES:
        raise UsageError(f"{len(lines)} lines have a peak: one figure holds 1 to {style.SERIES} of them.")
    return _draw_panel([functools.partial(ceilings.figure, lines)], 0, "ceilings")


def _panels(table: pd.DataFrame, wanted: Metric) -> list[Panel]:
    lines, single = line_by_batch.parts(table, wanted)
    drawn: list[Panel] = [
        functools.partial(line_by_batch.figure, line_by_batch.panel(part, wanted), wanted) for part in lines
    ]
    return drawn + [
        functools.partial(bar_by_case.figure, part, wanted) for rows in single for part in bar_by_case.parts(rows)
    ]


def _alike(table: pd.DataFrame) -> None:
    """Raise :class:`UsageError` if the rows of a frame may not share one axis."""
    differ = [name for name in GROUP_KEYS if table[name].nunique(dropna=False) > 1]
    if (table.groupby("mode")["overrides_hash"].nunique() > 1).any():  # each mode fixes its own settings
        differ.append("overrides_hash")
    if differ:
        raise UsageError(f"the rows differ in {labels.listing(differ)}: take those that are alike.")


def _draw_panel(drawn: Sequence[Panel], panel: int, what: str) -> Figure:
    if not drawn:
        raise UsageError(f"there is nothing to draw of {what} in these rows.")
    if not 0 <= panel < len(drawn):
        raise UsageError(f"panel {panel}: {what} has {len(drawn)}, counted from 0.")
    with style.styled():
        figure = drawn[panel]()
        style.settle(figure, final=False)
    FigureCanvasAgg(figure)  # the caller may draw it by all means of matplotlib
    return figure
