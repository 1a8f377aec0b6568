"""The section on several devices: speed-up and scaling efficiency against one device."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from bench.analysis.metrics import RATIO, SHARE
from bench.analysis.scaling import KINDS, efficiencies
from bench.report import labels
from bench.report.inputs import MachineInputs
from bench.report.sections.section import Section, Table

COLUMNS = ("Case", "Speed-up", "Scaling efficiency", "Interval", "Against one device with")


def panel(tables: Sequence[pd.DataFrame]) -> Table | None:
    """Return the table; None if no training on several devices has a counterpart on one.

    Args:
        tables: latest rows of one machine, each of one setting.
    """
    scalings = [(table, efficiencies(table)) for table in tables]
    rows = [
        _row(row, labels.versions(table) if len(tables) > 1 else "")
        for table, shared in scalings
        for row in labels.rows(shared)
    ]
    note = (
        "Speed-up is the throughput of all devices together over that of one. Scaling efficiency is the speed-up per "
        "device; 100 % is linear scaling."
    )
    return Table(COLUMNS, rows, note) if rows else None


def _row(row: dict[str, object], versions: str) -> tuple[str, ...]:
    return (
        labels.case(row) + versions,
        RATIO.show(float(str(row["speedup"]))),
        SHARE.show(float(str(row["efficiency"]))),
        labels.ends(SHARE, row["efficiency_low"], row["efficiency_high"]) or labels.NONE,
        KINDS[str(row["scaling"])],
    )


def build(machine: MachineInputs) -> Table | None:
    """Return the table of a machine."""
    return panel([part.table for part in machine.parts])


SECTION = Section("scaling", "Several devices against one", build, question="device")
