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


def setting(ceiling: Ceiling) -> Setting:
    """Return what two ceilings need in common to be comparable: machine, versions, recipe, granularity.

    The recipe has data, threads and overrides. Case and limit are not included: they may differ.
    """
    software = ceiling.environment
    return (
        ceiling.machine.key,
        software.label("torch"),
        software.label("ultralytics"),
        ceiling.recipe.fingerprint,
        ceiling.granularity,
    )


ENDS = {
    "limit": "no larger one was tried",
    PREDICTED: "the next one is predicted to need clearly more",
    "swap": "then it swaps",
    "collapse": "then it slows down",
    "time": "then it takes too long",
}
"""Stop reasons in words, where the record's word is not enough."""


def format_stop_reason(ceiling: Ceiling) -> str:
    """Return the stop reason of a search in words; empty where unknown."""
    return ENDS.get(ceiling.stop_reason, f"then {ceiling.stop_reason}") if ceiling.stop_reason else ""


def with_ceilings(table: pd.DataFrame, ceilings: Sequence[Ceiling]) -> pd.DataFrame:
    """Append a row per ceiling to a table: mode ``ceiling``, and the largest batch that trains as batch."""
    if not ceilings:
        return table
    rows = typed_frame(list(map(_ceiling_row, ceilings)), [ceiling.case for ceiling in ceilings])
    if not len(table):
        return rows
    both = pd.concat([table, rows], ignore_index=True)
    further = list(dict.fromkeys(name for part in (table, rows) for name in axes_of(part) if name not in AXES))
    both[further] = both[further].astype("object").where(both[further].notna(), NOT_ASKED)
    return both[columns_with(further)]


def _ceiling_row(ceiling: Ceiling) -> dict[str, Any]:
    case, largest = ceiling.case, ceiling.largest
    peak = peak_memory(largest.memory) if largest else None
    within = f"within {ceiling.limit_bytes} bytes ({ceiling.limit_method})" if ceiling.limit_bytes else ""
    return {
        "run": ceiling.run,
        **{axis: getattr(case, axis) for axis in AXES},
        "model": case.model_label,
        "status": ceiling.outcome.status.value,
        "reason": ceiling.outcome.reason,
        "flags": "; ".join(filter(None, (within, format_stop_reason(ceiling)))),
        "processes": len(ceiling.probes),
        "peak_memory_bytes": peak.bytes if peak else None,
        "peak_memory_method": peak.method if peak else None,
        "threads": _threads(ceiling.effective),
        "torch": ceiling.environment.label("torch"),
        "ultralytics": ceiling.environment.label("ultralytics"),
        "python": ceiling.environment.python,
        "machine": ceiling.machine.key,
        "machine_title": ceiling.machine.title,
        "recipe": ceiling.recipe.fingerprint,
        "protocol": protocol(ceiling.recipe),
        "overrides_hash": overrides_hash(ceiling.recipe),
        "started": ceiling.started,
        "id": ceiling.id,
        **dict(case.further),
    }
