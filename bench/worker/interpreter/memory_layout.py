"""Make the memory layout of a process reproducible, as far as the system allows.

The address of a block decides what fits next to it later. Address randomisation and Python's hash seed differ between
processes, so the memory peak of one batch differs by some percent. With both fixed, most peaks agree to 2 MiB
(docs/validation.md has the figures).
"""

from __future__ import annotations

import ctypes
import os
import sys

NO_RANDOM_ADDRESSES = 0x0040000
"""``ADDR_NO_RANDOMIZE`` of Linux's ``personality(2)``; kept by programs that the process executes."""

ASK = 0xFFFFFFFF
"""Argument of ``personality`` that reads the current value and sets nothing."""


def run_again(arguments: list[str]) -> None:
    """Execute this interpreter again, with fixed addresses and a fixed hash seed; does not return.

    The process ID stays, and so does a limit on it. Where the system has no such option, or forbids it as many
    containers do, addresses stay random.

    Args:
        arguments: command-line arguments of the interpreter.
    """
    now = _personality(ASK)
    if now >= 0:
        _personality(now | NO_RANDOM_ADDRESSES)
    os.execve(sys.executable, [sys.executable, *arguments], {**os.environ, "PYTHONHASHSEED": "0"})


def addresses() -> str:
    """Return whether this process's addresses are ``fixed`` or ``random``."""
    now = _personality(ASK)
    return "fixed" if now >= 0 and now & NO_RANDOM_ADDRESSES else "random"


def _personality(wanted: int) -> int:
    """Call ``personality(2)``; return the previous value, or -1 where the call is unavailable or not allowed."""
    call = getattr(ctypes.CDLL(None), "personality", None)
    if call is None:
        return -1
    call.argtypes = [ctypes.c_ulong]
    return int(call(wanted))
