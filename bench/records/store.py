"""The only part that touches ``results/``: one folder a run, one JSON file a case, each written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import gc
import itertools
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from bench.errors import WrongUse
from bench.records.migrations import RECORD, Unreadable, migrate
from bench.records.record import SCHEMA, Record
from bench.text import cleaned

NUMBERS = re.compile(rb"\[[\s\d.,eE+-]+\]")
COMPARISON = "comparison.json"
"""The file of a live comparison (:mod:`bench.records.comparison`); it is no record of a case."""

CEILING = "ceiling-"
"""What names of files begin with that hold a ceiling (:mod:`bench.records.ceiling`); they are no records of a case."""

RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def new_run_name(machine: str, now: datetime | None = None) -> str:
    """A name that sorts by time: ``20261122-184512-3f9ac2`` (UTC, first digits of the machine's fingerprint)."""
    moment = now or datetime.now(UTC)
    return f"{moment:%Y%m%d-%H%M%S}-{machine[:6]}"


class Store:
    """One run's folder, for writing.

    Attributes:
        folder: ``results/<run>``.
        unsaved: records that could not be written (a full disk); each later :meth:`save` tries them again.
    """

    def __init__(self, results: Path, run: str, new: bool = False) -> None:
        """Open or make the folder.

        Args:
            results: folder of all runs.
            run: name of the run.
            new: whether the folder has to be this run's alone: where it is there, a number is added to the name.
        """
        self.unsaved: list[Record] = []
        self.folder = results / run
        self._results = None if results.exists() else results
        try:
            results.mkdir(parents=True, exist_ok=True)
            self.folder = _made(results, run, new)
            with tempfile.TemporaryFile(dir=self.folder):
                pass
            self.run = self.folder.name
        except OSError as error:
            raise WrongUse(f"results cannot be written to {self.folder}: {error.strerror or error}.") from error

    def path(self, record: Record) -> Path:
        """The file of a record."""
        return self.folder / f"{record.name}.json"

    def save(self, record: Record) -> str:
        """Write a record, and what could not be written before.

        Returns:
            An empty string, or one sentence on why records are still unsaved; they are kept in :attr:`unsaved`.
        """
        self.unsaved = [old for old in self.unsaved if old.name != record.name] + [record]
        return self.flush()

    def flush(self) -> str:
        """Try again to write what is unsaved; the return value is that of :meth:`save`."""
        while self.unsaved:
            record = self.unsaved[0]
            try:
                write_whole(self.path(record), encoded(record))
            except OSError as error:
                return (
                    f"{len(self.unsaved)} record(s) could not be written to {self.folder}: {error.strerror or error}. "
                    "They are kept in memory and tried again after every case: make room."
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
        count = len(self.unsaved)
        try:
            folder = Path(tempfile.mkdtemp(prefix=f"yolopace-{self.run}-"))
            for record in self.unsaved:
                write_whole(folder / f"{record.name}.json", encoded(record))
        except OSError as error:
            return f"{count} record(s) are lost: there is no room in {self.folder} nor elsewhere ({error.strerror})."
        return f"{count} record(s) had no room in {self.folder} and are in {folder}: move them there."

    def discard(self) -> bool:
        """Remove the folder if nothing was written there, and that of all runs if it was made for this one.

        Returns:
            Whether it is gone.
        """
        try:
            self.folder.rmdir()
        except OSError:  # it holds something
            return False
        if self._results is not None:
            with contextlib.suppress(OSError):
                self._results.rmdir()
        return True

    def finished(self) -> list[Record]:
        """Records of this run that need not be measured again, if they were measured in the same way."""
        return [record for record in read([self.folder])[0] if record.outcome.status.final]


def _made(results: Path, run: str, new: bool) -> Path:
    """The folder of a run, made if it is not there; two runs may begin in the same second."""
    for number in itertools.count(1):
        folder = results / (run if number == 1 else f"{run}-{number}")
        try:
            folder.mkdir(exist_ok=not new)
            return folder
        except FileExistsError:
            if not new or not folder.is_dir():
                raise
    raise AssertionError("a count has no end")


def encoded(record: msgspec.Struct) -> bytes:
    """A record as its file has it: a line a field, and a line a list of numbers; no text has control characters."""
    text = msgspec.json.format(msgspec.json.encode(cleaned(msgspec.to_builtins(record))), indent=1)
    return NUMBERS.sub(lambda found: b" ".join(found[0].split()), text) + b"\n"


LOST = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG}
"""What says of a file that it may not have been written; other errors say that a file system lacks a function."""


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old one or the new one, whatever happens meanwhile.

    A file system that knows neither modes nor ``fsync`` (some network shares, FUSE) holds the file all the same.

    Raises:
        OSError: where it cannot be written.
    """
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            with _where_supported():
                os.fsync(file.fileno())
        with _where_supported():
            os.chmod(name, 0o644)
        os.replace(name, path)
        _sync_folder(path.parent)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _where_supported() -> Iterator[None]:
    """Let what a file system refuses pass, unless the content of the file may be lost."""
    try:
        yield
    except OSError as error:
        if error.errno in LOST:
            raise


def _sync_folder(folder: Path) -> None:
    """Make a file's new name last over a power cut; some file systems cannot, and need not."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:
        pass
    finally:
        os.close(descriptor)


def runs(results: Path, machine: str = "") -> list[str]:
    """Names of the runs under a results folder, oldest first; only those of one machine where it is named."""
    if not results.is_dir():
        return []
    found = []
    for folder in results.iterdir():
        own = [file for file in folder.glob("*.json") if is_record(file)] if folder.is_dir() else []
        first = min(own, default=None)
        records = read([first])[0] if first else []
        if records and machine in ("", records[0].machine.fingerprint):
            found.append((records[0].started, folder.name))
    return [name for _, name in sorted(found)]


def check_new_run(results: Path, name: str) -> str:
    """A name that the user chose for a new run; empty where none was chosen."""
    if name and not RUN_NAME.fullmatch(name):
        raise WrongUse(f"run {name!r} cannot be the name of a folder: use letters, digits, dots, dashes, underscores.")
    if name and (results / name).exists():
        raise WrongUse(f"run {name!r} is in {results} already: choose another name, or go on with it by --resume.")
    return name


def resolve_run(results: Path, name: str, machine: str = "") -> str:
    """The run that ``--resume`` names: itself, or for ``last`` the newest of a machine."""
    known = runs(results, machine if name == "last" else "")
    if name == "last" and known:
        return known[-1]
    if not RUN_NAME.fullmatch(name) or name not in known:
        there = f"there are {', '.join(known[-5:])}" if known else "there are none"
        raise WrongUse(f"run {name!r} is not in {results}: {there}.")
    return name


def is_record(file: Path) -> bool:
    """Whether a file in the folder of a run is to hold the record of a case."""
    return file.name != COMPARISON and not file.name.startswith(CEILING)


def files(sources: Iterable[Path]) -> list[Path]:
    """Record files under folders and files given; a folder is a run, or holds runs."""
    found: list[Path] = []
    for source in sources:
        if source.is_file():
            found += [source] if is_record(source) else []
        elif source.is_dir():
            inside = [folder / name for folder in (source, *_folders(source)) for name in sorted(_names(folder))]
            found += [file for file in inside if is_record(file)]
        else:
            raise WrongUse(f"{source}: there is no such file or folder.")
    return list(dict.fromkeys(found))


def _folders(folder: Path) -> list[Path]:
    """Folders within one; none where it cannot be looked into."""
    try:
        with os.scandir(folder) as found:
            return sorted(Path(inner) for inner in found if inner.is_dir())
    except OSError:
        return []


def _names(folder: Path) -> list[str]:
    """Names of the JSON files in a folder; none where it cannot be looked into."""
    try:
        return [name for name in os.listdir(folder) if name.endswith(".json")]
    except OSError:
        return []


PARTS = ("recipe", "effective", "environment", "machine", "device")
"""Fields of a record that many of them have alike: what stands in a file twice is decoded once."""


def _field(field: msgspec.structs.FieldInfo) -> tuple[str, type] | tuple[str, type, Any]:
    """A field of :class:`Record` for a struct of the same fields, in which parts are not decoded yet."""
    kind = msgspec.Raw if field.name in PARTS else field.type
    if field.required:
        return field.name, kind
    default = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    return field.name, kind, msgspec.Raw(msgspec.json.encode(default)) if field.name in PARTS else default


FIELDS = msgspec.structs.fields(Record)
NAMES = tuple(field.name for field in FIELDS)
UNDECODED = msgspec.json.Decoder(msgspec.defstruct("Undecoded", map(_field, FIELDS), kw_only=True))
DECODERS = {field.name: msgspec.json.Decoder(field.type) for field in FIELDS if field.name in PARTS}

Known = dict[tuple[str, bytes], Any]
"""Parts that were decoded already, by their field and what stands in the file."""

NEWEST = re.compile(rb'\s*\{\s*"schema"\s*:\s*%d\s*,' % SCHEMA)
"""How a record of the newest schema begins, as :func:`encoded` writes it."""


def decoded(content: bytes, known: Known) -> Record:
    """The record in a file: at once where it is of the newest schema, else migrated.

    Args:
        content: of the file.
        known: parts of other records, which it shares, so that a hundred thousand fit in memory; is added to.

    Raises:
        Unreadable, ValueError: where there is none in it.
    """
    if not NEWEST.match(content):
        content = msgspec.json.encode(migrate(RECORD, msgspec.json.decode(content)))
    found = UNDECODED.decode(content)
    fields: dict[str, Any] = {name: getattr(found, name) for name in NAMES}
    if fields["schema"] != SCHEMA:
        raise Unreadable("it is no record: it has two schema numbers")
    for name in PARTS:
        fields[name] = _part(name, bytes(fields[name]), known)
    return Record(**fields)


def _part(name: str, content: bytes, known: Known) -> Any:
    key = name, content
    if key not in known:
        try:
            known[key] = DECODERS[name].decode(content)
        except msgspec.ValidationError as error:  # its path begins at the part, and at its root there is none
            said, _, place = str(error).partition(" - at `$")
            raise msgspec.ValidationError(f"{said} - at `$.{name}{place or '`'}") from None
    return known[key]


@contextlib.contextmanager
def without_collecting() -> Iterator[None]:
    """Look for no garbage meanwhile: of many records there is none, and looking takes longer than reading them."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def read(sources: Sequence[Path]) -> tuple[list[Record], list[str]]:
    """All records under the given folders and files, in the order in which they were measured.

    Returns:
        The records, and one sentence for every file that is none.
    """
    records, complaints = [], []
    known: Known = {}
    with without_collecting():
        for file in files(sources):
            try:
                with open(file, "rb") as opened:
                    content = opened.read()
                records.append(decoded(content, known))
            except (Unreadable, msgspec.MsgspecError, ValueError, KeyError, OSError, RecursionError) as error:
                complaints.append(f"{file} is left out: {error}.")
        return sorted(records, key=lambda record: (record.run, record.started)), complaints
