"""Put made files into the cache: whole folders under their final name, and a sentence where that fails."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from ..rejection import CaseRejected


def unwritable(what: str, place: str, error: OSError) -> CaseRejected:
    """Return the rejection of a case whose cache cannot be written."""
    reason = f"{what} cannot be written to {place} ({error.strerror or error}): make room there, or set YOLOPACE_CACHE"
    return CaseRejected("unsupported", f"{reason} to another folder.")


def into_place(target: Path, mark: str, make: Callable[[Path], None]) -> None:
    """Make a folder under a temporary name and rename it atomically; a second process uses the first one's folder.

    Args:
        target: final path of the folder.
        mark: name of a file that every complete folder has.
        make: function that fills a folder.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".new-", dir=target.parent))
    try:
        make(folder)
        if target.exists() and not (target / mark).exists():  # its files were deleted from the cache
            shutil.rmtree(target)
        os.replace(folder, target)
    except OSError:
        if not target.exists():
            raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def discard(folder: Path) -> None:
    """Rename a folder, then delete it, so that no process reads a partly deleted one."""
    if not os.path.lexists(folder):
        return
    aside = Path(tempfile.mkdtemp(prefix=".old-", dir=folder.parent))
    try:
        os.replace(folder, aside / folder.name)
    except FileNotFoundError:  # another run was faster
        pass
    finally:
        shutil.rmtree(aside, ignore_errors=True)
