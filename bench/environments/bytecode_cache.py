"""Compiled Python files in the cache: their folder, and the removal of broken ones that a full disk left.

Python writes a compiled file without noticing that the disk took only a part of it, and later does not skip the
broken file. Every import of that module fails from then on.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from bench.errors import UsageError
from bench.machine.paths import cache_folder

UNWANTED = "PYTHONDONTWRITEBYTECODE"
"""The environment variable that keeps Python from writing compiled files."""

PREFIX = "PYTHONPYCACHEPREFIX"
"""The environment variable that says where Python writes them."""

BROKEN = re.compile(
    r"marshal data|reached EOF while reading|EOF read where|Non-code object in|bad magic number|unmarshallable"
)
"""Matches the errors of Python about a broken compiled file."""


def folder() -> Path | None:
    """Return the folder where this suite has compiled files written; None for Python's own folders, or the user's.

    It is used where the user's shell keeps Python from writing compiled files.
    """
    if not os.environ.get(UNWANTED) or os.environ.get(PREFIX):
        return None
    try:
        return cache_folder() / "pycache"
    except UsageError:
        return None


def remove_broken_bytecode(output: str, python: str = "") -> bool:
    """Delete the compiled files of the cache where an interpreter's output points to a broken one.

    Args:
        output: its output, and how it ended.
        python: its path; of an environment that was built in the cache, the compiled files in that are deleted too.

    Returns:
        Whether any were deleted, so that another try may succeed.
    """
    if not BROKEN.search(output):
        return False
    deleted = False
    for place in [*filter(None, [folder()]), *compiled_folders(python)]:
        if place.is_dir():
            shutil.rmtree(place, ignore_errors=True)
            deleted = deleted or not place.exists()
    return deleted


def compiled_folders(python: str) -> list[Path]:
    """Return the folders of compiled files in an interpreter's environment, where that was built in the cache."""
    try:
        environments = cache_folder() / "environments"
    except UsageError:
        return []
    own = Path(python).parent.parent
    if not python or own.parent != environments:
        return []
    return list(own.rglob("__pycache__"))


def advice(output: str) -> str:
    """Return what to delete, where an interpreter's output points to a broken compiled file; else empty."""
    if not BROKEN.search(output):
        return ""
    place = folder() or os.environ.get(PREFIX) or "its folders named __pycache__"
    return f"A compiled file of Python is broken, as a full disk leaves it: delete {place}."
