"""An index of folders in the cache: what was worked out from the files of a folder, as long as they are the same."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Collection
from pathlib import Path

from bench.records.store.atomic import write_whole

MANY = 1_000
"""Number of record files from which an index is used."""

NEWEST_SECONDS = 2
"""Files that changed so recently may change again within one tick of the file system's clock: they are not kept."""

UNUSED_DAYS = 30
"""Days without use after which a file of the index is removed: its folder is gone, or no command reads it."""

BYTES = 16
"""Length of each of two checksums at the beginning of a file of the index."""


class FolderState:
    """The state of some files of a folder."""

    def __init__(self, folder: Path, names: Collection[str], key: bytes) -> None:
        """Look at the files.

        Args:
            folder: of the files.
            names: of the files.
            key: what else the content of the index depends on.

        Raises:
            OSError: where the files cannot be looked at.
        """
        wanted, entries, self.changed = set(names), [], 0
        with os.scandir(folder) as entries_of_folder:
            for entry in entries_of_folder:
                if entry.name in wanted:
                    state = entry.stat()
                    entries.append((entry.name, state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino))
                    self.changed = max(self.changed, state.st_mtime_ns, state.st_ctime_ns)
        self.looked = time.time_ns()
        text = repr(sorted(entries)).encode(errors="surrogateescape")
        self.checksum = _checksum(key, text)
        self.file_name = f"{hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:32]}.index"

    def load(self, index: Path) -> bytes | None:
        """Return what was kept of the files in this state; None without it, or where it is broken."""
        file = index / self.file_name
        try:
            content = file.read_bytes()
            os.utime(file)  # it is in use
        except OSError:
            return None
        state, checksum, kept = content[:BYTES], content[BYTES : 2 * BYTES], content[2 * BYTES :]
        return kept if state == self.checksum and checksum == _checksum(kept) else None

    def keep(self, index: Path, kept: bytes) -> None:
        """Keep what was worked out from the files in this state, if they did not change just now and it can be."""
        if self.changed > self.looked - NEWEST_SECONDS * 10**9:
            return
        with contextlib.suppress(OSError):
            index.mkdir(parents=True, exist_ok=True)
            write_whole(index / self.file_name, self.checksum + _checksum(kept) + kept, lasting=False)
            _remove_unused(index)


def _remove_unused(index: Path) -> None:
    """Remove the files of an index that were not used for :data:`UNUSED_DAYS`."""
    oldest = time.time() - UNUSED_DAYS * 24 * 3600
    for file in index.glob("*.index"):
        if file.stat().st_mtime < oldest:
            file.unlink(missing_ok=True)


def _checksum(*parts: bytes) -> bytes:
    digest = hashlib.blake2b(digest_size=BYTES)
    for part in parts:
        digest.update(b"%d:" % len(part))
        digest.update(part)
    return digest.digest()
