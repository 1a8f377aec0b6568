"""Check before a run that the cache and the folder for temporary files can be used."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.errors import UsageError
from bench.machine.paths import VARIABLE, cache_folder, calibration_folder

MIB = 2**20

LEAST_ROOM = 4 * MIB
"""Bytes for settings, fonts, label caches and temporary files of a worker."""

DATA_ROOM = 32 * MIB
"""Bytes of the made data set, with a margin."""

COMPILED_ROOM = 96 * MIB
"""Bytes that compiled Python files take, where the user's shell keeps Python from writing them elsewhere."""

ANOTHER = f"set {VARIABLE} to another folder."


def problem() -> str:
    """Return why the cache cannot be used, with the remedy; empty where it can be. Changes nothing."""
    try:
        folder = cache_folder()
    except UsageError as error:
        return str(error)
    try:
        return _problem_in(folder)
    except OSError as error:  # a name that is too long, a disk with errors, a share that is gone
        return f"the cache {folder} cannot be used ({error.strerror or error}): {ANOTHER}"


def _problem_in(folder: Path) -> str:
    if any(ord(character) < 32 or 0xD800 <= ord(character) < 0xE000 for character in str(folder)):
        return f"the cache {str(folder)!r} has a control character or a byte that is no UTF-8 in its name: {ANOTHER}"
    if "*" in str(folder):
        return f"the cache {folder} has a * in its name, which Ultralytics takes for a pattern: {ANOTHER}"
    there = nearest(folder)
    if not there.is_dir():
        return f"the cache {folder} cannot be made, for {there} is a file: {ANOTHER}"
    if not may_write(there, os.W_OK | os.X_OK):
        return f"the cache {folder} cannot be {'written' if there == folder else 'made'} ({why_not(there)}): {ANOTHER}"
    for place, needed in inside(folder):
        if needed & os.X_OK and not place.is_dir():
            return f"{place} in the cache is a file, and a folder belongs there: delete it, or {ANOTHER}"
        if not may_write(place, needed):
            verb = "written" if needed & os.W_OK else "read"
            return f"{place} in the cache cannot be {verb} ({why_not(place)}): delete it, or {ANOTHER}"
    return no_room(folder, there)


def nearest(folder: Path) -> Path:
    """Return the folder, or its nearest parent that exists."""
    return next((place for place in (folder, *folder.parents) if os.path.lexists(place)), Path("/"))


def may_write(place: Path, needed: int) -> bool:
    """Whether this process has these rights (``os.R_OK`` and so on) on a file or folder."""
    return os.access(place, needed, effective_ids=os.access in os.supports_effective_ids)


def why_not(place: Path) -> str:
    """Return why a place cannot be used, in a few words."""
    try:
        if os.statvfs(place).f_flag & os.ST_RDONLY:
            return "Read-only file system"
        owner = os.stat(place).st_uid
    except OSError as error:
        return error.strerror or str(error)
    return "Permission denied" if owner == os.geteuid() else f"Permission denied; {place} belongs to user {owner}"


def inside(folder: Path) -> Iterator[tuple[Path, int]]:
    """Yield the files and folders of the cache that a run uses, and the rights that it needs there."""
    change, look = os.R_OK | os.W_OK | os.X_OK, os.R_OK | os.X_OK
    for pattern, needed in (
        ("scratch", change),
        ("config", change),
        ("config/*", change),
        ("config/*/*", change),
        ("data", change),
        ("data/coco-like-*", change),
        ("data/coco-like-*/[!.]*", look),
        ("data/coco-like-*/pool/*", look),
    ):
        for place in sorted(folder.glob(pattern)):
            yield place, needed if "/" not in pattern or place.is_dir() else needed & ~os.X_OK


def no_room(folder: Path, there: Path) -> str:
    """Return a sentence where the disk has too little room for a run; else an empty string."""
    needed = LEAST_ROOM if any(folder.glob("data/*/pool/pool.json")) else DATA_ROOM
    # Asking an interpreter what it offers compiles some files already; this one comes after torch.
    if os.environ.get("PYTHONDONTWRITEBYTECODE") and not any((folder / "pycache").rglob("trainer.*.pyc")):
        needed += COMPILED_ROOM
    free = shutil.disk_usage(there).free
    if free >= needed:
        return ""
    return (
        f"the cache {folder} has too little room ({free / MIB:.1f} MiB are free, and {needed / MIB:.0f} MiB are "
        f"needed): make room there, or {ANOTHER}"
    )


def check_usable() -> None:
    """Create the cache folder, and check that it can be written.

    Raises:
        UsageError: where it, or the folder for temporary files, cannot be used.
    """
    if why := problem():
        raise UsageError(why)
    folder = cache_folder()
    try:
        tempfile.gettempdir()
    except FileNotFoundError as error:
        raise UsageError("no folder for temporary files can be written: set TMPDIR to one that can be.") from error
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(os.urandom(LEAST_ROOM))  # a quota does not show in what the disk has free
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        advice = f"make room there, or {ANOTHER}" if full else ANOTHER
        raise UsageError(f"the cache {folder} cannot be written ({error.strerror or error}): {advice}") from error


def check_calibrations() -> None:
    """Check that a calibration can be saved, before minutes of measuring.

    Raises:
        UsageError: where it cannot be saved.
    """
    folder = calibration_folder()
    there = nearest(folder)
    if not there.is_dir() or not may_write(there, os.R_OK | os.W_OK | os.X_OK):
        why = why_not(there) if there.is_dir() else "it is a file, and a folder belongs there"
        raise UsageError(f"calibrations cannot be saved in {there} ({why}): delete it, or {ANOTHER}")
