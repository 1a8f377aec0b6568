"""Everything that the page says, gathered: templates only lay it out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import msgspec
import pandas as pd

from bench import __version__
from bench.analysis.ceilings import with_ceilings
from bench.analysis.flags import failed
from bench.analysis.speedup import default_baseline, speedups
from bench.analysis.table import GROUP_KEYS, by_case, frame, newest_rows
from bench.cases.model_labels import show_together
from bench.claims.claim import ClaimResult, ClaimVerdict, Evidence
from bench.claims.verdicts import judge_claims
from bench.records.ceiling import Ceiling
from bench.records.comparison import Comparison
from bench.records.record import Record
from bench.report import labels, plots
from bench.report.sections import (
    ceilings,
    cross_machine,
    headline,
    live_comparisons,
    mixed_precision,
    not_measured,
    pivot,
    provenance,
    scaling,
    settings,
)
from bench.report.sections.provenance import Facts


class Table(msgspec.Struct, frozen=True):
    """A pivot with the recipes that its figures were measured by."""

    pivot: pivot.Pivot
    recipes: list[provenance.HowMeasured]

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
    """One machine's section.

    Attributes:
        prefix: first part of the file names of plots that no software has.
        compared: whether it has speed-ups over a baseline.
    """

    id: str
    prefix: str
    name: str
    sentence: str
    figures: list[headline.Figure]
    facts: Facts
    details: Facts
    software: list[Software]
    compared: bool
    ceilings: ceilings.Ceilings | None
    precision: mixed_precision.Precision | None
    scaling: scaling.Scaling | None
    upgrades: live_comparisons.Upgrades | None
    claims: list[ClaimResult]
    missing: list[not_measured.Group]
    settings: list[settings.Settings]
    commands: list[str]

    @property
    def panels(self) -> list[tuple[str, list[plots.Plot]]]:
        """Its plots, with the first part of the names of their files."""
        own = [(part.prefix, group.panels) for part in self.software for group in part.plots]
        if self.ceilings is not None:
            own.append((self.prefix, self.ceilings.plots))
        if self.upgrades is not None:
            own.append((self.prefix, self.upgrades.plots))
        return own

    @property
    def judged(self) -> list[ClaimResult]:
        """Claims that have a verdict here."""
        return [one for one in self.claims if one.verdict is not ClaimVerdict.UNTESTED]

    @property
    def unjudged(self) -> list[ClaimResult]:
        """Claims that have none."""
        return [one for one in self.claims if one.verdict is ClaimVerdict.UNTESTED]


class PageView(msgspec.Struct, frozen=True):
    """The whole page.

    Attributes:
        machines: in the order in which they were first seen.
        shared: cases of several machines side by side.
        table: all rows, older ones of a case too, and ceilings.
        epoch: the epoch that times are projected to, in words.
        complaints: one sentence for every file that is left out.
        runs: names.
        intervals: a paragraph on each kind of interval that the page has.
        version: of this suite.
        live: how far a run has come that still goes on, in words; empty where it is over.
        compared: whether it has speed-ups over a baseline.
    """

    machines: list[MachineView]
    shared: list[cross_machine.Shared]
    table: pd.DataFrame
    epoch: str
    complaints: list[str]
    runs: list[str]
    intervals: list[str]
    version: str
    live: str = ""
    compared: bool = False

    @property
    def plots(self) -> dict[str, plots.Plot]:
        """All plots by the name that their files have."""
        return {plot.key: plot for one in self.shared for plot in one.plots} | {
            f"{prefix}{plot.key}": plot
            for machine in self.machines
            for prefix, panels in machine.panels
            for plot in panels
        }


class Inputs(msgspec.Struct, frozen=True, kw_only=True):
    """What a page is made of.

    Attributes:
        records: in the order in which they were measured.
        ceilings, comparisons: what else the runs hold.
        epoch_images: images of the epoch that times are projected to.
        baseline: values by axis that speed-ups compare with; None for what suggests itself.
        complaints: one sentence for every file that could not be read.
        live: see :class:`PageView`.
    """

    records: Sequence[Record]
    ceilings: Sequence[Ceiling] = ()
    comparisons: Sequence[Comparison] = ()
    epoch_images: int
    baseline: dict[str, Any] | None = None
    complaints: Sequence[str] = ()
    live: str = ""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to show."""
        return not (self.records or self.ceilings or self.comparisons)

    def of(self, fingerprint: str) -> Inputs:
        """The ceilings and comparisons of one machine; records as they are, since rows count them."""
        return msgspec.structs.replace(
            self,
            ceilings=[one for one in self.ceilings if one.machine.fingerprint == fingerprint],
            comparisons=[one for one in self.comparisons if one.machine.fingerprint == fingerprint],
        )


def page(inputs: Inputs) -> PageView:
    """Gather the page; there has to be something to show."""
    records, epoch_images = inputs.records, inputs.epoch_images
    compared = [case.case for one in inputs.comparisons for case in one.cases]
    cases = [record.case for record in records] + [ceiling.case for ceiling in inputs.ceilings] + compared
    show_together(case.model for case in cases)
    table = frame(records, epoch_images)
    newest = newest_rows(table)
    several = len(newest) > 0 and len(_parts(newest)) > 1
    others = [one.machine.fingerprint for one in inputs.ceilings]
    others += [one.machine.fingerprint for one in inputs.comparisons]
    machines = [
        _machine(number, newest[newest["machine"] == fingerprint], inputs.of(fingerprint), several)
        for number, fingerprint in enumerate(dict.fromkeys([*newest["machine"], *others]), 1)
    ]
    runs = [one.run for one in records] + [one.run for one in inputs.ceilings]
    runs += [one.run for one in inputs.comparisons]
    return PageView(
        machines=machines,
        shared=cross_machine.shared(newest),
        table=with_ceilings(table, inputs.ceilings),
        epoch=labels.images(epoch_images),
        complaints=list(inputs.complaints),
        runs=list(dict.fromkeys(runs)),
        intervals=[labels.INTERVALS[kind] for kind in labels.interval_kinds(newest)],
        version=__version__,
        live=inputs.live,
        compared=any(machine.compared for machine in machines),
    )


def _machine(number: int, table: pd.DataFrame, inputs: Inputs, several: bool) -> MachineView:
    """One machine's section; ``several`` says whether the page has more than one set of plots."""
    records, epoch_images = inputs.records, inputs.epoch_images
    own = _records(table, records)
    seen: list[Record | Ceiling] = [*own, *inputs.ceilings]
    machine = seen[0].machine if seen else inputs.comparisons[0].machine
    measured = table[table["status"] == "measured"]
    chosen = default_baseline(table) if inputs.baseline is None else inputs.baseline
    parts = _parts(table) if len(table) else []
    software, ratios = [], [speedups(table[:0], {}).assign(torch="", ultralytics="")]
    for index, (title, rows) in enumerate(parts, 1):
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
        prefix=f"m{number}-" if several or number > 1 else "",
        name=labels.machine_name(machine),
        sentence=headline.sentence(table, machine, epoch_images, inputs.ceilings),
        figures=headline.figures(
            table, pd.concat([one for one in ratios if len(one)] or ratios), chosen, epoch_images, inputs.ceilings
        ),
        facts=provenance.machine_facts(seen) if seen else [("Machine", machine.title)],
        details=provenance.details(seen) if seen else [("Fingerprint", machine.fingerprint)],
        software=software,
        compared=any(len(one) for one in ratios),
        ceilings=ceilings.section(inputs.ceilings),
        precision=mixed_precision.panel([rows for _, rows in parts], inputs.ceilings),
        scaling=scaling.panel([rows for _, rows in parts]),
        upgrades=live_comparisons.section(inputs.comparisons),
        claims=judge_claims(Evidence(table, own, ceilings.newest(inputs.ceilings))),
        missing=sorted(
            not_measured.groups(own) + not_measured.groups(_failed_repeats(table, records), repeats=True),
            key=lambda group: not group.broken,
        ),
        settings=settings.settings(own),
        commands=[
            *provenance.commands(own, {row["id"]: int(row["processes"]) for row in labels.rows(measured)}),
            *provenance.ceiling_commands(ceilings.newest(inputs.ceilings)),
            *provenance.regress_commands(inputs.comparisons),
        ],
    )


def _parts(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The rows that may stand in one table, with what they have in common in words.

    Each mode fixes settings of its own (``overrides_hash``), so modes stand together; two sets of one mode do not.
    """
    sets = table.groupby([*GROUP_KEYS, "mode"], dropna=False)["overrides_hash"].transform(
        lambda hashes: pd.factorize(hashes)[0]
    )
    found = []
    for setting, rows in table.groupby([*GROUP_KEYS, sets.rename("set")], sort=False, dropna=False):
        _, torch, ultralytics, how, number = cast("tuple[Any, ...]", setting)
        other = f", other fixed settings ({', '.join(dict.fromkeys(rows['overrides_hash']))})" if number else ""
        found.append((f"torch {torch}, Ultralytics {ultralytics}: {how}{other}", rows))
    return found


def _tables(table: pd.DataFrame, records: Sequence[Record], epoch_images: int) -> list[Table]:
    measured = _records(table[table["status"] == "measured"], records)
    return [
        Table(one, provenance.recipes([record for record in measured if record.case.mode == one.mode]))
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
