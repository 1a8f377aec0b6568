"""The measured cases: tables of time per epoch, for each pair of versions."""

from __future__ import annotations

import msgspec

from bench.report import labels
from bench.report.inputs import MachineInputs
from bench.report.sections import pivot
from bench.report.sections.section import Section


class Software(msgspec.Struct, frozen=True):
    """One pair of versions, measured in one way: its title and its tables."""

    title: str
    tables: list[pivot.Pivot]


class Measurements(msgspec.Struct, frozen=True):
    """The section of one machine.

    Attributes:
        parts: one per pair of versions that has a figure.
        intervals: kinds of the intervals of the page, as text.
        legend: sign, name and meaning of all flags of its tables.
    """

    parts: list[Software]
    intervals: str
    legend: list[tuple[str, str, str]]


def build(machine: MachineInputs) -> Measurements | None:
    """Return one part per pair of versions."""
    parts = []
    for number, part in enumerate(machine.parts, 1):
        prefix = f"{machine.prefix}v{number}" if len(machine.parts) > 1 else machine.prefix
        tables = pivot.pivots(part.table, machine.page.records, prefix)
        if tables:
            parts.append(Software(part.title, tables))
    signs = (cell.signs for part in parts for table in part.tables for row in table.rows for cell in row.cells)
    intervals = labels.intervals(labels.interval_kinds(machine.table))
    return Measurements(parts, intervals, labels.legend(signs)) if parts else None


SECTION = Section("measurements", "", build, template="measurements", question="speed")
