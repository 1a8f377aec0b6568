"""Lockstep: workers take turns, a block of steps each, and whoever waits is blocked and costs nothing."""

from __future__ import annotations

import os
import time
from typing import Any

from .channel import Channel

ALONE = b"1"
"""What a worker is told when it is its turn and the other one is gone; anything else while that one sleeps."""


class Turns:
    """One worker's side: after every block it tells the runner, and sleeps until it is told to go on.

    Attributes:
        block: steps of a turn.
        beside: how many workers sleep while this one has its turn.
    """

    def __init__(self, descriptor: int, block: int, channel: Channel) -> None:
        """Take no turn yet.

        Args:
            descriptor: what the runner writes one byte a turn to.
            block: steps of a turn.
            channel: where blocks are told.
        """
        self.block = block
        self.beside = 1
        self._descriptor = descriptor
        self._channel = channel
        self._steps = 0

    def wait(self) -> None:
        """Sleep until it is this worker's turn; the process ends where nobody will tell it any more."""
        told = os.read(self._descriptor, 1)
        if not told:
            os._exit(1)
        self.beside = 0 if told == ALONE else 1

    def step_ended(self) -> bool:
        """A step ended; whether the block ended with it, so that :meth:`block_ended` is due."""
        self._steps += 1
        return self._steps >= self.block

    def block_ended(self, **seen: Any) -> None:
        """Tell of the block, and sleep until the next turn."""
        self._steps = 0
        settle()
        self._channel.send("block", **seen)
        self.wait()


def settle() -> None:
    """Wait until this process is still: OpenMP's threads spin for a while after the last work that they had.

    They would do so on the processors of whoever has the next turn. How long is theirs to choose: some milliseconds by
    GNU's, up to 200 by others'.
    """
    deadline = time.monotonic() + LONGEST
    while time.monotonic() < deadline:
        before, began = time.process_time(), time.monotonic()
        time.sleep(NAP)
        if time.process_time() - before < STILL * (time.monotonic() - began):
            return


NAP, STILL, LONGEST = 0.002, 0.25, 0.4
"""Seconds of a nap, share of it that a still process may use of a processor, and seconds at most."""
