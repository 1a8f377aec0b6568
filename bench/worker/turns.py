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
        within: whether turns end within a step too.
        beside: how many workers sleep while this one has its turn.
        threads: that compute in this process, as far as is known.
    """

    def __init__(self, descriptor: int, block: int, channel: Channel, within: bool = False) -> None:
        """Take no turn yet.

        Args:
            descriptor: what the runner writes one byte a turn to.
            block: steps of a turn.
            channel: where blocks are told.
            within: whether turns end within a step too, at the first point after :data:`QUANTUM` where they may.
        """
        self.block = block
        self.within = within
        self.beside = 1
        self.threads = 0
        self._descriptor = descriptor
        self._channel = channel
        self._steps = 0
        self._began = time.monotonic()

    def wait(self) -> None:
        """Sleep until it is this worker's turn; the process ends where nobody will tell it any more."""
        told = os.read(self._descriptor, 1)
        if not told:
            os._exit(1)
        self.beside = 0 if told == ALONE else 1
        self._began = time.monotonic()

    def step_ended(self) -> bool:
        """A step ended; whether the block ended with it, so that :meth:`block_ended` is due."""
        self._steps += 1
        return self._steps >= self.block

    def block_ended(self, **seen: Any) -> None:
        """Tell of the block, and sleep until the next turn."""
        self._steps = 0
        self._pass_on("block", **seen)

    @property
    def due(self) -> bool:
        """Whether this turn has been long enough to end within a step."""
        if not self.within:
            return False
        return time.monotonic() - self._began >= (QUANTUM if self.threads == 1 else LONG_QUANTUM)

    def part_ended(self) -> None:
        """End this turn within a step, and sleep until the next one."""
        self._pass_on("part")

    def _pass_on(self, event: str, **seen: Any) -> None:
        if self.threads != 1:
            settle()
        self._channel.send(event, **seen)
        self.wait()


QUANTUM = 0.008
"""Least seconds of a turn that ends within a step."""

LONG_QUANTUM = 0.1
"""The same where several threads compute: they have to come to rest first, see :func:`settle`."""


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
