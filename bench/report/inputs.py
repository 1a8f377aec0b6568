"""The inputs of a page: its records, and those of one machine for its sections."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec
import pandas as pd

from bench.analysis.availability import answer_lines
from bench.analysis.history import Change, change_since
from bench.analysis.speedup import default_baseline, speedups
from bench.analysis.table import GROUP_KEYS
from bench.claims.accuracy import Accuracy
from bench.machine.description import Machine
from bench.records.ceiling import Ceiling
from bench.records.comparison import Comparison
from bench.records.indexed import Facts, facts_of
from bench.records.machines import ids_by_fingerprint, with_ids
from bench.records.record import Record
from bench.records.tune import Tuning
from bench.report import labels, plots
from bench.report.plots import Plot


class Inputs(msgspec.Struct, frozen=True, kw_only=True):
    """The inputs of a page.

    Attributes:
        records: in the order in which they were measured.
        ceilings, comparisons, tunings: the other results of the runs.
        epoch_images: images of the epoch that times are projected to.
        epochs: epochs of the user's own training; 0 if they were not named.
        baseline: values by axis that speed-ups compare with; None for the default baseline.
        accuracy: mAP of trainings that the user did.
        complaints: one sentence per file that could not be read.
        live: progress of a run that is not finished, as text; empty if it is finished.
        run_links: links from the page to the folders of runs, by the name of the run.
    """

    records: Sequence[Record]
    ceilings: Sequence[Ceiling] = ()
    comparisons: Sequence[Comparison] = ()
    tunings: Sequence[Tuning] = ()
    epoch_images: int
    epochs: int = 0
    baseline: dict[str, Any] | None = None
    accuracy: Sequence[Accuracy] = ()
    complaints: Sequence[str] = ()
    live: str = ""
    run_links: Mapping[str, str] = {}

    @property
    def models(self) -> list[str]:
        """All models of its cases, in order."""
        cases = [*(record.case for record in facts_of(self.records)), *(ceiling.case for ceiling in self.ceilings)]
        return labels.order("model", (case.model_label for case in cases))

    @property
    def machines(self) -> list[Machine]:
        """Machines of all results, each once."""
        measurements: list[Facts | Ceiling | Comparison] = [
            *facts_of(self.records),
            *self.ceilings,
            *self.comparisons,
        ]
        return list({measurement.machine.key: measurement.machine for measurement in measurements}.values())

    def with_ids(self) -> Inputs:
        """Return these inputs with the ID of the machine in every result where one machine alone can be meant."""
        ids = ids_by_fingerprint(self.machines)
        return msgspec.structs.replace(
            self,
            records=with_ids(self.records, ids),
            ceilings=with_ids(self.ceilings, ids),
            comparisons=with_ids(self.comparisons, ids),
            tunings=with_ids(self.tunings, ids),
        )

    @property
    def empty(self) -> bool:
        """Whether there is nothing to show."""
        return not (self.records or self.ceilings or self.comparisons)


class Part(msgspec.Struct, frozen=True):
    """Rows that may share one table and one axis.

    Attributes:
        title: the versions and the recipe that the rows have in common.
        table: the rows; their index counts the records of the page.
        speedups: over the baseline of the machine.
    """

    title: str
    table: pd.DataFrame
    speedups: pd.DataFrame


class MachineInputs(msgspec.Struct, frozen=True, dict=True):
    """The inputs of the sections of one machine.

    Attributes:
        table: its latest rows; their index counts the records of the page.
        page: the inputs of the whole page; its records are those of all machines.
        key: identity of the machine (:attr:`Machine.key`).
        several: whether the page has several parts, so that file names contain the number of the part.
        history: all rows of the page, older rows of a case included; None without them.
    """

    table: pd.DataFrame
    page: Inputs
    key: str
    several: bool = False
    history: pd.DataFrame | None = None

    @functools.cached_property
    def records(self) -> list[Record]:
        """One record per row."""
        return records_of(self.table, self.page.records)

    @functools.cached_property
    def ceilings(self) -> list[Ceiling]:
        """Ceilings of the machine."""
        return [ceiling for ceiling in self.page.ceilings if ceiling.machine.key == self.key]

    @functools.cached_property
    def comparisons(self) -> list[Comparison]:
        """Live comparisons of the machine."""
        return [comparison for comparison in self.page.comparisons if comparison.machine.key == self.key]

    @functools.cached_property
    def tunings(self) -> list[Tuning]:
        """Searches for the fastest settings of the machine, newest last."""
        return [tuning for tuning in self.page.tunings if tuning.machine.key == self.key]

    @property
    def machine(self) -> Machine:
        """Description of the machine."""
        measurements: list[Record | Ceiling | Comparison] = [*self.records, *self.ceilings, *self.comparisons]
        return measurements[0].machine

    @functools.cached_property
    def name(self) -> str:
        """Short name of the machine, which no other machine of the page has."""
        return labels.distinct_names(self.page.machines)[self.key]

    def change_since(self, row: Mapping[str, Any]) -> Change | None:
        """Return the change of a row since an earlier run of this machine; None without one on the page."""
        return None if self.history is None else change_since(self.history, row)

    @property
    def unavailable(self) -> list[str]:
        """Lines on precisions that devices of the machine do not offer."""
        return answer_lines(record for record in facts_of(self.page.records) if record.machine.key == self.key)

    @property
    def measured(self) -> pd.DataFrame:
        """Rows that have a figure."""
        return self.table[self.table["status"] == "measured"]

    @functools.cached_property
    def baseline(self) -> dict[str, Any]:
        """Baseline that speed-ups compare with."""
        return default_baseline(self.table) if self.page.baseline is None else self.page.baseline

    @functools.cached_property
    def parts(self) -> list[Part]:
        """The rows in parts, one per table."""
        return [Part(title, rows, speedups(rows, self.baseline)) for title, rows in divide(self.table)]

    @property
    def prefix(self) -> str:
        """First part of the anchors of its cases; empty on a page of one machine with one pair of versions."""
        return f"{self.key[:6]}-" if self.several else ""

    @functools.cached_property
    def drawn(self) -> list[tuple[str, list[Plot]]]:
        """The plots of each part, with the title of the part."""
        drawn = []
        for number, part in enumerate(self.parts, 1):
            view = plots.View(part.table, part.speedups, self.baseline, self.page.records, self.page.models)
            prefix = f"v{number}-" if self.several else ""
            keyed = [msgspec.structs.replace(plot, key=f"{prefix}{plot.key}") for plot in plots.draw(view)]
            drawn.append((part.title, keyed))
        return drawn

    @functools.cached_property
    def speedups(self) -> pd.DataFrame:
        """Speed-ups of all parts, with their versions."""
        empty = speedups(self.table[:0], {}).assign(torch="", ultralytics="")
        ratios = [
            part.speedups.assign(torch=part.table["torch"].iloc[0], ultralytics=part.table["ultralytics"].iloc[0])
            for part in self.parts
            if len(part.speedups)
        ]
        return pd.concat(ratios) if ratios else empty


def records_of(table: pd.DataFrame, records: Sequence[Record]) -> list[Record]:
    """Return one record per row of a table."""
    return [records[int(index)] for index in table.index]


def divide(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Divide rows into groups that may share one table, each with a title of those versions and rules that differ.

    Each mode fixes its own settings (``overrides_hash``), so different modes may share a table. Two sets of settings
    of one mode may not.
    """
    if table.empty:
        return []
    sets = table.groupby([*GROUP_KEYS, "mode"], dropna=False)["overrides_hash"].transform(
        lambda hashes: pd.factorize(hashes)[0]
    )
    parts: list[tuple[tuple[str, ...], pd.DataFrame]] = []
    for setting, rows in table.groupby([*GROUP_KEYS, sets.rename("set")], sort=False, dropna=False):
        _, torch, ultralytics, how, number = cast("tuple[Any, ...]", setting)
        facts = [f"torch {torch}", f"Ultralytics {ultralytics}", *how.split(", ")]
        facts += [f"other fixed settings ({', '.join(dict.fromkeys(rows['overrides_hash']))})"] if number else []
        parts.append((tuple(facts), rows))
    shared = set.intersection(*(set(facts) for facts, _ in parts)) if len(parts) > 1 else set()
    return [(", ".join([fact for fact in facts if fact not in shared] or facts), rows) for facts, rows in parts]
