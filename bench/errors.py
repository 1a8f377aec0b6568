"""Errors that end a command: each is one sentence for the user, and an exit code."""

from __future__ import annotations

import os
import tempfile
import traceback
from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of every command."""

    OK = 0
    REGRESSION = 1
    WRONG_USE = 2
    NOT_COMPARABLE = 3
    NOTHING_MEASURED = 4


class BenchError(Exception):
    """A sentence that says what is wrong and what to do."""

    code = ExitCode.WRONG_USE


class UsageError(BenchError):
    """The request is impossible."""


class NothingMeasured(BenchError):
    """There is no figure to show."""

    code = ExitCode.NOTHING_MEASURED


class NotComparable(BenchError):
    """There is nothing to compare, or too little for an answer."""

    code = ExitCode.NOT_COMPARABLE


def describe_unexpected(error: BaseException) -> str:
    """Describe an error in this suite itself in one sentence; its traceback is saved in a file.

    Args:
        error: with its traceback.
    """
    text = " ".join(str(error).split())
    detail = f"{type(error).__name__}: {text[:200]}" if text else type(error).__name__
    file = save_text("".join(traceback.format_exception(error)), "error")
    place = f"its traceback is in {file}" if file else "its traceback could not be saved"
    return f"an error in yolopace itself ({detail}): please report it; {place}."


def save_text(text: str, about: str) -> str:
    """Save a text for the user to read; return the name of its file, or an empty string where none can be written."""
    try:
        descriptor, name = tempfile.mkstemp(prefix=f"yolopace-{about}-", suffix=".txt")
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError:
        return ""
    return name
