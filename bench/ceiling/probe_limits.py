"""Limit the memory of one probe, so that a batch that does not fit ends its process and no other.

A control group counts the memory that a process touches, as a smaller machine would. Without the right to make one,
``RLIMIT_DATA`` counts the memory that it requests, which is more.
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

from bench.machine.limits import memberships, text_of

NAME = "yolopace-"
"""Prefix of the names of control groups, before the number of the process that made them."""

CGROUP = Path("/sys/fs/cgroup")

PROC = Path("/proc")

RESERVE = 0.1
"""Share of the available memory that is left to the rest of the machine by default."""


class Limit(Protocol):
    """A limit on the memory of one process.

    Attributes:
        figure: the memory figure of the worker that it limits.
        method: the method, in words.
    """

    figure: str
    method: str

    def apply(self, pid: int) -> None:
        """Limit a process, before it has done anything."""

    def job(self) -> dict[str, Any]:
        """Return the fields of the worker's job that set the limit."""

    def killed(self) -> bool:
        """Whether the system killed a process for it."""

    def close(self) -> None:
        """Remove the limit, once the process has ended."""


class CgroupLimit:
    """A control group for one process."""

    figure = "private"

    def __init__(self, folder: Path, limit: int) -> None:
        """Make the group.

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

    def apply(self, pid: int) -> None:
        """Move a process into the group."""
        set_oom_score(pid)
        (self._folder / "cgroup.procs").write_text(str(pid), encoding="utf-8")

    def job(self) -> dict[str, Any]:
        """Return no fields: the system enforces the limit."""
        return {}

    def killed(self) -> bool:
        """Whether the group counts a process that was killed for memory."""
        for name in ("memory.events", "memory.oom_control"):
            with contextlib.suppress(OSError):
                lines = (self._folder / name).read_text(encoding="utf-8").splitlines()
                return any(line.startswith("oom_kill ") and line.split()[1] != "0" for line in lines)
        return False

    def close(self) -> None:
        """Remove the group; the kernel releases a process a moment after it has ended."""
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

    def apply(self, pid: int) -> None:
        """Have the system kill this process first; it sets the limit itself."""
        set_oom_score(pid)

    def job(self) -> dict[str, Any]:
        """Return the limit, which the worker sets before it imports anything."""
        return {"data_limit": self._limit}

    def killed(self) -> bool:
        """Never: a request for more memory is refused."""
        return False

    def close(self) -> None:
        """Nothing to remove."""


class AllocatorLimit:
    """The allocator of a GPU, which limits itself to a fraction of the device."""

    figure = "reserved"

    def __init__(self, limit: int | None) -> None:
        """Limit it to so many bytes; None for the device's own memory."""
        self._limit = limit or 0
        self.method = "fraction of the device that its allocator may take" if limit else "the device's own memory"

    def apply(self, pid: int) -> None:
        """Nothing to do."""

    def job(self) -> dict[str, Any]:
        """Return the limit, from which the worker sets the fraction of the allocator."""
        return {"memory_limit": self._limit}

    def killed(self) -> bool:
        """Never."""
        return False

    def close(self) -> None:
        """Nothing to do."""


class NoLimit:
    """No limit: macOS enforces none, so a batch that does not fit swaps, which is watched."""

    figure = "process"
    method = "nothing but the machine; its swap is watched"

    def apply(self, pid: int) -> None:
        """Nothing to do."""

    def job(self) -> dict[str, Any]:
        """Return no fields."""
        return {}

    def killed(self) -> bool:
        """Never."""
        return False

    def close(self) -> None:
        """Nothing to remove."""


def set_oom_score(pid: int) -> None:
    """Have the system kill this process first if the whole machine runs out of memory."""
    with contextlib.suppress(OSError):
        (PROC / str(pid) / "oom_score_adj").write_text("1000", encoding="utf-8")


def enforced() -> bool:
    """Whether this system enforces a memory limit on the CPU."""
    return platform.system() == "Linux"


@contextlib.contextmanager
def limited(limit: int) -> Iterator[Limit]:
    """Limit one process on the CPU to so many bytes: by a control group where one can be made."""
    limiter: Limit = (group(limit) or RlimitDataLimit(limit)) if enforced() else NoLimit()
    try:
        yield limiter
    finally:
        limiter.close()


NUMBERS = itertools.count()


def group(limit: int) -> CgroupLimit | None:
    """Make a control group next to or below that of this process; None where that is impossible."""
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
    """Remove the groups of runners that were killed."""
    for left in parent.glob(f"{NAME}*"):
        owner = left.name.removeprefix(NAME).partition("-")[0]
        if owner.isdigit() and not psutil.pid_exists(int(owner)):
            with contextlib.suppress(OSError):
                left.rmdir()


def parents(root: Path) -> Iterator[Path]:
    """Find the groups below which a memory limit can be set: those that pass this controller to their children."""
    first = root / "memory"  # version 1 has a tree for it
    tops = [first] if (first / "memory.limit_in_bytes").exists() else [root]
    for top in tops:
        own = top / _own_group(top != root).strip("/")
        for place in (own, *own.parents):
            if not place.is_relative_to(top):
                break
            if top == root and "memory" not in text_of(place / "cgroup.subtree_control").split():
                continue
            yield place


def _own_group(first: bool) -> str:
    """Return the path of this process's group, in the memory tree of version 1 or in the tree of version 2."""
    for controllers, path in memberships():
        if (first and "memory" in controllers.split(",")) or (not first and not controllers):
            return path
    return ""
