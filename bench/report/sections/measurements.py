"""The measured cases: tables of time per epoch with their recipes, and plots, for each pair of versions."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from bench.report import plots
from bench.report.inputs import Inputs, MachineInputs, Part, records_of
from bench.report.sections import pivot, recipes
from bench.report.sections.section import Section


class Table(msgspec.Struct, frozen=True):
    """A pivot with the recipes of its figures."""

    pivot: pivot.Pivot
    recipes: list[recipes.HowMeasured]

    @property
    def mixed(self) -> bool:
        """Whether figures of one device come from several recipes."""
        return len({how.where for how in self.recipes}) < len(self.recipes)


class Plots(msgspec.Struct, frozen=True):
    """Plots of one kind, with their shared caption; if it is empty, each plot has its own."""

    title: str
    caption: str
    panels: list[plots.Plot]


class Software(msgspec.Struct, frozen=True):
    """One pair of versions, measured in one way: its title, tables and plots."""

    title: str
    tables: list[Table]
    plots: list[Plots]


def build(machine: MachineInputs) -> list[Software] | None:
    """Return one part per pair of versions."""
    software = []
    for number, part in enumerate(machine.parts, 1):
        view = plots.View(part.table, part.speedups, machine.baseline, machine.page.records)
        prefix = f"v{number}-" if machine.several else ""
        drawn = [msgspec.structs.replace(plot, key=f"{prefix}{plot.key}") for plot in plots.draw(view)]
        software.append(Software(part.title, _tables(part, machine.page), _plots(drawn)))
    return software or None


def _tables(part: Part, page: Inputs) -> list[Table]:
    measured = records_of(part.table[part.table["status"] == "measured"], page.records)
    return [
        Table(table, recipes.recipes([record for record in measured if record.case.mode == table.mode]))
        for table in pivot.pivots(part.table, page.records, page.epoch_images)
    ]


def _plots(drawn: Sequence[plots.Plot]) -> list[Plots]:
    groups = []
    for title in dict.fromkeys(plot.title for plot in drawn):
        panels = [plot for plot in drawn if plot.title == title]
        captions = {plot.caption for plot in panels}
        groups.append(Plots(title, captions.pop() if len(captions) == 1 else "", panels))
    return groups


def _drawn(parts: list[Software]) -> list[plots.Plot]:
    return [plot for part in parts for group in part.plots for plot in group.panels]


SECTION = Section("measurements", "", build, template="measurements", plots=_drawn)
