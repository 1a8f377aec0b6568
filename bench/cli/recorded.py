"""Recorded results for a table or a report: those that are named, or those of this machine."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from bench.cli import reading_pool
from bench.cli.io import Wanted, calibrations_here, nothing_in, say, with_calibrations
from bench.errors import NothingMeasured, UsageError
from bench.machine.description import Machine
from bench.records.ceiling import Ceiling
from bench.records.comparison import Comparison
from bench.records.indexed import Facts, facts_of, only
from bench.records.machines import ids_by_fingerprint, with_ids
from bench.records.record import Record
from bench.records.tune import Tuning

RESULTS = Path("results")
"""Folder of this machine's runs, which is read where no other is named; committed examples lie deeper."""

HOW_TO_MEASURE = "measure first, with yolopace run"


class Recorded(msgspec.Struct, kw_only=True):
    """Recorded results.

    Attributes:
        records, ceilings, comparisons, tunings: results of each kind, oldest first.
        complaints: one sentence for each file that cannot be read.
    """

    records: Sequence[Record]
    ceilings: list[Ceiling]
    comparisons: list[Comparison]
    tunings: list[Tuning] = []
    complaints: list[str] = []

    @property
    def empty(self) -> bool:
        """Whether there is no result of any kind."""
        return not self.all

    @property
    def all(self) -> list[Facts | Ceiling | Comparison]:
        """Results of all kinds; what is needed of all records, in their place."""
        return [*facts_of(self.records), *self.ceilings, *self.comparisons]

    def of(self, machine: Machine) -> Recorded:
        """Return the results of one machine."""
        return Recorded(
            records=only(self.records, lambda record: record.machine.is_same(machine)),
            ceilings=[ceiling for ceiling in self.ceilings if ceiling.machine.is_same(machine)],
            comparisons=[comparison for comparison in self.comparisons if comparison.machine.is_same(machine)],
            tunings=[tuning for tuning in self.tunings if tuning.machine.is_same(machine)],
            complaints=self.complaints,
        )

    def runs_elsewhere(self, machine: Machine) -> list[str]:
        """Names of the runs of other machines."""
        return list(dict.fromkeys(item.run for item in self.all if not item.machine.is_same(machine)))

    def with_ids(self, known: Iterable[Machine] = ()) -> Recorded:
        """Return the results with the ID of their machine where only one of them, or of ``known``, can be meant."""
        ids = ids_by_fingerprint([*(item.machine for item in self.all), *known])
        return Recorded(
            records=with_ids(self.records, ids),
            ceilings=list(with_ids(self.ceilings, ids)),
            comparisons=list(with_ids(self.comparisons, ids)),
            tunings=list(with_ids(self.tunings, ids)),
            complaints=self.complaints,
        )

    def only(self, wanted: Wanted) -> Recorded:
        """Return the results of cases that are asked for.

        A comparison keeps all of its cases: the verdict of one depends on how many there are.
        """
        return Recorded(
            records=only(self.records, lambda record: wanted(record.case)),
            ceilings=[ceiling for ceiling in self.ceilings if wanted(ceiling.case, True)],
            comparisons=[
                comparison
                for comparison in self.comparisons
                if comparison.has_findings and any(wanted(compared.case) for compared in comparison.cases)
            ],
            tunings=[tuning for tuning in self.tunings if wanted(tuning.present, True)],
            complaints=self.complaints,
        )


def read_results(
    sources: list[Path] | None, wanted: Wanted, epoch_images: int | None = None, comparisons: bool = True
) -> Recorded:
    """Read the results that are asked for, and say which files cannot be read.

    Args:
        sources: folders and files; without any, the runs of this machine in :data:`RESULTS`.
        wanted: which cases.
        epoch_images: images of the epoch that times are projected to; without it many records have no index.
        comparisons: whether live comparisons are asked for too.

    Raises:
        NothingMeasured: where nothing is left.
    """
    recorded = _read(sources, epoch_images, comparisons) if sources else _read_own(epoch_images, comparisons)
    chosen = recorded.only(wanted)
    if chosen.empty:
        if recorded.records:
            raise NothingMeasured("no record is of such a case: see them all with yolopace table.")
        raise nothing_in(sources or [RESULTS])
    chosen.records = with_calibrations(chosen.records)
    return chosen


def _read(sources: list[Path], epoch_images: int | None, comparisons: bool, here: Sequence[Machine] = ()) -> Recorded:
    """Read all results in some places; ``here`` is this machine, where old results without an ID may be its own."""
    from bench.records import store

    with store.without_collecting():
        records, complaints = _read_records(sources, epoch_images)
        ceilings, about_ceilings = store.read_ceilings(sources)
        compared, about_comparisons = store.read_comparisons(sources) if comparisons else ([], [])
        tunings, about_tunings = store.read_tunings(sources) if comparisons else ([], [])
        gc.freeze()  # this process ends soon: the garbage collector need not look at the records
    complaints = [*complaints, *about_ceilings, *about_comparisons, *about_tunings]
    for complaint in complaints:
        say(complaint)
    results = Recorded(records=records, ceilings=ceilings, comparisons=compared, tunings=tunings, complaints=complaints)
    return results.with_ids(here)


def _read_records(sources: list[Path], epoch_images: int | None) -> tuple[Sequence[Record], list[str]]:
    """Read the records in some places, by way of the index where there are many."""
    from bench.records import store

    names = store.files(sources)
    if epoch_images is None or len(names) < store.MANY:
        return store.read(sources)
    from bench.analysis import record_index

    folders = record_index.folders_of(names)
    if not record_index.is_possible(folders):
        return store.read(sources)
    try:
        here, known, _ = calibrations_here()
        return record_index.read(folders, record_index.Settings(epoch_images, here, known), reading_pool.spread)
    except UsageError:  # the cache has no known place, so there is no index either
        return store.read(sources)


def _read_own(epoch_images: int | None, comparisons: bool) -> Recorded:
    """Read the results of this machine, and say whether those of other machines are left out."""
    from bench.machine.fingerprint import machine

    if not RESULTS.exists():
        raise NothingMeasured(f"nothing was measured here yet: {HOW_TO_MEASURE}.")
    here = machine()
    everything = _read([RESULTS], epoch_images, comparisons, [here])
    own, elsewhere = everything.of(here), everything.runs_elsewhere(here)
    if own.empty:
        others = f", and {RESULTS} has runs of other machines alone" if elsewhere else ""
        see = f", or name folders, such as {RESULTS}" if elsewhere else ""
        raise NothingMeasured(f"nothing was measured on this machine yet{others}: {HOW_TO_MEASURE}{see}.")
    if elsewhere:
        runs = f"{len(elsewhere)} run{'' if len(elsewhere) == 1 else 's'}"
        say(f"{runs} of other machines left out: to see all, name {RESULTS}, or the folders of some")
    return own.with_ids([here])
