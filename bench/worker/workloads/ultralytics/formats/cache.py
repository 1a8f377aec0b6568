"""Delete exports from the cache that were not used for long, or that are too many, and never one in use."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import IO

from ...made_files import discard

try:
    import fcntl
except ImportError:  # on Windows, which is not supported
    fcntl = None  # type: ignore[assignment]

MADE = "made.json"
"""Description of an export in its folder; its time of modification is that of the last use."""

DAY = 24 * 3600.0
MOST_DAYS = 30
"""Days without a use after which an export is deleted."""

MOST_BYTES = 10 * 2**30
"""Bytes of all exports above which those that were used longest ago are deleted."""

RECENT_DAYS = 1
"""Days after a use in which an export stays, however large the cache: a run uses its exports again and again."""


def note_use(folder: Path) -> None:
    """Note that an export is used now, where the cache can be written."""
    with contextlib.suppress(OSError):
        os.utime(folder / MADE)


def hold(folder: Path) -> IO[bytes] | None:
    """Return a file that keeps an export from being deleted until it is closed; None where files cannot be locked."""
    note_use(folder)
    with contextlib.suppress(OSError):
        file = (folder / MADE).open("rb")
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return file
    return None


def prune(root: Path, now: float | None = None) -> None:
    """Delete exports that were last used 30 days ago; then the oldest ones, while all take more than 10 GiB.

    Args:
        root: folder of the cache for exports.
        now: seconds since the epoch.
    """
    now = time.time() if now is None else now
    kept = []
    with contextlib.suppress(OSError):
        for folder in root.iterdir():
            used, size = last_used(folder), size_of(folder)
            if now - used > MOST_DAYS * DAY and not in_use(folder):
                discard(folder)
            else:
                kept.append((used, size, folder))
        total = sum(size for _, size, _ in kept)
        for used, size, folder in sorted(kept):
            if total <= MOST_BYTES or now - used <= RECENT_DAYS * DAY:
                break
            if not in_use(folder):
                discard(folder)
                total -= size


def last_used(folder: Path) -> float:
    """Return the time of the last use of an export in seconds since the epoch, or that of an incomplete folder."""
    file = folder / MADE
    return (file if file.exists() else folder).stat().st_mtime


def size_of(folder: Path) -> int:
    """Return the bytes of all files of a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def in_use(folder: Path) -> bool:
    """Whether a process holds an export."""
    if fcntl is None or not (folder / MADE).exists():
        return False
    with (folder / MADE).open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False
