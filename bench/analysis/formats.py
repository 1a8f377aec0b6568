"""Exported formats of prediction against the same case in Ultralytics' own format."""

from __future__ import annotations

import pandas as pd

from bench.analysis.speedup import speedups
from bench.analysis.table import COMPARABLE_KEYS, axes_of
from bench.cases.axes import NOT_ASKED

AXIS, OWN = "format", "pt"
"""The axis of formats, and Ultralytics' own format, in which a case without the axis predicts."""


def has_formats(table: pd.DataFrame) -> bool:
    """Whether a case of a table predicts in an exported format."""
    return AXIS in axes_of(table) and bool((table[AXIS] != NOT_ASKED).any())


def compared(table: pd.DataFrame) -> pd.DataFrame:
    """Return the measured cases that were predicted in an exported format, and those that they are compared with.

    Args:
        table: latest rows of :func:`bench.analysis.table.frame`.

    Returns:
        Rows of the table, with the format as it is called, and ``over_own``, ``over_own_low``, ``over_own_high``,
        ``over_own_interfered`` and ``forward_over_own``: throughput over the same case in Ultralytics' own format,
        missing where that was not measured.
    """
    measured = table[(table["status"] == "measured") & (table["mode"] == "predict")]
    if not has_formats(measured):
        return measured[:0].assign(over_own=None)
    keys = [*(axis for axis in axes_of(table) if axis != AXIS), *COMPARABLE_KEYS]
    exported = measured[measured[AXIS] != NOT_ASKED]
    places = set(exported[keys].itertuples(index=False, name=None))
    alike = [row in places for row in measured[keys].itertuples(index=False, name=None)]
    rows = measured[alike].assign(**{AXIS: measured[AXIS].where(measured[AXIS] != NOT_ASKED, OWN)})
    ratios = speedups(measured, {AXIS: NOT_ASKED})[[*axes_of(table), "machine", *RATIOS]]
    ratios.columns = pd.Index([RATIOS.get(str(name), name) for name in ratios.columns])
    merged = rows.reset_index().merge(ratios, on=[*axes_of(table), "machine"], how="left")
    own = rows[rows[AXIS] == OWN].drop_duplicates(keys, keep="last").set_index(keys)["forward_images_per_second"]
    base = [own.get(key) for key in merged[keys].itertuples(index=False, name=None)]
    merged["forward_over_own"] = merged["forward_images_per_second"] / pd.Series(base, merged.index, float)
    merged.loc[merged[AXIS] == OWN, "forward_over_own"] = float("nan")
    return merged.set_index("index")


RATIOS = {
    "speedup": "over_own",
    "speedup_low": "over_own_low",
    "speedup_high": "over_own_high",
    "interfered": "over_own_interfered",
}
"""Columns of a speed-up, and what they are called next to the other columns of a case."""
