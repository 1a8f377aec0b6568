"""A figure and the last one of the same case, machine and software in an earlier run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pandas as pd

from bench.analysis.table import COMPARABLE_KEYS, axes_of


class Change(msgspec.Struct, frozen=True):
    """A figure next to that of an earlier run. The two were not interleaved.

    Attributes:
        run, started: earlier run, and when its case began, UTC.
        before, now: images per second, or those of the case's unit.
        clear: whether the intervals of both do not overlap; False where one of them is missing.
    """

    run: str
    started: str
    before: float
    now: float
    clear: bool

    @property
    def share(self) -> float:
        """Change of the throughput: -0.46 for 46 % fewer images per second."""
        return self.now / self.before - 1


def change_since(table: pd.DataFrame, row: Mapping[str, Any]) -> Change | None:
    """Compare a measured row with the newest row of an earlier run that is comparable with it.

    Args:
        table: all rows of :func:`bench.analysis.table.frame`, older ones included.
        row: one of them.

    Returns:
        The change; None where no earlier run measured this case by this recipe, with these versions, on this machine.
    """
    earlier = table[
        (table["status"] == "measured") & (table["run"] != row["run"]) & (table["started"] < row["started"])
    ]
    for key in (*COMPARABLE_KEYS, *axes_of(table)):
        earlier = earlier[earlier[key] == row[key]]
    if earlier.empty or row["status"] != "measured":
        return None
    last = earlier.sort_values("started", kind="stable").iloc[-1]
    return Change(
        run=str(last["run"]),
        started=str(last["started"]),
        before=float(last["images_per_second"]),
        now=float(row["images_per_second"]),
        clear=bool(
            row["images_per_second_high"] < last["images_per_second_low"]
            or row["images_per_second_low"] > last["images_per_second_high"]
        ),
    )
