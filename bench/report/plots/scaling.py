"""Scaling efficiency of training on several devices."""

from __future__ import annotations

import functools

from bench.analysis.scaling import EFFICIENCY, KINDS, efficiencies
from bench.report import labels
from bench.report.plots import bar_by_case, metric
from bench.report.plots.plot import Plot, View


def plots(view: View) -> list[Plot]:
    """Return one panel per kind of scaling: the same batch on each device, or the same batch over all devices."""
    table = efficiencies(view.table)
    panels = []
    for kind, description in KINDS.items():
        parts = bar_by_case.parts(table[table["scaling"] == kind])
        for part in parts:
            panels.append(
                metric.finished(
                    key=metric.key(f"scaling-{kind}", part, parts),
                    figure=functools.partial(bar_by_case.figure, part, EFFICIENCY),
                    alt=bar_by_case.alt(part, EFFICIENCY, f" with {description}"),
                    caption=(
                        f"Throughput over that of one device, per device, with {description}: 100 % where nothing is "
                        f"lost by sharing. Batch is that of all devices together. Error bars: "
                        f"{labels.intervals(labels.interval_kinds(part))}, from those of both cases."
                    ),
                    part=part,
                    metric=EFFICIENCY,
                )
            )
    return panels
