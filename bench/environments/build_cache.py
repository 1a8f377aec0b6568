"""Build folders of the cache once, completely or not at all, also where several runs need the same one."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path


def build_once(
    final: Path, complete: Callable[[], bool], make: Callable[[Path], Path], wait: Callable[[], None]
) -> None:
    """Build a folder unless it exists.

    It is built under a temporary name and renamed when complete, so that an incomplete one is never used; the remains
    of a build that was stopped are deleted. Of two runs that need the same folder, the second waits.

    Args:
        final: path of the folder; its parent is created.
        complete: whether the folder exists and is complete.
        make: builds below the empty folder that it gets, and returns the folder to rename.
        wait: called before waiting for another run.

    Raises:
        OSError: where the cache cannot be written.
    """
    if complete():
        return
    folder = final.parent
    folder.mkdir(parents=True, exist_ok=True)
    with _lock(folder / f".{final.name}.lock", wait):
        if complete():
            return
        for left in (final, *folder.glob(f".{final.name}-*")):
            shutil.rmtree(left, ignore_errors=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{final.name}-", dir=folder))
        try:
            os.replace(make(partial), final)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


@contextlib.contextmanager
def _lock(file: Path, wait: Callable[[], None]) -> Iterator[None]:
    """Hold an advisory file lock, which the system releases if this process dies; call ``wait`` before waiting for it.

    A file system without locks has no exclusion.
    """
    from filelock import FileLock, Timeout  # takes a tenth of a second, and only a build needs it

    lock = FileLock(file)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        wait()
        lock.acquire()
    except (OSError, NotImplementedError):
        pass
    try:
        yield
    finally:
        lock.release()
