"""The content of the page; templates only lay it out."""

from __future__ import annotations

from typing import Any

import msgspec
import pandas as pd

from bench import __version__
from bench.analysis.availability import without_answers
from bench.analysis.ceilings import with_ceilings
from bench.analysis.reference import reference_cases
from bench.analysis.table import frame, newest_rows
from bench.analysis.units import in_units
from bench.cases.axes import NOT_ASKED
from bench.cases.model_labels import show_together
from bench.records.ceiling import Ceiling
from bench.records.comparison import Comparison
from bench.records.indexed import facts_of
from bench.records.record import Record
from bench.report import commands, labels, sections
from bench.report.headline import names, share
from bench.report.inputs import Inputs, MachineInputs, divide
from bench.report.plots import Plot
from bench.report.questions import QUESTIONS
from bench.report.sections import ceilings, cross_machine
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
        facts: description of the machine and its versions in one line.
        heading, title: machine and result in one line, for the first heading and for the title of a page.
        share: its part of the picture for shared links.
        compared: whether it has speed-ups over a baseline.
        commands: shell commands that measure its cases again, by purpose.
    """

    id: str
    prefix: str
    name: str
    sentence: str
    facts: str
    heading: str
    title: str
    share: share.Figures
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
        runs: names of the runs, each with a link to its folder; without one, the link is empty.
        reading: terms of the page with their explanations.
        version: of this suite.
        live: progress of a run that is not finished, as text; empty if it is finished.
    """

    machines: list[MachineView]
    shared: list[cross_machine.Shared]
    table: pd.DataFrame
    epoch: str
    complaints: list[str]
    runs: list[tuple[str, str]]
    reading: list[tuple[str, str]]
    version: str
    live: str = ""

    @property
    def heading(self) -> str:
        """The first heading: machine and result, or the names of several machines."""
        if len(self.machines) == 1:
            return self.machines[0].heading
        return f"{len(self.machines)} machines: {labels.listing(machine.name for machine in self.machines)}"

    @property
    def title(self) -> str:
        """The title of the page, for a tab of a browser and for links."""
        return self.machines[0].title if len(self.machines) == 1 else f"{self.heading} · yolopace"

    @property
    def is_shared(self) -> bool:
        """Whether the page has a picture for shared links: it is finished, and has a figure."""
        return not self.live and any(machine.share.lines for machine in self.machines)

    @property
    def share(self) -> share.SharePicture:
        """The picture for shared links."""
        software = self.table[["torch", "ultralytics"]].drop_duplicates()
        versions = [
            f"torch {row.torch} · Ultralytics {row.ultralytics} · "
            for row in software.itertuples()
            if len(software) == 1
        ]
        footer = f"{''.join(versions)}yolopace {self.version}"
        return share.SharePicture([machine.share for machine in self.machines], footer)

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
    inputs = inputs.with_ids()
    records = inputs.records
    compared = [case.case for comparison in inputs.comparisons for case in comparison.cases]
    facts = facts_of(records)
    cases = [record.case for record in facts] + [ceiling.case for ceiling in inputs.ceilings] + compared
    show_together(case.model for case in cases)
    table = frame(records, inputs.epoch_images)
    newest = without_answers(newest_rows(table), records)
    several = len(divide(newest)) > 1
    others: list[Record | Ceiling | Comparison] = [*inputs.ceilings, *inputs.comparisons]
    keys = dict.fromkeys([*newest["machine"], *(other.machine.key for other in others)])
    machines = [
        _machine(number, MachineInputs(newest[newest["machine"] == key], inputs, key, several, table))
        for number, key in enumerate(keys, 1)
    ]
    return PageView(
        machines=machines,
        shared=cross_machine.shared(newest),
        table=with_ceilings(table, inputs.ceilings),
        epoch=labels.images(inputs.epoch_images),
        complaints=list(inputs.complaints),
        runs=[
            (run, inputs.run_links.get(run, ""))
            for run in dict.fromkeys(measurement.run for measurement in [*facts, *others])
        ],
        reading=_reading(newest),
        version=__version__,
        live=inputs.live,
    )


def _reading(table: pd.DataFrame) -> list[tuple[str, str]]:
    """Return the terms of the page with their explanations; intervals of the kinds that occur."""
    terms = [(labels.INTERVAL_NAMES[kind], labels.INTERVALS[kind]) for kind in labels.interval_kinds(table)]
    if any("+" in device for device in table["device"]):
        terms.append(("cpu+cpu", labels.JOINED))
    if "scenario" in table and (table["scenario"] != NOT_ASKED).any():
        terms.append(("Scenario", labels.SCENARIO))
    return [*labels.TERMS.items(), *terms]


def _machine(number: int, machine: MachineInputs) -> MachineView:
    """Gather the part of the page on one machine."""
    gathered = [BuiltSection(section, section.build(machine)) for section in sections.SECTIONS]
    processes = {row["id"]: int(row["processes"]) for row in labels.rows(machine.measured)}
    distinct = "" if machine.name == labels.machine_name(machine.machine) else machine.name
    return MachineView(
        id=f"machine-{number}",
        prefix=f"m{number}-" if machine.several or number > 1 else "",
        name=machine.name,
        sentence=names.sentence(machine.table, machine.machine, machine.page.epoch_images, machine.ceilings),
        facts=names.facts(machine.table, machine.machine),
        heading=names.heading(machine.table, machine.machine, machine.ceilings, distinct),
        title=names.title(machine.table, machine.machine),
        share=_share(machine, distinct),
        sections=[built for built in gathered if built.data is not None],
        compared=any(len(part.speedups) for part in machine.parts),
        commands=commands.by_purpose(
            machine.records, processes, ceilings.newest(machine.ceilings), machine.comparisons
        ),
    )


def _share(machine: MachineInputs, distinct: str) -> share.Figures:
    """Gather the part of the picture for shared links on one machine: a line per mode with a reference case."""
    references = reference_cases(machine.table)
    lines = []
    for mode, reference in references.items():
        row = reference.row
        case = f"{labels.DOES[mode][0]} {labels.point(row)}"
        figure = " ".join(filter(None, (names.speed(row), names.precision(row))))
        lines.append(share.Line(figure, in_units(case, row), noisy=bool(reference.doubts)))
    if not lines and (ceiling := names.widest(machine.ceilings)) is not None:
        lines.append(share.Line(f"batch {ceiling.case.batch:,}", f"Largest batch that trains: {names.point(ceiling)}"))
    rows = [reference.row for reference in references.values()]
    name = names.machine_of(machine.machine, rows[0]) if rows else labels.machine_name(machine.machine)
    return share.Figures(distinct or name, tuple(lines), _share_facts(machine, rows))


def _share_facts(machine: MachineInputs, rows: list[dict[str, Any]]) -> str:
    """Describe cores, CPU threads and the day of the figures of some rows: ``2 cores · 1 CPU thread · 2026-11-28``."""
    threads = labels.listing(dict.fromkeys(f"{int(row['threads'])}" for row in rows if labels.there(row["threads"])))
    days = sorted({str(row["started"])[:10] for row in rows} or {ceiling.started[:10] for ceiling in machine.ceilings})
    parts = [
        labels.count(machine.machine.cores, "core"),
        f"{threads} CPU thread{'' if threads == '1' else 's'}" if threads else "",
        " to ".join(dict.fromkeys(days[:1] + days[-1:])),
    ]
    return " · ".join(filter(None, parts))
