"""Errors that end a command: each is one sentence for the user, and an exit code."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of every command."""

    FINE = 0
    REGRESSION = 1
    WRONG_USE = 2
    NOT_COMPARABLE = 3
    NOTHING_MEASURED = 4


class BenchError(Exception):
    """A sentence that says what is wrong and what to do."""

    code = Exit.WRONG_USE


class WrongUse(BenchError):
    """The command was asked for something that cannot be."""


class NothingMeasured(BenchError):
    """There is no figure to show."""

    code = Exit.NOTHING_MEASURED


class NotComparable(BenchError):
    """There is nothing that could be compared, or too little to answer by."""

    code = Exit.NOT_COMPARABLE
