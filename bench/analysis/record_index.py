"""Reading of many records by way of an index in the cache, which has the rows of each run's table."""

from __future__ import annotations

import functools
import itertools
import operator
import os
import platform
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy
import pandas
import scipy

import bench
from bench import extensions
from bench.analysis.availability import AVAILABILITY
from bench.analysis.row_columns import Column
from bench.analysis.table import by_case, further_metrics, kept_rows, row_place
from bench.cases import Case
from bench.cases.axes import further_axes
from bench.errors import UsageError
from bench.machine.description import Machine
from bench.machine.paths import cache_folder
from bench.records import store
from bench.records.calibration import Calibration, stamped
from bench.records.indexed import IndexedRecords, RecordFacts, Run
from bench.records.outcome import Outcome
from bench.records.record import Record

VERSION = 1
"""Version of the index."""


class Settings(msgspec.Struct, frozen=True, dict=True):
    """What rows depend on besides the records.

    Attributes:
        epoch_images: images of the epoch that times are projected to.
        machine: this machine.
        calibrations: of this machine.
    """

    epoch_images: int
    machine: Machine
    calibrations: list[Calibration]

    def stamp(self, records: Sequence[Record]) -> list[Record]:
        """Return records with the calibration of this machine, where they lack one."""
        return stamped(records, self.calibrations, self.machine)

    @functools.cached_property
    def key(self) -> bytes:
        """These settings, and the versions of the code that works out rows."""
        versions = [VERSION, platform.python_version(), numpy.__version__, pandas.__version__, scipy.__version__]
        return msgspec.json.encode([versions, _code(), sorted(further_axes()), self])


def _code() -> list[tuple[str, int, int]]:
    """Return the state of this suite's files: a checkout changes without a new version."""
    root = Path(bench.__file__).parent
    files = sorted(root.rglob("*.py"))
    return [(str(file), state.st_size, state.st_mtime_ns) for file in files for state in [file.stat()]]


class KeptFolder(msgspec.Struct, frozen=True, array_like=True):
    """What the index has of a folder.

    Attributes:
        run: name of the run; empty where the records are not all of one run, or lack the ID of their machine.
        unreadable: files that hold no record, each with the reason.
        names: file name of each record, in the order of measurement.
        machines, outcomes: distinct ones.
        facts: of each record the case, the numbers of its machine and its outcome, and kept parts of ``extra``.
        rows, places, cases: as in :class:`bench.records.indexed.Run`.
    """

    run: str = ""
    unreadable: list[tuple[str, str]] = []
    names: list[str] = []
    machines: list[Machine] = []
    outcomes: list[Outcome] = []
    facts: list[tuple[Case, int, int, dict[str, Any]]] = []
    rows: dict[str, Column] = {}
    places: list[int] = []
    cases: list[list[int]] = []

    def in_folder(self, folder: Path) -> Run:
        """Return the run, for its folder."""
        return Run(
            name=self.run,
            kept=[
                RecordFacts(self.run, case, self.machines[machine], self.outcomes[outcome], extra)
                for case, machine, outcome, extra in self.facts
            ],
            folder=folder,
            names=self.names,
            rows=self.rows,
            chosen=range(len(self.places)),
            places=self.places,
            cases=self.cases,
        )


DECODER = msgspec.msgpack.Decoder(KeptFolder)

Folder = tuple[Path, list[str]]
"""A folder and the names of its record files."""

Map = Callable[[Callable[[Folder], bytes], Sequence[Folder]], Iterable[bytes]]
"""A function such as :func:`map`, which may have processes of its own."""


def folders_of(files: Iterable[Path]) -> list[Folder]:
    """Return the folders of some files, in their order."""
    groups = itertools.groupby(map(os.path.split, files), key=operator.itemgetter(0))
    return [(Path(folder), [name for _, name in names]) for folder, names in groups]


def is_possible(folders: Sequence[Folder]) -> bool:
    """Whether an index holds all that a table of some folders shows."""
    distinct = len({folder for folder, _ in folders}) == len(folders)
    return distinct and not extensions.loaded_paths() and not further_metrics()


def read(folders: Sequence[Folder], settings: Settings, spread: Map) -> tuple[Sequence[Record], list[str]]:
    """Read the records of some folders, as far as possible from the index, and bring the index up to date.

    Args:
        folders: from :func:`folders_of`.
        settings: what rows depend on.
        spread: works out what the index lacks.

    Returns:
        As :func:`bench.records.store.read`.

    Raises:
        UsageError: where the cache has no known place.
    """
    index = cache_folder() / "index"
    kept = _kept(folders, settings, spread, index)
    runs = Counter(folder.run for folder in kept if folder)
    alone = [folder if folder and folder.run and runs[folder.run] == 1 else None for folder in kept]
    others = {place: _records(folders[place]) for place, folder in enumerate(alone) if folder is None}
    shared = {record.run for records, _ in others.values() for _, record in records}
    for place, folder in enumerate(alone):
        if folder is not None and folder.run in shared:
            alone[place], others[place] = None, _records(folders[place])
    complaints = []
    for place, (path, _) in enumerate(folders):
        folder = alone[place]
        unreadable = others[place][1] if folder is None else [(path / name, why) for name, why in folder.unreadable]
        complaints += [store.left_out(file, why) for file, why in unreadable]
    rest: dict[str, list[Record]] = {}
    for place in sorted(others):
        for _, record in others[place][0]:
            rest.setdefault(record.run, []).append(record)
    whole = [Run(name=run, records=sorted(rest[run], key=lambda record: record.started)) for run in rest]
    indexed = [folder.in_folder(path) for folder, (path, _) in zip(alone, folders, strict=True) if folder is not None]
    return IndexedRecords([*indexed, *whole], functools.partial(_read_record, settings, {})), complaints


def _records(folder: Folder) -> tuple[list[tuple[Path, Record]], list[tuple[Path, str]]]:
    path, names = folder
    return store.read_files(path / name for name in names)


def _read_record(settings: Settings, known: store.Known, file: Path) -> Record:
    """Read a record that has an index; ``known`` has parts of others."""
    records, _ = store.read_files([file], known)
    if not records:
        raise UsageError(f"{file} was changed while it was read: run the command again.")
    return settings.stamp([records[0][1]])[0]


def _kept(folders: Sequence[Folder], settings: Settings, spread: Map, index: Path) -> list[KeptFolder | None]:
    """Return what the index has of each folder, or will have; None where a folder cannot be looked at."""
    states: list[store.FolderState | None] = []
    for folder, names in folders:
        try:
            states.append(store.FolderState(folder, names, settings.key))
        except OSError:
            states.append(None)
    contents = [state.load(index) if state else None for state in states]
    missing = [place for place, content in enumerate(contents) if content is None and states[place]]
    made = spread(functools.partial(made_index, settings), [folders[place] for place in missing])
    for place, content in zip(missing, made, strict=True):
        state, contents[place] = states[place], content
        if state:
            state.keep(index, content)
    return [None if content is None else DECODER.decode(content) for content in contents]


def made_index(settings: Settings, folder: Folder) -> bytes:
    """Read a folder, and return what the index keeps of it."""
    read, unreadable = _records(folder)
    records = settings.stamp([record for _, record in read])
    runs = {record.run for record in records}
    if len(runs) > 1 or not all(record.machine.id for record in records):
        return msgspec.msgpack.encode(KeptFolder())
    machines: dict[bytes, int] = {}
    outcomes: dict[Outcome, int] = {}
    facts = []
    for record in records:
        machine = machines.setdefault(msgspec.msgpack.encode(record.machine), len(machines))
        outcome = outcomes.setdefault(record.outcome, len(outcomes))
        extra = {AVAILABILITY: record.extra[AVAILABILITY]} if AVAILABILITY in record.extra else {}
        facts.append((record.case, machine, outcome, extra))
    cases = by_case(records)
    kept = KeptFolder(
        run=runs.pop() if runs else "",
        unreadable=[(file.name, why) for file, why in unreadable],
        names=[file.name for file, _ in read],
        machines=[msgspec.msgpack.decode(machine, type=Machine) for machine in machines],
        outcomes=list(outcomes),
        facts=facts,
        rows=kept_rows(cases, settings.epoch_images),
        places=[row_place(case) for case in cases],
        cases=[[place for place, _ in case] for case in cases],
    )
    return msgspec.msgpack.encode(kept)
