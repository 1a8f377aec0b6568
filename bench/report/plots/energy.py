"""Images per joule, where joules were counted."""

from __future__ import annotations

from bench.analysis.metrics import METRICS
from bench.report.plots import metric
from bench.report.plots.plot import Plot, View


def plots(view: View) -> list[Plot]:
    """A panel for each mode that has figures; none without ``--energy``."""
    table = view.table[view.table["images_per_joule"].notna()]
    if table.empty:
        return []
    hows = ", ".join(sorted(set(table["energy_method"])))
    caption = f"Images for each joule, idle power included. Counted by: {hows}."
    return metric.plots(table, METRICS["images_per_joule"], "energy", caption)
