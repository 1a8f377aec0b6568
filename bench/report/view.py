"""Everything that the page says, gathered: templates only lay it out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import msgspec
import pandas as pd

from bench import __version__
from bench.analysis.marks import failed
from bench.analysis.speedup import default_baseline, speedups
from bench.analysis.table import SAME, by_case, frame, latest
from bench.analysis.uncertainty import WITHIN
from bench.records.record import Record
from bench.report import facts, headline, labels, missing, pivot, plots, settings
from bench.report.facts import Facts


class Table(msgspec.Struct, frozen=True):
    """A pivot with the recipes that its figures were measured by."""

    pivot: pivot.Pivot
    recipes: list[facts.HowMeasured]

    @property
    def mixed(self) -> bool:
        """Whether figures of one device come from several recipes."""
        return len({how.where for how in self.recipes}) < len(self.recipes)


class Plots(msgspec.Struct, frozen=True):
    """Plots of one kind, with the caption that they share; each has its own where that is empty."""

    title: str
    caption: str
    panels: list[plots.Plot]


class Software(msgspec.Struct, frozen=True):
    """What was seen with one pair of versions, measured in one way, on one machine.

    Attributes:
        title: the versions, and how it was measured.
        prefix: first part of the file names of its plots; empty on a page with one such part.
        tables, plots: see there.
    """

    title: str
    prefix: str
    tables: list[Table]
    plots: list[Plots]


class MachineView(msgspec.Struct, frozen=True):
    """One machine's section."""

    id: str
    name: str
    sentence: str
    figures: list[headline.Figure]
    facts: Facts
    details: Facts
    software: list[Software]
    missing: list[missing.Group]
    settings: list[settings.Settings]
    commands: list[str]


class PageView(msgspec.Struct, frozen=True):
    """The whole page.

    Attributes:
        machines: in the order in which they were first seen.
        table: all rows, older ones of a case too.
        epoch: the epoch that times are projected to, in words.
        complaints: one sentence for every file that is left out.
        runs: names.
        intervals: a paragraph on each kind of interval that the page has.
        version: of this suite.
    """

    machines: list[MachineView]
    table: pd.DataFrame
    epoch: str
    complaints: list[str]
    runs: list[str]
    intervals: list[str]
    version: str


def page(
    records: Sequence[Record], epoch_images: int, baseline: dict[str, Any] | None, complaints: Sequence[str]
) -> PageView:
    """Gather the page.

    Args:
        records: at least one, in the order in which they were measured.
        epoch_images: images of the epoch that times are projected to.
        baseline: values by axis that speed-ups compare with; None for what suggests itself.
        complaints: one sentence for every file that could not be read.
    """
    table = frame(records, epoch_images)
    newest = latest(table)
    parts = _parts(newest)
    machines = [
        _machine(number, newest[newest["machine"] == fingerprint], records, epoch_images, baseline, len(parts) > 1)
        for number, fingerprint in enumerate(dict.fromkeys(newest["machine"]), 1)
    ]
    return PageView(
        machines=machines,
        table=table,
        epoch=labels.images(epoch_images),
        complaints=list(complaints),
        runs=list(dict.fromkeys(record.run for record in records)),
        intervals=[labels.INTERVALS[kind] for kind in labels.interval_kinds(newest) or [WITHIN]],
        version=__version__,
    )


def _machine(
    number: int,
    table: pd.DataFrame,
    records: Sequence[Record],
    epoch_images: int,
    baseline: dict[str, Any] | None,
    several: bool,
) -> MachineView:
    """One machine's section; ``several`` says whether the page has more than one set of plots."""
    own = _records(table, records)
    measured = table[table["status"] == "measured"]
    chosen = default_baseline(table) if baseline is None else baseline
    software, ratios = [], []
    for index, (title, rows) in enumerate(_parts(table), 1):
        torch, ultralytics = rows[["torch", "ultralytics"]].iloc[0]
        ratio = speedups(rows, chosen)
        ratios.append(ratio.assign(torch=torch, ultralytics=ultralytics))
        software.append(
            Software(
                title=title,
                prefix=f"m{number}-v{index}-" if several else "",
                tables=_tables(rows, records, epoch_images),
                plots=_plots(plots.draw(plots.View(rows, ratio, chosen))),
            )
        )
    return MachineView(
        id=f"machine-{number}",
        name=labels.machine_name(own[0].machine),
        sentence=headline.sentence(table, own[0].machine, epoch_images),
        figures=headline.figures(table, pd.concat(ratios), chosen, epoch_images),
        facts=facts.machine_facts(own),
        details=facts.details(own),
        software=software,
        missing=sorted(
            missing.groups(own) + missing.groups(_failed_repeats(table, records), repeats=True),
            key=lambda group: not group.broken,
        ),
        settings=settings.settings(own),
        commands=facts.commands(own, {row["id"]: int(row["processes"]) for row in labels.rows(measured)}),
    )


def _parts(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The rows that may stand in one table, with what they have in common in words.

    Each mode fixes settings of its own (``pins``), so modes stand together; but not two sets of settings of one mode.
    """
    sets = table.groupby([*SAME, "mode"], dropna=False)["pins"].transform(lambda pins: pd.factorize(pins)[0])
    found = []
    for setting, rows in table.groupby([*SAME, sets.rename("set")], sort=False, dropna=False):
        _, torch, ultralytics, how, number = cast("tuple[Any, ...]", setting)
        other = f", other fixed settings ({', '.join(dict.fromkeys(rows['pins']))})" if number else ""
        found.append((f"torch {torch}, Ultralytics {ultralytics}: {how}{other}", rows))
    return found


def _tables(table: pd.DataFrame, records: Sequence[Record], epoch_images: int) -> list[Table]:
    measured = _records(table[table["status"] == "measured"], records)
    return [
        Table(one, facts.recipes([record for record in measured if record.case.mode == one.mode]))
        for one in pivot.pivots(table, records, epoch_images)
    ]


def _plots(drawn: Sequence[plots.Plot]) -> list[Plots]:
    found = []
    for title in dict.fromkeys(plot.title for plot in drawn):
        panels = [plot for plot in drawn if plot.title == title]
        captions = {plot.caption for plot in panels}
        found.append(Plots(title, captions.pop() if len(captions) == 1 else "", panels))
    return found


def _failed_repeats(table: pd.DataFrame, records: Sequence[Record]) -> list[Record]:
    """Processes that ended without a figure, of cases that have one from another process."""
    shown = set(table.index[table["status"] == "measured"])
    cases = [case for case in by_case(records) if any(place in shown for place, _ in case)]
    return [record for case in cases for _, record in case if failed(record)]


def _records(table: pd.DataFrame, records: Sequence[Record]) -> list[Record]:
    return [records[int(index)] for index in table.index]
