"""Holds one process to so much memory on the CPU, so that what does not fit ends it and nothing else.

A control group counts what a process really touched, as a smaller machine would. Without the right to make one,
``RLIMIT_DATA`` counts what it asked for, which is more.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import psutil

NAME = "yolopace-"
"""What the names of control groups begin with, before the number of the process that made them."""

CGROUP = Path("/sys/fs/cgroup")

PROC = Path("/proc")

RESERVE = 0.1
"""Share of the available memory that is left to the rest of the machine, where nobody says how much to take."""


class Limit(Protocol):
    """A limit on the memory of one process.

    Attributes:
        figure: the memory figure of the worker that it holds down.
        method: in words.
    """

    figure: str
    method: str

    def hold(self, pid: int) -> None:
        """Put a process under it, before it has done anything."""

    def job(self) -> dict[str, Any]:
        """What a worker is told of it."""

    def killed(self) -> bool:
        """Whether the system killed a process for it."""

    def close(self) -> None:
        """Take it away, once the process has ended."""


class CgroupLimit:
    """A control group of its own for one process."""

    figure = "private"

    def __init__(self, folder: Path, limit: int) -> None:
        """Make it.

        Args:
            folder: of the new group; its parent is one that this process may make groups in.
            limit: bytes.

        Raises:
            OSError: where that cannot be done here.
        """
        folder.mkdir()
        self._folder = folder
        second = (folder / "memory.max").exists()
        self.method = f"control group, version {2 if second else 1}"
        try:
            if second:
                (folder / "memory.max").write_text(str(limit), encoding="utf-8")
                with contextlib.suppress(OSError):  # a kernel without swap accounting
                    (folder / "memory.swap.max").write_text("0", encoding="utf-8")
            else:
                (folder / "memory.limit_in_bytes").write_text(str(limit), encoding="utf-8")
                with contextlib.suppress(OSError):
                    (folder / "memory.memsw.limit_in_bytes").write_text(str(limit), encoding="utf-8")
        except OSError:
            self.close()
            raise

    def hold(self, pid: int) -> None:
        """Move a process into the group."""
        set_oom_score(pid)
        (self._folder / "cgroup.procs").write_text(str(pid), encoding="utf-8")

    def job(self) -> dict[str, Any]:
        """Nothing: the system holds it."""
        return {}

    def killed(self) -> bool:
        """Whether its counter of kills stands above 0."""
        for name in ("memory.events", "memory.oom_control"):
            with contextlib.suppress(OSError):
                lines = (self._folder / name).read_text(encoding="utf-8").splitlines()
                return any(line.startswith("oom_kill ") and line.split()[1] != "0" for line in lines)
        return False

    def close(self) -> None:
        """Remove the group; the kernel lets go of a process that has ended a moment later."""
        for _ in range(50):
            try:
                self._folder.rmdir()
                return
            except FileNotFoundError:
                return
            except OSError:
                time.sleep(0.02)


class RlimitDataLimit:
    """``RLIMIT_DATA``, which the process sets for itself."""

    figure = "data"
    method = "RLIMIT_DATA, which counts memory that was asked for, touched or not"

    def __init__(self, limit: int) -> None:
        self._limit = limit

    def hold(self, pid: int) -> None:
        """Nothing else: the process is told."""
        set_oom_score(pid)

    def job(self) -> dict[str, Any]:
        """The worker sets it before it imports anything."""
        return {"data_limit": self._limit}

    def killed(self) -> bool:
        """Nobody is killed: what asks for more is refused."""
        return False

    def close(self) -> None:
        """Nothing is left of it."""


class AllocatorLimit:
    """The allocator of a GPU, which holds itself to a fraction of the device."""

    figure = "reserved"

    def __init__(self, limit: int | None) -> None:
        """Hold it to so many bytes; None for what the device has."""
        self._limit = limit or 0
        self.method = "fraction of the device that its allocator may take" if limit else "the device's own memory"

    def hold(self, pid: int) -> None:
        """Nothing."""

    def job(self) -> dict[str, Any]:
        """The worker tells the allocator."""
        return {"memory_limit": self._limit}

    def killed(self) -> bool:
        """Not by this."""
        return False

    def close(self) -> None:
        """Nothing."""


class NoLimit:
    """No limit: a Mac has none that it keeps, so that what does not fit is swapped, which is watched."""

    figure = "process"
    method = "nothing but the machine; its swap is watched"

    def hold(self, pid: int) -> None:
        """Nothing."""

    def job(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def killed(self) -> bool:
        """Not by this."""
        return False

    def close(self) -> None:
        """Nothing is left of it."""


def set_oom_score(pid: int) -> None:
    """Have the system take this process before any other, where the whole machine runs out of memory after all."""
    with contextlib.suppress(OSError):
        (PROC / str(pid) / "oom_score_adj").write_text("1000", encoding="utf-8")


def enforced() -> bool:
    """Whether a process on the CPU can be held to a limit here."""
    return platform.system() == "Linux"


@contextlib.contextmanager
def limited(limit: int) -> Iterator[Limit]:
    """A limit of so many bytes for one process on the CPU: a control group where one can be made."""
    held: Limit = (group(limit) or RlimitDataLimit(limit)) if enforced() else NoLimit()
    try:
        yield held
    finally:
        held.close()


NUMBERS = itertools.count()


def group(limit: int) -> CgroupLimit | None:
    """A control group beside or below that of this process; None where none can be made."""
    name = f"{NAME}{os.getpid()}-{next(NUMBERS)}"
    for parent in parents(CGROUP):
        remove_stale_groups(parent)
        with contextlib.suppress(OSError):
            made = CgroupLimit(parent / name, limit)
            if can_be_entered(parent / name):
                return made
            made.close()
    return None


def can_be_entered(folder: Path) -> bool:
    """Whether a process of this one may be moved into a group; to make one and to enter it are two rights."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        try:
            (folder / "cgroup.procs").write_text(str(child.pid), encoding="utf-8")
        except OSError:
            return False
        finally:
            child.kill()
    return True


def remove_stale_groups(parent: Path) -> None:
    """Remove groups that a runner left there which was killed."""
    for left in parent.glob(f"{NAME}*"):
        owner = left.name.removeprefix(NAME).partition("-")[0]
        if owner.isdigit() and not psutil.pid_exists(int(owner)):
            with contextlib.suppress(OSError):
                left.rmdir()


def parents(root: Path) -> Iterator[Path]:
    """Groups below which one with a limit of memory may be made: those that give this controller to their children."""
    first = root / "memory"  # version 1 has a tree for it
    tops = [first] if (first / "memory.limit_in_bytes").exists() else [root]
    for top in tops:
        own = top / _own_group(top != root).strip("/")
        for place in (own, *own.parents):
            if not place.is_relative_to(top):
                break
            if top == root and "memory" not in _words(place / "cgroup.subtree_control"):
                continue
            yield place


def _own_group(first: bool) -> str:
    """Path of the group of this process, in the tree of version 1 for memory or in that of version 2."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            if (first and "memory" in controllers.split(",")) or (not first and not controllers):
                return path
    return ""


def _words(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").split()
    except OSError:
        return []
