"""How many times as fast each case is as its counterpart in the baseline."""

from __future__ import annotations

from bench.report import labels
from bench.report.plots import by_case, metric
from bench.report.plots.plot import Plot, View


def plots(view: View) -> list[Plot]:
    """A panel for each mode, more where there are too many cases."""
    parts = by_case.parts(view.speedups)
    over = labels.baseline(view.baseline)
    intervals = labels.intervals(labels.interval_kinds(view.speedups))
    return [
        metric.finished(
            key=metric.key("speedup", part, parts),
            figure=lambda part=part: by_case.figure(part, labels.SPEEDUP, over),  # type: ignore[misc]
            alt=by_case.alt(part, labels.SPEEDUP, f" over {over}"),
            caption=(
                f"Throughput over that of the same case with {over}. "
                f"Error bars: {intervals}, from those of both cases; where these are of two kinds, it counts as the "
                "weaker. A hollow bar: the interval holds 1."
            ),
            part=part,
            metric=labels.SPEEDUP,
        )
        for part in parts
    ]
