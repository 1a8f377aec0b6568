"""Records that stay in their files until they are needed, with a few facts of each and the rows of the table."""

from __future__ import annotations

import bisect
import functools
import itertools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, overload

import msgspec

from bench.cases import Case
from bench.errors import UsageError
from bench.machine.description import Machine
from bench.records.outcome import Outcome
from bench.records.record import Record


class RecordFacts(msgspec.Struct, frozen=True, array_like=True):
    """Fields of a record that are needed of all records; ``extra`` has the keys that the index keeps."""

    run: str
    case: Case
    machine: Machine
    outcome: Outcome
    extra: dict[str, Any]


Facts = Record | RecordFacts
"""What is needed of all records: of an index, or the record itself."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """Records of one run in the order of measurement: either the records, or what the index has of them.

    Attributes:
        name: of the run.
        records: where the run has no index; empty where it has one.
        kept: facts of each record.
        folder, names: file of each record.
        rows: rows of the table, as :mod:`bench.analysis.row_columns` keeps them.
        chosen: numbers of the rows that are asked for; of these rows the next two.
        places: place of a row's record among those of the run.
        cases: places of all records of a row's case, one per process.
    """

    name: str
    records: Sequence[Record] = ()
    kept: Sequence[RecordFacts] = ()
    folder: Path = Path()
    names: Sequence[str] = ()
    rows: Any = None
    chosen: Sequence[int] = ()
    places: Sequence[int] = ()
    cases: Sequence[Sequence[int]] = ()

    @property
    def facts(self) -> Sequence[Facts]:
        """What is needed of all records."""
        return self.records or self.kept

    def only(self, wanted: Callable[[Facts], bool]) -> Run:
        """Return the records that are asked for; all of a case have to be, or none."""
        left = [place for place, facts in enumerate(self.facts) if wanted(facts)]
        if len(left) == len(self.facts):
            return self
        if self.records:
            return Run(name=self.name, records=[self.records[place] for place in left])
        new = {place: number for number, place in enumerate(left)}
        rows = [number for number, place in enumerate(self.places) if place in new]
        return msgspec.structs.replace(
            self,
            kept=[self.kept[place] for place in left],
            names=[self.names[place] for place in left],
            chosen=[self.chosen[row] for row in rows],
            places=[new[self.places[row]] for row in rows],
            cases=[[new[place] for place in self.cases[row]] for row in rows],
        )


class IndexedRecords(Sequence[Record]):
    """Records of several runs in the order of measurement; one with an index is read when it is first asked for."""

    def __init__(self, runs: Iterable[Run], read: Callable[[Path], Record]) -> None:
        """Take runs of different names, and a function that reads the record in a file."""
        self.runs = sorted((run for run in runs if run.facts), key=lambda run: run.name)
        self.starts = list(itertools.accumulate((len(run.facts) for run in self.runs), initial=0))
        self.read = read
        self._known: dict[int, Record] = {}

    @functools.cached_property
    def facts(self) -> list[Facts]:
        """Facts of all records."""
        return [facts for run in self.runs for facts in run.facts]

    def __len__(self) -> int:
        return self.starts[-1]

    @overload
    def __getitem__(self, place: int) -> Record: ...

    @overload
    def __getitem__(self, place: slice) -> list[Record]: ...

    def __getitem__(self, place: int | slice) -> Record | list[Record]:
        if isinstance(place, slice):
            return [self[index] for index in range(*place.indices(len(self)))]
        if not -len(self) <= place < len(self):
            raise IndexError(place)
        place %= len(self)
        number = bisect.bisect_right(self.starts, place) - 1
        run, own = self.runs[number], place - self.starts[number]
        if run.records:
            return run.records[own]
        if place in self._known:
            return self._known[place]
        file = run.folder / run.names[own]
        facts, record = run.kept[own], self.read(file)
        if (record.run, record.case.id, record.outcome) != (facts.run, facts.case.id, facts.outcome):
            raise UsageError(f"{file} was changed while it was read: run the command again.")
        self._known[place] = record
        return record

    def only(self, wanted: Callable[[Facts], bool]) -> IndexedRecords:
        """Return the records that are asked for; all of a case have to be, or none."""
        return IndexedRecords([run.only(wanted) for run in self.runs], self.read)

    def changed(self, change: Callable[[Sequence[Record]], Sequence[Record]]) -> IndexedRecords:
        """Return these records with a change of those that have no index."""
        runs = [msgspec.structs.replace(run, records=change(run.records)) for run in self.runs]
        return IndexedRecords(runs, self.read)


@overload
def facts_of(records: Sequence[Record]) -> Sequence[Facts]: ...


@overload
def facts_of(records: Iterable[Record]) -> Iterable[Facts]: ...


def facts_of(records: Iterable[Record]) -> Iterable[Facts]:
    """Return what is needed of all records, without reading those that are in their files."""
    return records.facts if isinstance(records, IndexedRecords) else records


def only(records: Sequence[Record], wanted: Callable[[Facts], bool]) -> Sequence[Record]:
    """Return the records that are asked for; of those that have an index, all of a case have to be, or none."""
    return records.only(wanted) if isinstance(records, IndexedRecords) else list(filter(wanted, records))
