"""Timer of plain training: reports the seconds of every block of steps, and takes turns between them."""

from __future__ import annotations

import gc
import time

from ..channel import Channel
from ..protocol import BlockEnded, PhaseBegan, PlainJob
from .lockstep import LockstepClient


class StopTraining(Exception):
    """Raised out of the last batch; ends the training."""


class PlainTimer:
    """Timer of a training without a session; the time between steps counts.

    Args:
        job: training to run.
        channel: channel on which each block is reported.
        turns: grants the next block; None lets blocks follow each other.
    """

    def __init__(self, job: PlainJob, channel: Channel, turns: LockstepClient | None) -> None:
        self._job, self._channel, self._turns = job, channel, turns
        self._done, self._left = 0, job.steps
        self._warm = False
        self._began = self._edge = 0.0

    def started(self, threads: int) -> None:
        """Begin warm-up with the first batch.

        Args:
            threads: number of threads that compute in this process.
        """
        if self._turns is not None:
            self._turns.threads = threads  # so that it waits for idle threads just as a measured process does
        gc.unfreeze()  # a forked worker collects garbage at the cost that a fresh process would have
        self._channel.send(PhaseBegan("warmup"))
        self._began = time.perf_counter()

    def batch_ended(self) -> None:
        """Count a batch; at the end of a block, report it and wait for the next turn.

        Raises:
            StopTraining: after the last block.
        """
        self._done += 1
        now = time.perf_counter()
        if not self._warm:
            if self._done < self._job.warmup_steps or now - self._began < self._job.warmup_seconds:
                return
            self._warm = True
            self._channel.send(PhaseBegan("window"))
            if self._turns is not None:
                self._turns.wait()
        elif self._done >= self._job.block:
            self._left -= self._done
            if self._left <= 0:
                self._channel.send(BlockEnded(now - self._edge, self._done))
                raise StopTraining
            if self._turns is not None:
                self._turns.block_ended(now - self._edge, self._done)
            else:
                self._channel.send(BlockEnded(now - self._edge, self._done))
        else:
            return
        self._done = 0
        self._edge = time.perf_counter()
