"""The suite's code as it is sent to other machines."""

from __future__ import annotations

import functools
import io
import zipfile
from pathlib import Path

from bench.fleet.agent import code_digest, code_files

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
