"""Folders of the cache that take long to make: made once, whole or not at all, also where several runs want one."""

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
    """Make a folder unless it is there.

    It is made beside its place and gets its name when it is complete: nobody sees half of one, and one that was left
    half-made is made anew. Of two runs that want the same one, the second waits.

    Args:
        final: where it belongs; its parent is made if need be.
        complete: whether what is there is whole.
        make: is given an empty folder; returns the one in it that is to be moved to its place.
        wait: is called before waiting for another run.

    Raises:
        OSError: where it cannot be written.
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

    On a file system without locks nobody is kept out.
    """
    from filelock import FileLock, Timeout  # takes a tenth of a second, and is needed where something is built alone

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
