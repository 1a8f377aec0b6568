"""Lockstep: workers take turns of a block of steps each; a waiting worker is blocked and uses no CPU.

Its data loader processes are stopped while it waits. Otherwise they would fill their queues during the other worker's
turn: they would slow that worker down, and their own would get batches that cost it nothing.

A turn may also end within a step, at one of its yield points. The worker that goes first ends its turn at the first
point after a minimum time, and the other worker at the same point. So both have the same number of turns and of pauses,
after which caches are cold.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator

from ..channel import Channel
from ..devices.base import loader_processes
from ..protocol import ALONE, FREE, GRANT, BlockEnded, Event, TurnEnded


class LockstepClient:
    """Worker's side of the lockstep: after every block it reports to the runner, and sleeps until its next turn.

    Attributes:
        block: steps of a turn.
        within: whether turns end within a step too.
        point: last passed yield point of the current step, counted from 1; 0 before the first.
        peers: number of workers that sleep while this one has its turn.
        threads: number of threads that compute in this process; 0 while unknown.
    """

    def __init__(self, descriptor: int, block: int, channel: Channel, within: bool = False) -> None:
        """Take no turn yet.

        Args:
            descriptor: pipe to which the runner writes a number per turn: see ``GRANT`` of the protocol.
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
        """Sleep until it is this worker's turn; end the process if the runner has exited."""
        with loaders_stopped():
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


@contextlib.contextmanager
def loaders_stopped() -> Iterator[None]:
    """Stop the data loader processes of this process, and continue them at the end."""
    loaders = loader_processes()
    signal_all(loaders, signal.SIGSTOP)
    try:
        yield
    finally:
        signal_all(loaders, signal.SIGCONT)


def signal_all(processes: list[int], number: signal.Signals) -> None:
    """Send a signal to processes; leave out those that have ended."""
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, number)


TIME_SLICE = 0.008
"""Minimum seconds of a turn that ends within a step, of the worker that goes first."""

LONG_TIME_SLICE = 0.1
"""Minimum seconds of such a turn where several threads compute: they have to become idle first (:func:`settle`)."""


def settle() -> None:
    """Wait until this process is idle, because OpenMP's threads spin for a while after their last work.

    They would spin on the CPUs of the worker that has the next turn. The library chooses how long: some milliseconds in
    GNU's, up to 200 in others.
    """
    deadline = time.monotonic() + LONGEST
    while time.monotonic() < deadline:
        before, began = time.process_time(), time.monotonic()
        time.sleep(NAP)
        if time.process_time() - before < STILL * (time.monotonic() - began):
            return


NAP, STILL, LONGEST = 0.002, 0.25, 0.4
"""Seconds of one sleep, share of a CPU below which the process is idle, and maximum seconds of waiting."""
