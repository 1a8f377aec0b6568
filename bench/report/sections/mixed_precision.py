"""The section on mixed precision: time, memory and the largest batch, on against off."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pandas as pd

from bench.analysis import mixed_precision as compared
from bench.analysis.metrics import RATIO
from bench.records.ceiling import Ceiling
from bench.report import labels
from bench.report.inputs import MachineInputs
from bench.report.plots import facets
from bench.report.sections import ceilings as largest
from bench.report.sections.section import Section
from bench.report.tables import markdown

COLUMNS = ("Case with AMP on", "Speed-up", "Interval", "Time", "Memory off", "Memory on", "Memory")
BATCHES = ("Case", "Largest batch off", "Largest batch on", "Ratio")


class Precision(msgspec.Struct, frozen=True):
    """The section of one machine.

    Attributes:
        columns, rows: time and memory.
        batch_columns, batches: the largest batch.
    """

    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    batch_columns: tuple[str, ...]
    batches: list[tuple[str, ...]]

    def markdown(self) -> str:
        """Render as one or two Markdown tables."""
        tables = [(self.columns, self.rows), (self.batch_columns, self.batches)]
        return "\n".join(markdown(columns, rows) for columns, rows in tables if rows)


def panel(tables: Sequence[pd.DataFrame], ceilings: Sequence[Ceiling]) -> Precision | None:
    """Return the section; None if nothing was measured with mixed precision both on and off.

    Args:
        tables: latest rows of one machine, each of one setting.
        ceilings: of that machine.
    """
    rows = [
        cells
        for table in tables
        for cells in _rows(compared.precision(table), labels.versions(table) if len(tables) > 1 else "")
    ]
    newest = largest.newest(ceilings)
    batches = [
        _batches(by_precision["off"], other, newest)
        for by_precision in compared.batches(newest).values()
        if "off" in by_precision
        for amp, other in by_precision.items()
        if amp != "off"
    ]
    return Precision(COLUMNS, rows, BATCHES, batches) if rows or batches else None


def _rows(ratios: pd.DataFrame, versions: str) -> list[tuple[str, ...]]:
    """Return one row per case: by mode, model, device, size and batch."""
    if ratios.empty:
        return []
    names = ("mode", *labels.case_axes(ratios))
    ordered = labels.rows(facets.ordered(ratios, [name for name in names if name != "batch"] + ["batch"]))
    known = [float(row[key]) for row in ordered for key in MEMORY if labels.there(row[key])]
    size = labels.bytes_alike(known)
    return [_row(row, versions, size) for row in ordered]


MEMORY = ("memory_off_bytes", "memory_bytes")


def _row(row: dict[str, Any], versions: str, size: Callable[[float], str]) -> tuple[str, ...]:
    speedup = float(row["speedup"])
    known = labels.there(row["memory"])
    interfered = " (interfered)" if row["interfered"] else ""
    has_ends = labels.there(row["speedup_low"]) and labels.there(row["speedup_high"])
    off, on = (size(float(row[key])) if known else labels.NONE for key in MEMORY)
    return (
        f"{labels.axis_value('mode', row['mode'])} · {labels.point(row, without=['amp'])}{versions}",
        f"{speedup:.2f}{RATIO.symbol}{interfered}",
        f"{float(row['speedup_low']):.2f} to {float(row['speedup_high']):.2f}" if has_ends else labels.NONE,
        saved(1 / speedup),
        off,
        on,
        saved(float(row["memory"])) if known else labels.NONE,
    )


def _batches(off: Ceiling, on: Ceiling, others: Sequence[Ceiling]) -> tuple[str, ...]:
    within = f" · within {limit}" if (limit := largest.within(on)) else ""
    both = off.case.batch and on.case.batch and not off.next_untried and not on.next_untried
    return (
        labels.point(labels.case_values(on.case), without=["batch"]) + largest.apart(on, others) + within,
        largest.batch(off),
        largest.batch(on),
        RATIO.show(on.case.batch / off.case.batch) if both else labels.NONE,
    )


def saved(ratio: float) -> str:
    """Format a ratio as a change: ``38.0 % less`` for 0.62; ``12.0 % more`` for 1.12."""
    change = round(abs(1 - ratio) * 100, 1)
    return f"{change:.1f} % {'less' if ratio < 1 else 'more'}" if change else "the same"


def build(machine: MachineInputs) -> Precision | None:
    """Return the section of a machine."""
    return panel([part.table for part in machine.parts], machine.ceilings)


SECTION = Section("mixed_precision", "", build, template="mixed_precision", question="amp")
