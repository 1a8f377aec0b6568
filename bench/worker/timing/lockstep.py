"""Lockstep: workers take turns, a block of steps each, and whoever waits is blocked and costs nothing.

A turn may end within a step too, at one of its points. Who goes first ends its turn where that has been long enough,
and the other one at the same point, so that both have as many turns, and as many pauses, after which caches are cold.
"""

from __future__ import annotations

import os
import struct
import time
from typing import Any

from ..channel import Channel

GRANT = struct.Struct("<H")
"""What a worker is told when it is its turn: the point within the step at which the turn ends, counted from 1, or
:data:`FREE` or :data:`ALONE`; a number beyond all points stands for the end of the step."""

FREE, ALONE = 0, 0xFFFF
"""At the first point where it has been long enough; and with the step, as the other one is gone."""


class LockstepClient:
    """One worker's side: after every block it tells the runner, and sleeps until it is told to go on.

    Attributes:
        block: steps of a turn.
        within: whether turns end within a step too.
        point: of the step under way that was passed last, counted from 1; 0 before the first.
        beside: how many workers sleep while this one has its turn.
        threads: that compute in this process, as far as is known.
    """

    def __init__(self, descriptor: int, block: int, channel: Channel, within: bool = False) -> None:
        """Take no turn yet.

        Args:
            descriptor: what the runner writes a number a turn to; see :data:`GRANT`.
            block: steps of a turn.
            channel: where blocks are told.
            within: whether turns end within a step too.
        """
        self.block = block
        self.within = within
        self.point = 0
        self.beside = 1
        self.threads = 0
        self._descriptor = descriptor
        self._channel = channel
        self._steps = 0
        self._until = FREE
        self._began = time.monotonic()

    def wait(self) -> None:
        """Sleep until it is this worker's turn; the process ends where nobody will tell it any more."""
        told = os.read(self._descriptor, GRANT.size)
        if not told:
            os._exit(1)
        [self._until] = GRANT.unpack(told)
        self.beside = 0 if self._until == ALONE else 1
        self._began = time.monotonic()

    def step_ended(self) -> bool:
        """A step ended; whether the block ended with it, so that :meth:`block_ended` is due."""
        self._steps += 1
        self.point = 0
        return self._steps >= self.block

    def block_ended(self, **seen: Any) -> None:
        """Tell of the block, and sleep until the next turn."""
        self._steps = 0
        self._pass_on("block", **seen)

    def point_passed(self) -> bool:
        """A point within a step, of which there are the same on both sides; whether this turn ends here."""
        if not self.within:
            return False
        self.point += 1
        if self._until == FREE:
            return time.monotonic() - self._began >= (TIME_SLICE if self.threads == 1 else LONG_TIME_SLICE)
        return self.point >= self._until

    def part_ended(self) -> None:
        """End this turn within a step, and sleep until the next one."""
        self._pass_on("part", point=self.point)

    def _pass_on(self, event: str, **seen: Any) -> None:
        if self.threads != 1:
            settle()
        self._channel.send(event, **seen)
        self.wait()


TIME_SLICE = 0.008
"""Least seconds of a turn that ends within a step, of whoever goes first."""

LONG_TIME_SLICE = 0.1
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
