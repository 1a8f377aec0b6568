"""Makes two processes that do the same place the same things at the same addresses, as far as the system lets them.

Where a block of memory lies decides what fits next to it later. Systems give every process other addresses, and Python
every process another order of its sets, so that the peak of one and the same batch differs by some percent from process
to process. With both fixed most agree to 2 MiB (docs/devices.md has the figures).
"""

from __future__ import annotations

import ctypes
import os
import sys

NO_RANDOM_ADDRESSES = 0x0040000
"""``ADDR_NO_RANDOMIZE`` of Linux's ``personality(2)``; what is executed afterwards keeps it."""

ASK = 0xFFFFFFFF
"""What ``personality`` takes to say how things are."""


def run_again(arguments: list[str]) -> None:
    """Execute this interpreter again, with fixed addresses and a fixed order of sets; does not return.

    The number of the process stays, so that a limit on it does too. Where the system knows no such thing, or forbids
    it as many containers do, addresses stay as they are.

    Args:
        arguments: of the interpreter.
    """
    now = _personality(ASK)
    if now >= 0:
        _personality(now | NO_RANDOM_ADDRESSES)
    os.execve(sys.executable, [sys.executable, *arguments], {**os.environ, "PYTHONHASHSEED": "0"})


def addresses() -> str:
    """``fixed`` or ``random``: those of this process."""
    now = _personality(ASK)
    return "fixed" if now >= 0 and now & NO_RANDOM_ADDRESSES else "random"


def _personality(wanted: int) -> int:
    """What it was before; -1 where that is not known, or not allowed."""
    call = getattr(ctypes.CDLL(None), "personality", None)
    if call is None:
        return -1
    call.argtypes = [ctypes.c_ulong]
    return int(call(wanted))
