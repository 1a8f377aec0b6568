"""Random ID of this machine, made once and kept in the cache folder."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import tempfile
from pathlib import Path

from bench.errors import UsageError
from bench.machine.paths import cache_folder

ID = re.compile(r"[0-9a-f]{12}")


def machine_id(fingerprint: str) -> str:
    """Return the ID of this machine: twelve hexadecimal digits, made on first use.

    There is one file per fingerprint, because different machines may share a home folder.

    Returns:
        The ID, or an empty string where the cache folder can be neither read nor written.
    """
    try:
        file = cache_folder() / "machine" / f"{fingerprint}.id"
        return _read_id(file) or _make_id(file)
    except (OSError, UsageError):
        return ""


def _read_id(file: Path) -> str:
    """Return the ID in a file; empty where the file is missing or holds something else."""
    try:
        text = file.read_text(encoding="ascii", errors="replace").strip()
    except FileNotFoundError:
        return ""
    return text if ID.fullmatch(text) else ""


def _make_id(file: Path) -> str:
    """Write a new ID and return it, or the ID that another process wrote first."""
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as temporary:
            temporary.write(f"{secrets.token_hex(6)}\n")
        with contextlib.suppress(OSError):  # it exists already, or the file system has no links
            os.link(name, file)
        if not _read_id(file):
            os.replace(name, file)
    finally:
        Path(name).unlink(missing_ok=True)
    return _read_id(file)
