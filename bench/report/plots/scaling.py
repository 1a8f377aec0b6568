"""Scaling efficiency of training on several devices."""

from __future__ import annotations

import functools

from bench.analysis.scaling import EFFICIENCY, KINDS, efficiencies
from bench.report.plots import bar_by_case, metric
from bench.report.plots.plot import Plot, View


def plots(view: View) -> list[Plot]:
    """Return one panel per kind of scaling: the same batch on each device, or the same batch over all devices."""
    table = efficiencies(view.table)
    panels = []
    for kind, description in KINDS.items():
        parts = bar_by_case.parts(table[table["scaling"] == kind])
        for key, part in metric.keyed(f"scaling-{kind}", parts):
            panels.append(
                metric.finished(
                    key=key,
                    figure=functools.partial(bar_by_case.figure, part, EFFICIENCY),
                    alt=bar_by_case.alt(part, EFFICIENCY, f" with {description}"),
                    caption=(
                        f"Throughput per device over that of one device, with {description}; 100 % is linear scaling. "
                        "Batch is that of all devices together; error bars are 95 % intervals."
                    ),
                    part=part,
                    metric=EFFICIENCY,
                    question="device",
                )
            )
    return panels
