"""The content of the page; templates only lay it out."""

from __future__ import annotations

from typing import Any

import msgspec
import pandas as pd

from bench import __version__
from bench.analysis.ceilings import with_ceilings
from bench.analysis.table import frame, newest_rows
from bench.cases.model_labels import show_together
from bench.records.ceiling import Ceiling
from bench.records.comparison import Comparison
from bench.records.record import Record
from bench.report import commands, labels, sections
from bench.report.inputs import Inputs, MachineInputs, divide
from bench.report.plots import Plot
from bench.report.questions import QUESTIONS
from bench.report.sections import ceilings, cross_machine, headline
from bench.report.sections.section import Section


class BuiltSection(msgspec.Struct, frozen=True):
    """A section with its data."""

    section: Section
    data: Any

    @property
    def plots(self) -> list[Plot]:
        """Plots of the data."""
        return list(self.section.plots(self.data))


class Question(msgspec.Struct, frozen=True):
    """A question that the page answers for a machine.

    Attributes:
        id: anchor on the page.
        title: heading.
        sections: that help to answer it, at least one.
    """

    id: str
    title: str
    sections: list[BuiltSection]


class MachineView(msgspec.Struct, frozen=True):
    """The part of the page on one machine.

    Attributes:
        id: anchor on the page.
        prefix: first part of the file names of its plots.
        name, sentence: its name and its headline.
        sections: those that have something to show.
        compared: whether it has speed-ups over a baseline.
        commands: shell commands that measure its cases again, by purpose.
    """

    id: str
    prefix: str
    name: str
    sentence: str
    sections: list[BuiltSection]
    compared: bool
    commands: list[commands.Purpose]

    @property
    def top(self) -> list[BuiltSection]:
        """Sections above all questions."""
        return [built for built in self.sections if not built.section.question]

    @property
    def questions(self) -> list[Question]:
        """The questions that its sections answer, in the order of the page."""
        answered = []
        for key, title in QUESTIONS.items():
            members = [built for built in self.sections if built.section.question == key]
            if members:
                answered.append(Question(f"{self.prefix}{key}", title, members))
        return answered


class PageView(msgspec.Struct, frozen=True):
    """The whole page.

    Attributes:
        machines: in the order of their first record.
        shared: tables of cases of several machines side by side.
        table: all rows, including older rows of a case, and ceilings.
        epoch: the epoch that times are projected to, as text.
        complaints: one sentence per file that is left out.
        runs: names of the runs.
        reading: terms of the page with their explanations.
        version: of this suite.
        live: progress of a run that is not finished, as text; empty if it is finished.
    """

    machines: list[MachineView]
    shared: list[cross_machine.Shared]
    table: pd.DataFrame
    epoch: str
    complaints: list[str]
    runs: list[str]
    reading: list[tuple[str, str]]
    version: str
    live: str = ""

    @property
    def compared(self) -> bool:
        """Whether any machine has speed-ups over a baseline."""
        return any(machine.compared for machine in self.machines)

    @property
    def plots(self) -> dict[str, Plot]:
        """All plots by their file name."""
        return {plot.key: plot for table in self.shared for plot in table.plots} | {
            f"{machine.prefix}{plot.key}": plot
            for machine in self.machines
            for built in machine.sections
            for plot in built.plots
        }


def page(inputs: Inputs) -> PageView:
    """Gather the page; the inputs must not be empty."""
    records = inputs.records
    compared = [case.case for comparison in inputs.comparisons for case in comparison.cases]
    cases = [record.case for record in records] + [ceiling.case for ceiling in inputs.ceilings] + compared
    show_together(case.model for case in cases)
    table = frame(records, inputs.epoch_images)
    newest = newest_rows(table)
    several = len(divide(newest)) > 1
    others: list[Record | Ceiling | Comparison] = [*inputs.ceilings, *inputs.comparisons]
    fingerprints = dict.fromkeys([*newest["machine"], *(other.machine.fingerprint for other in others)])
    machines = [
        _machine(number, MachineInputs(newest[newest["machine"] == fingerprint], inputs, fingerprint, several))
        for number, fingerprint in enumerate(fingerprints, 1)
    ]
    return PageView(
        machines=machines,
        shared=cross_machine.shared(newest),
        table=with_ceilings(table, inputs.ceilings),
        epoch=labels.images(inputs.epoch_images),
        complaints=list(inputs.complaints),
        runs=list(dict.fromkeys(measurement.run for measurement in [*records, *others])),
        reading=_reading(newest),
        version=__version__,
        live=inputs.live,
    )


def _reading(table: pd.DataFrame) -> list[tuple[str, str]]:
    """Return the terms of the page with their explanations; intervals of the kinds that occur."""
    terms = [(labels.INTERVAL_NAMES[kind], labels.INTERVALS[kind]) for kind in labels.interval_kinds(table)]
    return [*labels.TERMS.items(), *terms]


def _machine(number: int, machine: MachineInputs) -> MachineView:
    """Gather the part of the page on one machine."""
    gathered = [BuiltSection(section, section.build(machine)) for section in sections.SECTIONS]
    processes = {row["id"]: int(row["processes"]) for row in labels.rows(machine.measured)}
    return MachineView(
        id=f"machine-{number}",
        prefix=f"m{number}-" if machine.several or number > 1 else "",
        name=labels.machine_name(machine.machine),
        sentence=headline.sentence(machine.table, machine.machine, machine.page.epoch_images, machine.ceilings),
        sections=[built for built in gathered if built.data is not None],
        compared=any(len(part.speedups) for part in machine.parts),
        commands=commands.by_purpose(
            machine.records, processes, ceilings.newest(machine.ceilings), machine.comparisons
        ),
    )
