"""All panels of one metric: against batch if there are several, else by case."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from bench.analysis.metrics import Metric
from bench.analysis.table import axes_of
from bench.analysis.units import in_units
from bench.cases.axes import NOT_ASKED
from bench.report import labels
from bench.report.plots import bar_by_case, facets, line_by_batch, scale
from bench.report.plots.plot import Data, Plot
from bench.report.plots.plot import make_plot as drawn


def plots(
    table: pd.DataFrame, metric: Metric, name: str, caption: str, question: str, models: Sequence[str] = ()
) -> list[Plot]:
    """Return the plots of a metric.

    Args:
        table: latest rows of one machine and one pair of versions.
        metric: one of :data:`bench.analysis.metrics.METRICS`.
        name: first part of the keys.
        caption: how to read them.
        question: that they help to answer.
        models: all models of the page, in order.
    """
    ends = (f"{metric.key}_low", f"{metric.key}_high")
    lines, single = line_by_batch.parts(facets.narrowed(table, ("status", metric.key, *ends)), metric)
    panels = [
        finished(
            key=key,
            figure=functools.partial(line_by_batch.figure, panel, metric, models),
            alt=line_by_batch.alt(part, panel, metric),
            caption=caption,
            part=part,
            metric=metric,
            question=question,
        )
        for key, part in keyed(name, lines)
        for panel in [line_by_batch.panel(part, metric)]
    ]
    bars = [part for rows in single for part in bar_by_case.parts(rows)]
    return panels + [
        finished(
            key=key,
            figure=functools.partial(bar_by_case.figure, part, metric),
            alt=bar_by_case.alt(part, metric),
            caption=caption,
            part=part,
            metric=metric,
            question=question,
        )
        for key, part in keyed(f"{name}-by-case", bars)
    ]


def keyed(name: str, parts: list[pd.DataFrame]) -> list[tuple[str, pd.DataFrame]]:
    """Return each panel after its unique key: the values that its rows share, with its number if that is ambiguous."""
    axes = facets.varying(pd.concat(parts), axes_of(parts[0])) if len(parts) > 1 else []
    axes = ["mode", *(axis for axis in axes if axis != "mode")]
    keys = [
        facets.slug(name, *(_slug_word(axis, part[axis].iloc[0]) for axis in axes if part[axis].nunique() == 1))
        for part in parts
    ]
    count = Counter(keys)
    numbered = enumerate(zip(keys, parts, strict=True), 1)
    return [(key if count[key] == 1 else f"{key}-{number}", part) for number, (key, part) in numbered]


def _slug_word(axis: str, value: Any) -> str:
    return str(value) if axis == "mode" else labels.axis_value(axis, value)


def finished(
    key: str,
    figure: Callable[[], Figure],
    alt: str,
    caption: str,
    part: pd.DataFrame,
    metric: Metric,
    question: str,
) -> Plot:
    """Draw a figure and combine it with its data."""
    return drawn(key, metric.title, figure, alt, caption, data(part, metric), question)


def axis_cells(row: Mapping[str, Any]) -> list[str]:
    """Return the cells for the axes of a row, without mode."""
    named = {**row, "device": labels.device(str(row["device"]))}
    return [labels.NONE if named[axis] == NOT_ASKED else str(named[axis]) for axis in labels.case_axes(row)]


def data(part: pd.DataFrame, metric: Metric) -> Data:
    """Return the data of a panel as text: the axes, the value, its interval."""
    unit, keys = metric.unit, labels.case_axes(part)
    has_ends = f"{metric.key}_low" in part
    columns = (*(labels.axis_title(axis) for axis in keys), metric.title, *(["95 % interval"] * has_ends))
    known = part.loc[part[metric.key].notna(), metric.key]
    show = scale.shower(metric, list(map(float, known)) or [0.0])
    rows = []
    for row in labels.rows(facets.ordered(part, keys)):
        cells = axis_cells(row)
        value = row[metric.key]
        cells.append(in_units(show(value), row) if labels.there(value) else labels.status(row["status"]))
        if has_ends:
            cells.append(labels.ends(unit, row[f"{metric.key}_low"], row[f"{metric.key}_high"]) or labels.NONE)
        rows.append(tuple(cells))
    return columns, tuple(rows)
