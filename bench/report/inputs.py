"""What a page is made of: its records, and what sections see of one machine."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, cast

import msgspec
import pandas as pd

from bench.analysis.speedup import default_baseline, speedups
from bench.analysis.table import GROUP_KEYS
from bench.machine.description import Machine
from bench.records.ceiling import Ceiling
from bench.records.comparison import Comparison
from bench.records.record import Record


class Inputs(msgspec.Struct, frozen=True, kw_only=True):
    """What a page is made of.

    Attributes:
        records: in the order in which they were measured.
        ceilings, comparisons: what else the runs hold.
        epoch_images: images of the epoch that times are projected to.
        baseline: values by axis that speed-ups compare with; None for what suggests itself.
        complaints: one sentence for every file that could not be read.
        live: how far a run has come that still goes on, in words; empty where it is over.
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


class Part(msgspec.Struct, frozen=True):
    """Rows that may stand in one table and on one axis.

    Attributes:
        title: what they have in common: the versions, and how they were measured.
        table: the rows; their index counts the records of the page.
        speedups: over the baseline of the machine.
    """

    title: str
    table: pd.DataFrame
    speedups: pd.DataFrame


class MachineInputs(msgspec.Struct, frozen=True, dict=True):
    """What sections see of one machine.

    Attributes:
        table: its latest rows; their index counts the records of the page.
        page: all that the page is made of; the records are those of all machines.
        fingerprint: of the machine.
        several: whether the page has several parts, so that the names of files say which one.
    """

    table: pd.DataFrame
    page: Inputs
    fingerprint: str
    several: bool = False

    @functools.cached_property
    def records(self) -> list[Record]:
        """One record of each row."""
        return records_of(self.table, self.page.records)

    @functools.cached_property
    def ceilings(self) -> list[Ceiling]:
        """Ceilings of the machine."""
        return [ceiling for ceiling in self.page.ceilings if ceiling.machine.fingerprint == self.fingerprint]

    @functools.cached_property
    def comparisons(self) -> list[Comparison]:
        """Live comparisons of the machine."""
        return [
            comparison for comparison in self.page.comparisons if comparison.machine.fingerprint == self.fingerprint
        ]

    @property
    def machine(self) -> Machine:
        """The machine."""
        measurements: list[Record | Ceiling | Comparison] = [*self.records, *self.ceilings, *self.comparisons]
        return measurements[0].machine

    @property
    def measured(self) -> pd.DataFrame:
        """Rows that have a figure."""
        return self.table[self.table["status"] == "measured"]

    @functools.cached_property
    def baseline(self) -> dict[str, Any]:
        """What speed-ups compare with."""
        return default_baseline(self.table) if self.page.baseline is None else self.page.baseline

    @functools.cached_property
    def parts(self) -> list[Part]:
        """The rows in parts that may each stand in one table."""
        return [Part(title, rows, speedups(rows, self.baseline)) for title, rows in divide(self.table)]

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
    """One record of each row of a table."""
    return [records[int(index)] for index in table.index]


def divide(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The rows that may stand in one table, with what they have in common in words.

    Each mode fixes settings of its own (``overrides_hash``), so modes stand together; but not two sets of settings of
    one mode.
    """
    if table.empty:
        return []
    sets = table.groupby([*GROUP_KEYS, "mode"], dropna=False)["overrides_hash"].transform(
        lambda hashes: pd.factorize(hashes)[0]
    )
    parts = []
    for setting, rows in table.groupby([*GROUP_KEYS, sets.rename("set")], sort=False, dropna=False):
        _, torch, ultralytics, how, number = cast("tuple[Any, ...]", setting)
        other = f", other fixed settings ({', '.join(dict.fromkeys(rows['overrides_hash']))})" if number else ""
        parts.append((f"torch {torch}, Ultralytics {ultralytics}: {how}{other}", rows))
    return parts
