"""Peak memory against batch."""

from __future__ import annotations

import pandas as pd

from bench.analysis.metrics import METRICS
from bench.report import labels
from bench.report.plots import facets, line_by_batch, metric
from bench.report.plots.plot import Plot, View


def plots(view: View) -> list[Plot]:
    """A panel for each mode and model, more where there are too many lines."""
    return metric.plots(view.table, METRICS["peak_memory_bytes"], "memory", _caption(view.table))


def _caption(table: pd.DataFrame) -> str:
    """How each device's figure was got: figures of different kinds are no comparison."""
    known = table[table["peak_memory_method"].notna()]
    how = "; ".join(
        f"{labels.device(rows['device'].iloc[0])}: {', '.join(rows['peak_memory_method'].unique())}"
        for rows in facets.divide(known, ("device",))
    )
    several = (
        " Figures that were got in different ways do not compare." if known["peak_memory_method"].nunique() > 1 else ""
    )
    text = f"As told by {how}.{several}"
    return f"{text} {line_by_batch.WALL}" if line_by_batch.has_wall(table) else text
