"""Effect of mixed precision on time, memory and the largest batch, against the same case without it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd

from bench.analysis.ceilings import Setting, setting
from bench.analysis.flags import without_forced
from bench.analysis.speedup import speedups
from bench.analysis.table import COMPARABLE_KEYS, axes_of
from bench.records.ceiling import Ceiling

COLUMNS = (
    "speedup",
    "speedup_low",
    "speedup_high",
    "interval_kind",
    "interfered",
    "memory",
    "memory_off_bytes",
    "memory_bytes",
)


def precision(table: pd.DataFrame) -> pd.DataFrame:
    """A row for every measured case in mixed precision whose counterpart without it was measured too; none is forced.

    Args:
        table: latest rows of :func:`bench.analysis.table.frame`.

    Returns:
        Columns: the axes, and :data:`COLUMNS`. ``speedup`` is throughput over that without mixed precision, with its
        interval. ``memory`` is peak memory over that without it, missing where either is unknown or their methods
        differ.
    """
    table = without_forced(table)
    ratios = speedups(table, {"amp": "off"})
    axes = axes_of(table)
    columns = [*axes, *COLUMNS]
    if ratios.empty:
        return pd.DataFrame(columns=columns)
    peaks = _peaks(table)
    keys = [axis for axis in axes if axis != "amp"]
    measured = table[table["status"] == "measured"]
    compared = ratios.merge(measured[[*axes, *COMPARABLE_KEYS]], on=[*axes, "machine"], how="left").drop_duplicates(
        [*axes, *COMPARABLE_KEYS]
    )
    rows = []
    for row in compared.to_dict("records"):
        place = tuple(row[name] for name in (*keys, *COMPARABLE_KEYS))
        on, off = peaks.get((place, row["amp"])), peaks.get((place, "off"))
        alike = on is not None and off is not None and on[1] == off[1]
        rows.append(
            {
                **{str(name): row[name] for name in columns if name in row},
                "memory": on[0] / off[0] if on and off and alike else None,
                "memory_off_bytes": off[0] if off and alike else None,
                "memory_bytes": on[0] if on and alike else None,
            }
        )
    return pd.DataFrame(rows, columns=columns)


def _peaks(table: pd.DataFrame) -> dict[tuple[tuple[Any, ...], Any], tuple[int, str]]:
    """Peak memory and its method, by case (without its precision) and precision."""
    keys = [*(axis for axis in axes_of(table) if axis != "amp"), *COMPARABLE_KEYS]
    known = table[table["peak_memory_bytes"].notna()]
    return {
        (tuple(row[name] for name in keys), row["amp"]): (int(row["peak_memory_bytes"]), str(row["peak_memory_method"]))
        for row in known.to_dict("records")
    }


class Place(NamedTuple):
    """Settings shared by ceilings that differ only in precision; see :func:`bench.analysis.ceilings.setting`."""

    model: str
    device: str
    imgsz: int
    further: tuple[tuple[str, Any], ...]
    limit: int | None
    setting: Setting


def batches(ceilings: Sequence[Ceiling]) -> dict[Place, dict[str, Ceiling]]:
    """Known ceilings by precision, for each model, device, size, limit that was asked for, and setting; none forced."""
    by_place: dict[Place, dict[str, Ceiling]] = {}
    for ceiling in ceilings:
        if ceiling.outcome.status.value == "measured" and not ceiling.case.is_forced:
            place = Place(
                ceiling.case.model,
                ceiling.case.device,
                ceiling.case.imgsz,
                ceiling.case.further,
                ceiling.asked_bytes,
                setting(ceiling),
            )
            by_place.setdefault(place, {})[ceiling.case.amp] = ceiling
    return by_place
