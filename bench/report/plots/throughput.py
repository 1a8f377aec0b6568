"""Images per second against batch."""

from __future__ import annotations

import pandas as pd

from bench.analysis.metrics import METRICS
from bench.report import labels
from bench.report.plots import line_by_batch, metric
from bench.report.plots.plot import Plot, View


def plots(view: View) -> list[Plot]:
    """A panel for each mode and model, more where there are too many lines."""
    return metric.plots(view.table, METRICS["images_per_second"], "throughput", _caption(view.table))


def _caption(table: pd.DataFrame) -> str:
    text = f"Waiting for data is included. Error bars: {labels.intervals(labels.interval_kinds(table))}."
    return f"{text} {line_by_batch.WALL}" if line_by_batch.has_wall(table) else text
