"""Compiled Python files in the cache: where they are, and what to do where a full disk left broken ones.

Python writes a compiled file without noticing that the disk took only a part of it, and does not read past the broken
one later: every import of that module fails from then on.
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
"""What Python says of a broken compiled file."""


def folder() -> Path | None:
    """Where this suite has compiled files written; None where Python writes them to its own places, or to the user's.

    It is used where the user's shell keeps Python from writing compiled files.
    """
    if not os.environ.get(UNWANTED) or os.environ.get(PREFIX):
        return None
    try:
        return cache_folder() / "pycache"
    except UsageError:
        return None


def remove_broken_bytecode(output: str, python: str = "") -> bool:
    """Delete the compiled files of the cache where what an interpreter said points to a broken one.

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
    """Folders of compiled files in the environment of an interpreter, where that was built in the cache."""
    try:
        environments = cache_folder() / "environments"
    except UsageError:
        return []
    own = Path(python).parent.parent
    if not python or own.parent != environments:
        return []
    return list(own.rglob("__pycache__"))


def advice(output: str) -> str:
    """A sentence on what to delete, where what an interpreter said points to a broken compiled file; else empty."""
    if not BROKEN.search(output):
        return ""
    place = folder() or os.environ.get(PREFIX) or "its folders named __pycache__"
    return f"A compiled file of Python is broken, as a full disk leaves it: delete {place}."
