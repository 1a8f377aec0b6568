"""Writing a file whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from bench.text import cleaned

NUMBERS = re.compile(rb"\[[\s\d.,eE+-]+\]")

LOST = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG}
"""Errors that may have lost the content of a file; others say that a file system lacks a function."""


def encoded(item: msgspec.Struct) -> bytes:
    """Return the content of a file: a line per field or list of numbers; no text has control characters."""
    return formatted(cleaned(msgspec.to_builtins(item)))


def formatted(value: Any) -> bytes:
    """Return a JSON value as a file has it."""
    text = msgspec.json.format(msgspec.json.encode(value), indent=1)
    return NUMBERS.sub(lambda match: b" ".join(match[0].split()), text) + b"\n"


def write_whole(path: Path, content: bytes, lasting: bool = True) -> None:
    """Write a file so that a reader sees the old one or the new one, whatever happens meanwhile.

    A file system that knows neither modes nor ``fsync`` (some network shares, FUSE) holds the file all the same.

    Args:
        path: of the file.
        content: of the file.
        lasting: whether to wait until it outlasts a power cut; many files that can be made again need not.

    Raises:
        OSError: where it cannot be written.
    """
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            if lasting:
                with _where_supported():
                    os.fsync(file.fileno())
        with _where_supported():
            os.chmod(name, 0o644)
        os.replace(name, path)
        if lasting:
            _sync_folder(path.parent)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _where_supported() -> Iterator[None]:
    """Ignore an error of a file system that lacks a function, unless the content of the file may be lost."""
    try:
        yield
    except OSError as error:
        if error.errno in LOST:
            raise


def _sync_folder(folder: Path) -> None:
    """Make a file's new name last over a power cut; some file systems cannot, and need not."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:
        pass
    finally:
        os.close(descriptor)
