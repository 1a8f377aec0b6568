"""Signals that end a run or a command as Ctrl-C does: with what was measured so far."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import NoReturn

STOPPING = (signal.SIGTERM, signal.SIGHUP)
"""Signals by which job schedulers, containers and closed terminals end a process."""


def interrupt_on_signals() -> Callable[[], None]:
    """Turn these signals into a keyboard interrupt, but for those that are ignored (nohup); return what undoes that."""

    def stop(number: int, frame: object) -> NoReturn:
        signal.signal(number, signal.SIG_IGN)  # a second one would cut off what is being written
        raise KeyboardInterrupt(f"stopped by {signal.Signals(number).name}")

    changed = [number for number in STOPPING if signal.getsignal(number) is signal.SIG_DFL]
    for number in changed:
        signal.signal(number, stop)

    def undo() -> None:
        for number in changed:
            signal.signal(number, signal.SIG_DFL)

    return undo
