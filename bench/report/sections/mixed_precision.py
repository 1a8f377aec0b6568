"""The section on mixed precision: time, memory and the largest batch, on against off."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pandas as pd

from bench.analysis import mixed_precision as compared
from bench.analysis.metrics import RATIO
from bench.formatting import format_bytes
from bench.records.ceiling import Ceiling
from bench.report import labels
from bench.report.inputs import MachineInputs
from bench.report.sections import ceilings as largest
from bench.report.sections.section import Section
from bench.report.tables import markdown

COLUMNS = ("Case", "Speed, on over off", "95 % interval", "Time", "Peak memory", "Memory")
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
        _row(row, labels.versions(table) if len(tables) > 1 else "")
        for table in tables
        for row in labels.rows(compared.precision(table))
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


def _row(row: dict[str, object], versions: str) -> tuple[str, ...]:
    speedup = float(str(row["speedup"]))
    memory = row["memory"]
    known = labels.there(memory)
    interfered = " (interfered)" if row["interfered"] else ""
    return (
        labels.case(row) + versions,
        RATIO.show(speedup) + interfered,
        labels.ends(RATIO, row["speedup_low"], row["speedup_high"]) or labels.NONE,
        saved(1 / speedup),
        f"{format_bytes(float(str(row['memory_off_bytes'])))} → {format_bytes(float(str(row['memory_bytes'])))}"
        if known
        else labels.NONE,
        saved(float(str(memory))) if known else labels.NONE,
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
    """Format a ratio as a change: ``38 % less`` for 0.62; ``12 % more`` for 1.12."""
    change = round(abs(1 - ratio) * 100, 1)
    return f"{change:g} % {'less' if ratio < 1 else 'more'}" if change else "the same"


def build(machine: MachineInputs) -> Precision | None:
    """Return the section of a machine."""
    return panel([part.table for part in machine.parts], machine.ceilings)


SECTION = Section("mixed_precision", "Mixed precision: on against off", build, template="mixed_precision")
