"""Signals that end a run as Ctrl-C does: with a record of the case that is running."""

from __future__ import annotations

import functools
import signal
from typing import NoReturn

import pytest

STOPPING = (signal.SIGTERM, signal.SIGHUP)
"""Signals by which job schedulers, containers and closed terminals end a process."""


def _restore(number: int) -> None:
    signal.signal(number, signal.SIG_DFL)


def stop_on_signals(config: pytest.Config) -> None:
    """Turn these signals into a keyboard interrupt until pytest ends; those that are ignored stay so (nohup)."""

    def stop(number: int, frame: object) -> NoReturn:
        signal.signal(number, signal.SIG_IGN)  # a second one would cut off what is being written
        raise KeyboardInterrupt(f"stopped by {signal.Signals(number).name}")

    for number in STOPPING:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, stop)
            config.add_cleanup(functools.partial(_restore, number))
