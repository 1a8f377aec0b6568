"""The parts of a training step, in time per image."""

from __future__ import annotations

import functools

import pandas as pd
from matplotlib.figure import Figure

from bench.cases.device_kinds import is_on_host
from bench.formatting import format_duration
from bench.report import labels
from bench.report.plots import bar_by_case, facets, metric, stacked_bars
from bench.report.plots.plot import Data, Plot, View, make_plot

PARTS = ("data_wait", "preprocess", "forward", "backward", "optimizer")
"""Parts in the order in which they run in a step: columns of the table without the suffix ``_share``."""

NAMES = {
    "data_wait": "waiting for data",
    "preprocess": "preprocessing",
    "forward": "forward and loss",
    "backward": "backward",
    "optimizer": "optimizer",
}
REST = "everything else"
TITLE = "Phases of a training step"


def plots(view: View) -> list[Plot]:
    """Return one panel per model with known parts, more if there are too many cases.

    Cases on the CPU have panels of their own: on one axis the bars of an accelerator would be too short to see.
    """
    table = facets.narrowed(cases_with_phases(view.table), ("step_seconds", *(f"{name}_share" for name in PARTS)))
    on_host = table["device"].map(is_on_host).astype(bool)
    parts = [part for cases in (table[~on_host], table[on_host]) for part in bar_by_case.parts(cases)]
    return [
        make_plot(
            key=key,
            title=TITLE,
            figure=functools.partial(figure, part),
            alt=alt(part),
            caption=facets.in_units(
                "Time per image is that of a step divided by its batch, so that batches compare. "
                "Phases are means over the window; everything else is time that no phase covers.",
                part,
            ),
            data=data(part),
            question="time",
        )
        for key, part in metric.keyed("steps", parts)
    ]


def cases_with_phases(table: pd.DataFrame) -> pd.DataFrame:
    """Return the training cases whose parts were timed."""
    return table[(table["mode"] == "train") & (table["status"] == "measured") & table["forward_share"].notna()]


def sum_of_phases(row: dict[str, object]) -> float:
    """Return the seconds per image of the whole step."""
    return float(str(row["step_seconds"])) / int(str(row["batch"]))


def split(row: dict[str, object]) -> dict[str, float]:
    """Return the seconds per image of each known part of a case, and the remainder last."""
    step = sum_of_phases(row)
    times = {name: float(str(share)) * step for name in PARTS if labels.there(share := row[f"{name}_share"])}
    # Parts of a modelled window may add up to a little more than its mean step: the remainder is then 0.
    return {**times, REST: max(step - sum(times.values()), 0.0)}


def rows(part: pd.DataFrame) -> list[dict[str, object]]:
    """Return the cases of a panel in the order of drawing."""
    return labels.rows(facets.ordered(part, labels.case_axes(part)))


def figure(part: pd.DataFrame) -> Figure:
    """Draw the panel of some rows; call it within :func:`style.styled`."""
    names = facets.varying(part, labels.case_axes(part))
    every = rows(part)
    times = [split(row) for row in every]
    layers = [
        stacked_bars.Layer(NAMES.get(name, name), [case_times.get(name, 0.0) * 1e3 for case_times in times], look)
        for look, name in [*enumerate(PARTS), (None, REST)]
        if any(case_times.get(name, 0.0) > 0 for case_times in times)
    ]
    ends = [format_duration(sum_of_phases(row)) for row in every]
    title = facets.title(part)
    return stacked_bars.figure(
        title,
        [labels.point(row, names) for row in every],
        layers,
        facets.in_units("Time per image (ms)", part),
        ends,
        "total",
    )


def alt(part: pd.DataFrame) -> str:
    """Return one sentence: the content of the panel, and the largest part of the first and the last case."""
    names = facets.varying(part, labels.case_axes(part))
    every = rows(part)
    texts = []
    for row in [every[0], every[-1]] if len(every) > 1 else every:
        times = split(row)
        name, largest = max(times.items(), key=lambda item: item[1])
        what = labels.point(row, names) or "the case"
        texts.append(f"{what} {format_duration(sum_of_phases(row))}, {largest / sum_of_phases(row):.0%} {_word(name)}")
    return f"{TITLE}, {facets.title(part)}: {facets.in_units('time per image', part)}, {'; '.join(texts)}."


def _word(name: str) -> str:
    return NAMES.get(name, name)


def data(part: pd.DataFrame) -> Data:
    """Return the data of a panel as text: the axes, the time per image, and each part of it."""
    columns = (
        *(labels.axis_title(axis) for axis in labels.case_axes(part)),
        "Time per step",
        facets.in_units("Time per image", part),
        *map(_word, (*PARTS, REST)),
    )
    lines = []
    for row in rows(part):
        times = split(row)
        cells = metric.axis_cells(row)
        cells += [format_duration(float(str(row["step_seconds"]))), format_duration(sum_of_phases(row))]
        cells += [format_duration(times[name]) if name in times else labels.NONE for name in (*PARTS, REST)]
        lines.append(tuple(cells))
    return columns, tuple(lines)
