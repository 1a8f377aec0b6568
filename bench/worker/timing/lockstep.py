"""Lockstep: workers take turns, a block of steps each, and whoever waits is blocked and costs nothing.

A turn may end within a step too, at one of its points. Who goes first ends its turn where that has been long enough,
and the other one at the same point, so that both have as many turns, and as many pauses, after which caches are cold.
"""

from __future__ import annotations

import os
import time

from ..channel import Channel
from ..protocol import ALONE, FREE, GRANT, BlockEnded, Event, TurnEnded


class LockstepClient:
    """Worker's side of the lockstep: after every block it reports to the runner, and sleeps until its next turn.

    Attributes:
        block: steps of a turn.
        within: whether turns end within a step too.
        point: of the step under way that was passed last, counted from 1; 0 before the first.
        peers: how many workers sleep while this one has its turn.
        threads: that compute in this process, as far as is known.
    """

    def __init__(self, descriptor: int, block: int, channel: Channel, within: bool = False) -> None:
        """Take no turn yet.

        Args:
            descriptor: what the runner writes a number per turn to: see ``GRANT`` of the protocol.
            block: steps of a turn.
            channel: where blocks are reported.
            within: whether turns end within a step too.
        """
        self.block = block
        self.within = within
        self.point = 0
        self.peers = 1
        self.threads = 0
        self._descriptor = descriptor
        self._channel = channel
        self._steps = 0
        self._until = FREE
        self._began = time.monotonic()

    def wait(self) -> None:
        """Sleep until it is this worker's turn; end the process where the runner has gone."""
        grant = os.read(self._descriptor, GRANT.size)
        if not grant:
            os._exit(1)
        [self._until] = GRANT.unpack(grant)
        self.peers = 0 if self._until == ALONE else 1
        self._began = time.monotonic()

    def step_ended(self) -> bool:
        """Count a step; return whether the block ended with it, so that :meth:`block_ended` is due."""
        self._steps += 1
        self.point = 0
        return self._steps >= self.block

    def block_ended(self, seconds: float, steps: int) -> None:
        """Report the block, and sleep until the next turn."""
        self._steps = 0
        self._pass_on(BlockEnded(seconds, steps))

    def yield_point(self) -> bool:
        """Count a point within a step, the same on both sides; return whether this turn ends here."""
        if not self.within:
            return False
        self.point += 1
        if self._until == FREE:
            return time.monotonic() - self._began >= (TIME_SLICE if self.threads == 1 else LONG_TIME_SLICE)
        return self.point >= self._until

    def end_turn(self) -> None:
        """End this turn within a step, and sleep until the next one."""
        self._pass_on(TurnEnded(self.point))

    def _pass_on(self, event: Event) -> None:
        if self.threads != 1:
            settle()
        self._channel.send(event)
        self.wait()


TIME_SLICE = 0.008
"""Minimum seconds of a turn that ends within a step, of the worker that goes first."""

LONG_TIME_SLICE = 0.1
"""Minimum seconds of such a turn where several threads compute: they have to come to rest first (:func:`settle`)."""


def settle() -> None:
    """Wait until this process is still: OpenMP's threads spin for a while after the last work that they had.

    They would do so on the CPUs of the worker that has the next turn, for a time that the library chooses: some
    milliseconds by GNU's, up to 200 by others'.
    """
    deadline = time.monotonic() + LONGEST
    while time.monotonic() < deadline:
        before, began = time.process_time(), time.monotonic()
        time.sleep(NAP)
        if time.process_time() - before < STILL * (time.monotonic() - began):
            return


NAP, STILL, LONGEST = 0.002, 0.25, 0.4
"""Seconds of a nap, share of it that a still process may use of a processor, and seconds at most."""
