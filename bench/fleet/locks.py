"""Locks in the cache: one member measures on a machine, and one coordinator has a run."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from bench.cases.fingerprints import digest
from bench.errors import UsageError
from bench.machine.paths import cache_folder

TAKE_OVER_SECONDS = 30.0
"""Seconds that an earlier member of the same run has to end."""


class Holder(msgspec.Struct, frozen=True):
    """The process that has a lock: its ID, when it began, and for which run."""

    pid: int
    began: float
    run: str


def folder() -> Path:
    """Return the folder of the locks."""
    place = cache_folder() / "fleet" / "locks"
    place.mkdir(parents=True, exist_ok=True)
    return place


@contextlib.contextmanager
def measuring(name: str, run: str) -> Iterator[None]:
    """Hold the lock of this machine; a member that an earlier connection of the same run left behind is ended.

    Args:
        name: of the lock.
        run: name of the member's run.

    Raises:
        UsageError: where another fleet measures on this machine.
    """
    import psutil
    from filelock import FileLock, Timeout

    lock, file = FileLock(folder() / f"{name}.lock"), folder() / f"{name}.json"
    try:
        lock.acquire(0)
    except Timeout:
        holder = _holder(file)
        if holder is None or holder.run != run:
            whose = f"run {holder.run}" if holder else "a run that is starting"
            raise UsageError(
                f"another fleet measures on this machine ({whose}): one case runs at a time; wait for its end."
            ) from None
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(holder.pid)
            if abs(process.create_time() - holder.began) < 1:
                process.terminate()
        try:
            lock.acquire(TAKE_OVER_SECONDS)
        except Timeout:
            raise UsageError(
                f"process {holder.pid} of an earlier connection still measures on this machine: end it."
            ) from None
    try:
        own = Holder(os.getpid(), psutil.Process().create_time(), run)
        file.write_bytes(msgspec.json.encode(own))
        yield
    finally:
        lock.release()


def _holder(file: Path) -> Holder | None:
    """Return who has a lock; None where that cannot be read."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Holder)
    except (OSError, ValueError):
        return None


def coordinator_file(run_folder: Path) -> Path:
    """Return the lock file of the coordinator of a run."""
    return folder() / f"run-{digest({'folder': str(run_folder.resolve())})}.lock"


@contextlib.contextmanager
def coordinating(run_folder: Path) -> Iterator[None]:
    """Hold the lock of a run.

    Raises:
        UsageError: where another process has it.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(coordinator_file(run_folder))
    try:
        lock.acquire(0)
    except Timeout:
        raise UsageError(
            f"run {run_folder.name} is measured by another process now: see yolopace fleet status."
        ) from None
    try:
        yield
    finally:
        lock.release()


def is_coordinated(run_folder: Path) -> bool:
    """Whether a process measures a run now."""
    try:
        with coordinating(run_folder):
            return False
    except UsageError:
        return True


def run_name(run: str, machine: str) -> str:
    """Return the name of a machine's run within the run of a fleet, which its records have."""
    return f"{re.sub(r'[^A-Za-z0-9._-]', '_', run)}-{machine}"
