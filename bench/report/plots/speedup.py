"""Speed-up of each case over its counterpart in the baseline: a heat map if there are two dimensions, else bars."""

from __future__ import annotations

import functools

import pandas as pd

from bench.analysis.flags import INTERFERED
from bench.report import labels
from bench.report.plots import bar_by_case, heatmap, metric
from bench.report.plots.plot import Plot, View, make_plot
from bench.report.questions import QUESTIONS


def plots(view: View) -> list[Plot]:
    """Return the panels of each mode, more if there are too many cases."""
    maps = [part for part in heatmap.parts(view.speedups) if heatmap.is_map(part)]
    mapped = pd.concat(maps).index if maps else view.speedups.index[:0]
    bars = bar_by_case.parts(view.speedups.drop(mapped))
    return [
        *(_map(view, part, key) for key, part in metric.keyed("speedup-map", maps)),
        *(_bars(view, part, key) for key, part in metric.keyed("speedup", bars)),
    ]


def _map(view: View, part: pd.DataFrame, key: str) -> Plot:
    over, panel = labels.baseline(view.baseline), heatmap.grid(part, view.table)
    return make_plot(
        key=key,
        title=labels.SPEEDUP.title,
        figure=functools.partial(heatmap.figure, panel),
        alt=heatmap.alt(panel, over),
        caption=(
            f"Throughput over that of the same case with {over}. Blue is faster, red slower; hatched: the interval "
            f"includes 1 or is missing{_interference(panel)}."
        ),
        data=metric.data(part, labels.SPEEDUP),
        question=_question(view),
    )


def _bars(view: View, part: pd.DataFrame, key: str) -> Plot:
    over = labels.baseline(view.baseline)

    return metric.finished(
        key=key,
        figure=functools.partial(bar_by_case.figure, part, labels.SPEEDUP, over),
        alt=bar_by_case.alt(part, labels.SPEEDUP, f" over {over}"),
        caption=(
            f"Throughput over that of the same case with {over}. Error bars are 95 % intervals; a hollow dot is not "
            "different from 1."
        ),
        part=part,
        metric=labels.SPEEDUP,
        question=_question(view),
    )


def _interference(panel: heatmap.Map) -> str:
    if not any(cell.interfered for cell in panel.cells.values()):
        return ""
    return f"; {labels.SIGNS[INTERFERED]}: interference with either figure"


def _question(view: View) -> str:
    """Return the question that speed-ups over the baseline of a view help to answer."""
    return next((axis for axis in QUESTIONS if axis in view.baseline), "more")
