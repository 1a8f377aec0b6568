"""Scaling efficiency of training on several devices: throughput over that of one device, per device."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import pandas as pd

from bench.analysis.intervals import log_half_width, weaker_kind
from bench.analysis.metrics import SHARE, Metric
from bench.analysis.table import COMPARABLE_KEYS, axes_of
from bench.cases.device_kinds import device_names, ranks

EFFICIENCY = Metric("efficiency", "Scaling efficiency", SHARE, "higher")
"""Throughput of n devices over n times that of one: 100 % where nothing is lost."""

KINDS = {"each": "the same batch on each device", "total": "the same batch over all devices"}
"""The part that stays constant while devices are added: in the literature, weak and strong scaling."""

COLUMNS = (
    "machine",
    "devices",
    "scaling",
    "speedup",
    "efficiency",
    "efficiency_low",
    "efficiency_high",
    "interval_kind",
    "status",
)


def efficiencies(table: pd.DataFrame) -> pd.DataFrame:
    """A row for every training on several devices and every kind of counterpart that it has on one of them.

    Args:
        table: latest rows of :func:`bench.analysis.table.frame`.

    Returns:
        Columns: the axes, and :data:`COLUMNS`. ``scaling`` is a key of :data:`KINDS`: the counterpart has the same
        total batch (``total``), or the share of it that one device has (``each``). The ends come from both intervals,
        as independent errors of the logarithms; missing where either is.
    """
    measured = table[table["status"] == "measured"]
    rows = [{str(key): value for key, value in row.items()} for row in measured.to_dict("records")]
    axes = axes_of(table)
    alone = {_key(row, axes): row for row in rows if ranks(row["device"]) == 1}
    efficiency_rows = []
    for row in rows:
        count = ranks(row["device"])
        if count == 1:
            continue
        for kind, batch in (("each", row["batch"] // count), ("total", row["batch"])):
            names = device_names(row["device"])
            others = [
                alone[key] for name in names if (key := _key({**row, "device": name, "batch": batch}, axes)) in alone
            ]
            if others:
                efficiency_rows.append({**{name: row[name] for name in axes}, **_row(row, others[0], count, kind)})
    return pd.DataFrame(efficiency_rows, columns=[*axes, *COLUMNS])


def _key(row: dict[str, Any], axes: Iterable[str]) -> tuple[Any, ...]:
    return tuple(row[name] for name in (*axes, *COMPARABLE_KEYS))


def _row(row: dict[str, Any], counterpart: dict[str, Any], count: int, kind: str) -> dict[str, Any]:
    speedup = row["images_per_second"] / counterpart["images_per_second"]
    ends = ("images_per_second_low", "images_per_second_high")
    half = math.hypot(*(log_half_width(*(side[end] for end in ends)) for side in (row, counterpart)))
    efficiency = speedup / count
    return {
        **{name: row[name] for name in ("machine", "status")},
        "devices": count,
        "scaling": kind,
        "speedup": speedup,
        "efficiency": efficiency,
        "efficiency_low": efficiency / math.exp(half),
        "efficiency_high": efficiency * math.exp(half),
        "interval_kind": weaker_kind(row["interval_kind"], counterpart["interval_kind"]),
    }
