"""Read files of every kind; return their contents, and one sentence for every file that cannot be read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from bench.errors import UsageError
from bench.machine.description import Machine
from bench.records import calibration, migrations
from bench.records.calibration import Calibrations
from bench.records.ceiling import PREFIX, Ceiling
from bench.records.comparison import COMPARISON, Comparison
from bench.records.fleet import FILE_NAME as FLEET
from bench.records.fleet import SCHEMA as FLEET_SCHEMA
from bench.records.fleet import FleetRun
from bench.records.migrations import Unreadable, migrate
from bench.records.record import Record
from bench.records.requested_options import FILE_NAME as OPTIONS
from bench.records.requested_options import SCHEMA as OPTIONS_SCHEMA
from bench.records.requested_options import RequestedOptions
from bench.records.store.decoding import Known, decoded, without_collecting
from bench.records.tune import TUNE, Tuning

UNREADABLE = (
    Unreadable,
    msgspec.MsgspecError,
    ValueError,
    TypeError,
    KeyError,
    OSError,
    RecursionError,
    OverflowError,
)
"""Errors of a file that holds nothing of its kind."""

Item = TypeVar("Item")


class Kind(msgspec.Struct, Generic[Item], frozen=True):
    """One kind of file in the folder of a run.

    Attributes:
        matches: whether a file of this name is of this kind.
        decode: decodes a file from its path, its content, and parts of other files that it may share.
        order: sort key.
    """

    matches: Callable[[str], bool]
    decode: Callable[[Path, bytes, Known], Item]
    order: Callable[[Item], tuple[str, str]]


def is_ceiling(name: str) -> bool:
    """Whether a file of this name is to hold a ceiling."""
    return name.startswith(PREFIX)


def is_record(name: str) -> bool:
    """Whether a file of this name is to hold the record of a case."""
    return name not in (COMPARISON, OPTIONS, FLEET, TUNE) and not is_ceiling(name)


def _comparison(file: Path, content: bytes, known: Known) -> Comparison:
    comparison = msgspec.convert(migrate(migrations.COMPARISON, msgspec.json.decode(content)), Comparison)
    comparison.run = file.absolute().parent.name  # whatever the file says: the comparison is written where it is
    return comparison


def _ceiling(file: Path, content: bytes, known: Known) -> Ceiling:
    return msgspec.convert(migrate(migrations.CEILING, msgspec.json.decode(content)), Ceiling)


def _tuning(file: Path, content: bytes, known: Known) -> Tuning:
    tuning = msgspec.convert(migrate(migrations.TUNE, msgspec.json.decode(content)), Tuning)
    tuning.run = file.absolute().parent.name
    return tuning


RECORDS = Kind[Record](
    matches=is_record,
    decode=lambda file, content, known: decoded(content, known),
    order=lambda record: (record.run, record.started),
)
CEILINGS = Kind[Ceiling](matches=is_ceiling, decode=_ceiling, order=lambda ceiling: (ceiling.run, ceiling.started))
COMPARISONS = Kind[Comparison](
    matches=lambda name: name == COMPARISON,
    decode=_comparison,
    order=lambda comparison: (comparison.started, comparison.run),
)

TUNINGS = Kind[Tuning](
    matches=lambda name: name == TUNE, decode=_tuning, order=lambda tuning: (tuning.started, tuning.run)
)


def read(sources: Sequence[Path]) -> tuple[list[Record], list[str]]:
    """Read all records under the given folders and files, in the order of measurement.

    Returns:
        The records, and one sentence for every file that holds no record.

    Raises:
        UsageError: where a source does not exist.
    """
    return _read(sources, RECORDS)


def read_ceilings(sources: Sequence[Path]) -> tuple[list[Ceiling], list[str]]:
    """Read all ceilings under the given folders and files, oldest first; sentences and errors as in :func:`read`."""
    return _read(sources, CEILINGS)


def read_comparisons(sources: Sequence[Path]) -> tuple[list[Comparison], list[str]]:
    """Read all comparisons under the given folders and files, oldest first; sentences and errors as in :func:`read`."""
    return _read(sources, COMPARISONS)


def read_tunings(sources: Sequence[Path]) -> tuple[list[Tuning], list[str]]:
    """Read all searches for the fastest settings, oldest first; sentences and errors as in :func:`read`."""
    return _read(sources, TUNINGS)


def comparisons_of(results: Path) -> list[Comparison]:
    """Read the comparisons of all runs in a results folder, oldest first, without unreadable ones."""
    return read_comparisons(sorted(results.glob(f"*/{COMPARISON}")))[0]


def read_comparison(folder: Path) -> Comparison:
    """Return the comparison of a run.

    Raises:
        UsageError: where the comparison is missing or cannot be read.
    """
    file = folder / COMPARISON
    try:
        return _comparison(file, file.read_bytes(), {})
    except FileNotFoundError:
        raise UsageError(f"{folder} holds no comparison: there is no {COMPARISON} in it.") from None
    except UNREADABLE as error:
        raise UsageError(f"{file} cannot be read: {error}.") from error


def read_options(folder: Path) -> RequestedOptions | None:
    """Return the options that a run was started with; None for a run of an older version, which kept none.

    Raises:
        UsageError: where they cannot be read, or are of a newer version.
    """
    file = folder / OPTIONS
    try:
        options = msgspec.json.decode(file.read_bytes(), type=RequestedOptions)
    except FileNotFoundError:
        return None
    except UNREADABLE as error:
        raise UsageError(f"{file} cannot be read: {error}. Remove it, and name the options again.") from error
    if options.schema > OPTIONS_SCHEMA:
        raise UsageError(f"{file} was written by a newer yolopace: continue this run with that one.")
    return options


def read_fleet(folder: Path) -> FleetRun:
    """Return the machines of a fleet's run.

    Raises:
        UsageError: where the run is no fleet's, its file cannot be read, or it is of a newer version.
    """
    file = folder / FLEET
    try:
        fleet = msgspec.json.decode(file.read_bytes(), type=FleetRun)
    except FileNotFoundError:
        raise UsageError(f"{folder} is no run of a fleet: there is no {FLEET} in it.") from None
    except UNREADABLE as error:
        raise UsageError(f"{file} cannot be read: {error}.") from error
    if fleet.schema > FLEET_SCHEMA:
        raise UsageError(f"{file} was written by a newer yolopace: use that one.")
    return fleet


def fleet_runs(results: Path) -> list[str]:
    """List the runs of fleets in a results folder by name: oldest first, where the names were not chosen."""
    return sorted(file.parent.name for file in results.glob(f"*/{FLEET}"))


def decode_file(content: bytes) -> Record | Ceiling:
    """Return the record or the ceiling that a file holds.

    Raises:
        One of :data:`UNREADABLE`: where it holds neither.
    """
    try:
        return decoded(content, {})
    except UNREADABLE as error:
        try:
            return _ceiling(Path(), content, {})
        except UNREADABLE:
            raise error from None


def read_calibrations(folder: Path, machine: Machine) -> tuple[Calibrations, str]:
    """Read the calibrations of a machine; those of older versions are found by its fingerprint.

    Returns:
        The calibrations, empty where the machine was never calibrated; and one sentence on a file that cannot be read,
        or an empty string.
    """
    nothing, file = Calibrations(machine=machine.key, calibrations=[]), calibration_file(folder, machine)
    if file is None:
        return nothing, ""
    try:
        content = msgspec.json.decode(file.read_bytes())
        calibrations = msgspec.convert(migrate(migrations.CALIBRATION, content), Calibrations)
        if calibrations.file_name == file.name:
            return msgspec.structs.replace(calibrations, machine=machine.key), ""
        why = f"they are of another machine, {calibrations.machine}"
    except UNREADABLE as error:
        why = str(error)
    return nothing, f"calibrations in {file} are left out: {why}; to have new ones, run python -m bench calibrate."


def calibration_file(folder: Path, machine: Machine) -> Path | None:
    """Return the file of a machine's calibrations: by its ID, else by its fingerprint; None where it has none."""
    files = (folder / calibration.file_name(name) for name in (machine.key, machine.fingerprint))
    return next((file for file in files if os.path.lexists(file)), None)


def _read(sources: Sequence[Path], kind: Kind[Item]) -> tuple[list[Item], list[str]]:
    read, unreadable = _read_files(files(sources, kind), kind, {})
    return [item for _, item in read], [left_out(file, why) for file, why in unreadable]


def _read_files(
    paths: Iterable[Path], kind: Kind[Item], known: Known
) -> tuple[list[tuple[Path, Item]], list[tuple[Path, str]]]:
    items: list[tuple[Path, Item]] = []
    unreadable = []
    with without_collecting():
        for file in paths:
            try:
                with open(file, "rb") as opened:
                    content = opened.read()
                items.append((file, kind.decode(file, content, known)))
            except UNREADABLE as error:
                unreadable.append((file, str(error)))
        return sorted(items, key=lambda item: kind.order(item[1])), unreadable


def read_files(
    paths: Iterable[Path], known: Known | None = None
) -> tuple[list[tuple[Path, Record]], list[tuple[Path, str]]]:
    """Read the records in some files, with the file of each, in the order of measurement.

    Args:
        paths: of the files.
        known: parts of other records, which are shared; new ones are added.

    Returns:
        The records, and the files that hold no record, each with the reason.
    """
    return _read_files(paths, RECORDS, {} if known is None else known)


def left_out(file: Path, why: str) -> str:
    """Return the sentence on a file that cannot be read."""
    return f"{file} is left out: {why}."


def files(sources: Sequence[Path], kind: Kind[Any] = RECORDS) -> list[Path]:
    """Find the files of one kind in ``sources``: files, folders of runs, and folders that hold runs.

    The run of a fleet has a folder for each machine.
    """
    paths: list[Path] = []
    for source in sources:
        if source.is_file():
            paths += [source] if kind.matches(source.name) else []
        elif source.is_dir():
            for folder in (source, *_folders(source)):
                names = sorted(_names(folder))
                paths += [folder / name for name in names if kind.matches(name)]
                if FLEET in names and folder != source:
                    for inner in _folders(folder):
                        paths += [inner / name for name in sorted(_names(inner)) if kind.matches(name)]
        else:
            raise UsageError(f"{source}: there is no such file or folder.")
    return list(dict.fromkeys(paths)) if len(sources) > 1 else paths


def _folders(folder: Path) -> list[Path]:
    """Folders within one; none where it cannot be looked into."""
    try:
        with os.scandir(folder) as entries:
            return sorted(Path(inner) for inner in entries if inner.is_dir())
    except OSError:
        return []


def _names(folder: Path) -> list[str]:
    """Names of the JSON files in a folder; none where it cannot be looked into."""
    try:
        return [name for name in os.listdir(folder) if name.endswith(".json")]
    except OSError:
        return []
