"""A section: the steps of each measured case before its window."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.report.inputs import MachineInputs
    from bench.report.sections import Table

KEY, TITLE = "toy_warmup", "Toy: warm-up"


def build(machine: MachineInputs) -> Table | None:
    """A row for each measured case, read from its record; None where nothing was measured."""
    from bench.report.sections import Table

    measured = [record for record in machine.records if record.steps is not None]
    rows = [
        (record.case.id, f"{record.steps.warmup + record.steps.warmup_discarded}")
        for record in measured
        if record.steps
    ]
    return Table(("Case", "Steps before the window"), rows, note="Every step counts.") if rows else None


def register() -> None:
    """Add the section to the page, before the settings."""
    from bench.report.sections import Section, register

    register(Section(KEY, TITLE, build), before="settings")
