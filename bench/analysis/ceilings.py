"""Ceilings as rows of the table, and what makes two of them comparable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from bench.analysis.table import (
    AXES,
    _threads,
    axes_of,
    columns_with,
    overrides_hash,
    peak_memory,
    protocol,
    typed_frame,
)
from bench.cases.axes import NOT_ASKED
from bench.records.ceiling import PREDICTED, Ceiling

Setting = tuple[str, str, str, str, int]
"""See :func:`setting`."""


def setting(found: Ceiling) -> Setting:
    """What two ceilings have alike before one is held against the other: machine, versions, recipe, granularity.

    The recipe holds data, threads and fixed settings. Case and limit come beside it, since they are what may differ.
    """
    software = found.environment
    return (
        found.machine.fingerprint,
        software.label("torch"),
        software.label("ultralytics"),
        found.recipe.fingerprint,
        found.granularity,
    )


ENDS = {
    "limit": "no larger one was tried",
    PREDICTED: "the next one is foretold to need clearly more",
    "swap": "then it swaps",
    "collapse": "then it slows down",
    "time": "then it takes too long",
}
"""What ended a search, where the record's own word is not enough."""


def format_stop_reason(found: Ceiling) -> str:
    """What ended a search, in words; empty where it is not known."""
    return ENDS.get(found.stop_reason, f"then {found.stop_reason}") if found.stop_reason else ""


def with_ceilings(table: pd.DataFrame, ceilings: Sequence[Ceiling]) -> pd.DataFrame:
    """The same table with a row for every ceiling: of mode ``ceiling``, whose batch is the largest that trains."""
    if not ceilings:
        return table
    rows = typed_frame(list(map(_ceiling_row, ceilings)), [found.case for found in ceilings])
    if not len(table):
        return rows
    both = pd.concat([table, rows], ignore_index=True)
    further = list(dict.fromkeys(name for part in (table, rows) for name in axes_of(part) if name not in AXES))
    both[further] = both[further].astype("object").where(both[further].notna(), NOT_ASKED)
    return both[columns_with(further)]


def _ceiling_row(found: Ceiling) -> dict[str, Any]:
    case, largest = found.case, found.largest
    peak = peak_memory(largest.memory) if largest else None
    within = f"within {found.limit_bytes} bytes ({found.limit_method})" if found.limit_bytes else ""
    return {
        "run": found.run,
        **{axis: getattr(case, axis) for axis in AXES},
        "model": case.model_label,
        "status": found.outcome.status.value,
        "reason": found.outcome.reason,
        "flags": "; ".join(filter(None, (within, format_stop_reason(found)))),
        "processes": len(found.probes),
        "peak_memory_bytes": peak.bytes if peak else None,
        "peak_memory_method": peak.method if peak else None,
        "threads": _threads(found.effective),
        "torch": found.environment.label("torch"),
        "ultralytics": found.environment.label("ultralytics"),
        "python": found.environment.python,
        "machine": found.machine.fingerprint,
        "machine_title": found.machine.title,
        "recipe": found.recipe.fingerprint,
        "protocol": protocol(found.recipe),
        "overrides_hash": overrides_hash(found.recipe),
        "started": found.started,
        "id": found.id,
        **dict(case.further),
    }
