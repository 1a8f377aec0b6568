"""Turns of a worker that shares the machine with another one: blocks of steps, and pauses within a step."""

from __future__ import annotations

from .lockstep import LockstepClient
from .stopwatch import Stopwatch


class Turns:
    """Turns of one worker; without a lockstep client, the worker has the machine to itself.

    Args:
        client: client of the lockstep; None without one.
    """

    def __init__(self, client: LockstepClient | None) -> None:
        self._client = client
        self._block = (0, 0)

    @property
    def taken(self) -> bool:
        """Whether this worker takes turns with another one."""
        return self._client is not None

    @property
    def within(self) -> bool:
        """Whether a turn may end within a step."""
        return self._client is not None and self._client.within

    @property
    def block(self) -> int:
        """Steps of a block; 0 without turns."""
        return self._client.block if self._client is not None else 0

    @property
    def peers(self) -> int:
        """Number of workers that sleep while this one runs."""
        return self._client.peers if self._client is not None else 0

    def set_threads(self, threads: int) -> None:
        """Note how many threads compute in this process."""
        if self._client is not None:
            self._client.threads = threads

    def wait_for_window(self, watch: Stopwatch) -> None:
        """Wait for the first turn: the window opens."""
        if self._client is not None:
            self._block = len(watch.seconds), len(watch.epoch_gaps)
            self._client.wait()

    def step_ended(self, watch: Stopwatch) -> None:
        """Note the end of a step; at the end of a block, report the block and wait for the next turn."""
        if self._client is None or not watch.timed_steps or not self._client.step_ended():
            return
        first, gaps = self._block
        first = max(first, watch.windows[0][0])  # the first block begins where the window has settled
        seconds = sum(watch.seconds[first:]) + sum(s for index, s in watch.epoch_gaps[gaps:] if index >= first)
        self._block = len(watch.seconds), len(watch.epoch_gaps)
        self._client.block_ended(seconds, len(watch.seconds) - first)
        watch.restart_step()

    def ends_here(self, watch: Stopwatch | None) -> bool:
        """Return whether the turn ends at this point within a step of a window."""
        if self._client is None or not self._client.within or watch is None:
            return False
        if not watch.windows or len(watch.windows[-1]) != 1:  # the window has not begun, or is complete
            return False
        return self._client.yield_point()

    def pause(self, watch: Stopwatch) -> None:
        """Wait for the next turn, and exclude the pause from step times; call this with the device synchronised."""
        assert self._client is not None
        began = watch.clock()
        self._client.end_turn()
        watch.exclude(watch.clock() - began)
