"""Write files of every kind atomically, and keep what a full disk rejects for another try."""

from __future__ import annotations

import contextlib
import itertools
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

import msgspec

from bench.errors import UsageError
from bench.machine.description import Machine
from bench.records.calibration import Calibration, Calibrations, Lockstep
from bench.records.ceiling import Ceiling
from bench.records.comparison import Comparison
from bench.records.fleet import FILE_NAME as FLEET
from bench.records.fleet import FleetRun
from bench.records.record import Record
from bench.records.requested_options import FILE_NAME as OPTIONS
from bench.records.requested_options import RequestedOptions
from bench.records.store.atomic import encoded, write_whole
from bench.records.store.reading import calibration_file, read, read_calibrations
from bench.records.tune import Tuning


class Received(msgspec.Struct, frozen=True):
    """A file of another machine, checked, which is written byte for byte."""

    file_name: str
    content: bytes


Stored = Record | Ceiling | Comparison | Calibrations | RequestedOptions | FleetRun | Tuning | Received


def content_of(item: Stored) -> bytes:
    """Return the content of an item's file."""
    return item.content if isinstance(item, Received) else encoded(item)


class Store:
    """Writer of a run's folder, or of another folder opened by :meth:`at`.

    Methods never raise for a failed write; they return one sentence.

    Attributes:
        folder: ``results/<run>``.
        run: name of the run.
        unsaved: records that could not be written (a full disk); each later :meth:`save` tries again.
    """

    def __init__(self, results: Path, run: str, new: bool = False) -> None:
        """Open the folder of a run, or make it.

        Args:
            results: folder of all runs.
            run: name of the run.
            new: whether the folder has to be new; where it exists, a number is added to the name.

        Raises:
            UsageError: where nothing can be written there.
        """
        self.unsaved: list[Stored] = []
        self.folder = results / run
        self._results = None if results.exists() else results
        try:
            results.mkdir(parents=True, exist_ok=True)
            self.folder = _made(results, run, new)
            with tempfile.TemporaryFile(dir=self.folder):
                pass
            self.run = self.folder.name
        except OSError as error:
            raise UsageError(f"results cannot be written to {self.folder}: {error.strerror or error}.") from error

    @classmethod
    def at(cls, folder: Path) -> Store:
        """Open a folder that may not be there yet, and write nothing before something is saved."""
        store = cls.__new__(cls)
        store.folder, store.run, store.unsaved, store._results = folder, folder.name, [], None
        return store

    def path(self, item: Stored) -> Path:
        """Return the path of an item's file."""
        return self.folder / item.file_name

    def save(self, item: Stored) -> str:
        """Write one file, and all earlier unsaved ones.

        Returns:
            An empty string, or one sentence on why something is still unsaved; it is kept in :attr:`unsaved`.
        """
        self.unsaved = [old for old in self.unsaved if old.file_name != item.file_name] + [item]
        return self.flush()

    def flush(self) -> str:
        """Try again to write what is unsaved; the return value is that of :meth:`save`."""
        while self.unsaved:
            try:
                write_whole(self.path(self.unsaved[0]), content_of(self.unsaved[0]))
            except OSError as error:
                return (
                    f"{_count(self.unsaved)} could not be written to {self.folder}: {error.strerror or error}. "
                    "Nothing is lost yet, and writing is tried again after every case: make room."
                )
            self.unsaved.pop(0)
        return ""

    def rescue(self) -> str:
        """Write what is still unsaved; where the folder has no room, to a new one among the system's temporary files.

        Returns:
            An empty string if all is where it belongs, else one sentence on where it is.
        """
        if not self.flush():
            return ""
        count, single = _count(self.unsaved), len(self.unsaved) == 1
        try:
            folder = Path(tempfile.mkdtemp(prefix=f"yolopace-{self.run}-"))
            for item in self.unsaved:
                write_whole(folder / item.file_name, content_of(item))
        except OSError as error:
            lost = "is" if single else "are"
            return f"{count} {lost} lost: there is no room in {self.folder} nor elsewhere ({error.strerror})."
        place = f"is in {folder}: move it there" if single else f"are in {folder}: move them there"
        return f"{count} had no room in {self.folder} and {place}."

    def discard(self) -> bool:
        """Remove the folder if nothing was measured there, and that of all runs if it was made for this one.

        Returns:
            Whether the folder is gone.
        """
        try:
            names = [file.name for file in self.folder.iterdir()]
            if names in ([OPTIONS], [FLEET]):
                (self.folder / names[0]).unlink()
            self.folder.rmdir()
        except OSError:  # it holds something
            return False
        if self._results is not None:
            with contextlib.suppress(OSError):
                self._results.rmdir()
        return True

    def remove(self, item: Stored) -> bool:
        """Remove one file, and the folder if nothing else is there.

        Returns:
            Whether the folder is gone.
        """
        with contextlib.suppress(OSError):
            self.path(item).unlink(missing_ok=True)
        return self.discard()

    def finished(self) -> list[Record]:
        """Return this run's records with a final outcome, which are not measured again under an equal recipe."""
        return [record for record in read([self.folder])[0] if record.outcome.status.final]

    @property
    def unsaved_records(self) -> list[Record]:
        """Unsaved items that are records of cases."""
        return [item for item in self.unsaved if isinstance(item, Record)]


def keep_calibrations(
    folder: Path, machine: Machine, calibrations: Iterable[Calibration], lockstep: Iterable[Lockstep] = ()
) -> str:
    """Add calibrations to the file of a machine (:meth:`Calibrations.merge`).

    A file that cannot be read is kept under another name.

    Returns:
        An empty string, or one sentence on why they could not be written.
    """
    known, complaint = read_calibrations(folder, machine)
    store, merged, file = Store.at(folder), known.merge(calibrations, lockstep), calibration_file(folder, machine)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if complaint and file is not None:
            os.replace(file, file.with_suffix(".json.old"))
    except OSError as error:
        return f"the calibration cannot be kept in {folder}: {error.strerror or error}."
    return store.save(merged)


def _made(results: Path, run: str, new: bool) -> Path:
    """Return the folder of a run, made where it is missing; two runs may begin in the same second."""
    for number in itertools.count(1):
        folder = results / (run if number == 1 else f"{run}-{number}")
        try:
            folder.mkdir(exist_ok=not new)
            return folder
        except FileExistsError:
            if not new or not folder.is_dir():
                raise
    raise AssertionError("a count has no end")


def _count(items: list[Stored]) -> str:
    """``1 file``, ``3 files``."""
    return f"{len(items)} file{'s' if len(items) > 1 else ''}"
