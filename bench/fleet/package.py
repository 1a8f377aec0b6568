"""The suite's code and the user's extensions as they are sent to other machines."""

from __future__ import annotations

import functools
import io
import zipfile
from pathlib import Path

from bench import extensions
from bench.errors import UsageError
from bench.fleet.agent import code_digest, code_files
from bench.fleet.messages import ExtensionFile

ROOT = Path(__file__).resolve().parents[2]


@functools.cache
def digest() -> str:
    """Return the hash of this suite's code; machines measure with the code of the same hash."""
    return code_digest(code_files(ROOT))


@functools.cache
def archive() -> bytes:
    """Return this suite's code as a zip file."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as file:
        for name, text in code_files(ROOT).items():
            file.writestr(zipfile.ZipInfo(name), text, zipfile.ZIP_DEFLATED)
    return content.getvalue()


def extension_files() -> list[ExtensionFile]:
    """Return the loaded extensions.

    Raises:
        UsageError: for a file that has changed since it was loaded.
    """
    files = []
    for path in map(Path, extensions.loaded_paths()):
        content, digest = path.read_bytes(), extensions.digests()[path.stem]
        if extensions.digest_of(content) != digest:
            raise UsageError(f"extension {str(path)!r} has changed since it was loaded: run again.")
        files.append(ExtensionFile(path.stem, digest, content))
    return files
