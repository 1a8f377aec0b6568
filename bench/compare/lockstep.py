"""Take turns between two live workers: one runs a block of steps while the other sleeps.

Interference then affects both alike, so their ratio is known several times better than that of two runs in sequence.
Each worker still has the machine alone while it runs.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from bench.environments import failure_causes
from bench.errors import BenchError
from bench.records.outcome import Outcome, Status
from bench.runner.measure import values_of
from bench.runner.worker_process import Worker, WorkerExited, WorkerOutputOverflow, WorkerTimeout
from bench.worker.message_json import ProtocolError
from bench.worker.protocol import (
    ALONE,
    FREE,
    WITH_STEP,
    BlockEnded,
    Event,
    JobEnded,
    Measured,
    PhaseBegan,
    SettingsRead,
    TurnEnded,
)

LIMIT = 600.0
"""Seconds that a worker may take to the next event."""


class WorkerFailed(BenchError):
    """A worker ended before its turns were over; the text says how.

    Attributes:
        outcome: the outcome of its case.
        died: whether the process ended without an ``ended`` event, as after a kill.
    """

    def __init__(self, text: str, status: Status, reason: str = "", died: bool = False) -> None:
        super().__init__(text)
        self.outcome = Outcome(status, reason or f"{text[:1].upper()}{text[1:]}.")
        self.died = died


class LockstepPeer(msgspec.Struct):
    """State of one of the two workers.

    Attributes:
        worker: the process.
        blocks: ``(seconds, steps)`` of each block.
        point: yield point in the current step at which its last turn ended, from 1; 0 where that ended with a block.
        effective: effective settings, once it is set up.
        warmup_steps: steps of its warm-up, once that is over.
        accumulation_steps: steps from one optimizer step to the next in its window.
        window_steps: planned steps of its window.
        measured: fields of its :class:`Measured` event by name, once there is one.
        ended: end of its job, once it is there.
    """

    worker: Worker
    blocks: list[tuple[float, int]] = []
    point: int = 0
    effective: dict[str, Any] = {}
    warmup_steps: int = 0
    accumulation_steps: int = 0
    window_steps: int = 0
    measured: dict[str, Any] = {}
    ended: JobEnded | None = None

    @property
    def seconds(self) -> float:
        """Seconds of all blocks."""
        return sum(seconds for seconds, _ in self.blocks)

    @property
    def steps(self) -> int:
        """Steps of all blocks."""
        return sum(steps for _, steps in self.blocks)

    @property
    def progress(self) -> tuple[int, int]:
        """Finished steps, and the yield point in the current one."""
        return self.steps, self.point

    def warm_up(self) -> None:
        """Wait until the worker sleeps at the beginning of its first block.

        Raises:
            WorkerFailed: where it ends before that.
        """
        while True:
            event = self._next_event()
            if isinstance(event, SettingsRead):
                self.effective = event.settings
            if isinstance(event, JobEnded):
                why = event.reason or event.status
                status = Status.FAILED if event.status == Status.MEASURED.value else Status(event.status)
                raise WorkerFailed(f"a worker ended while it was warming up: {why}", status, event.reason)
            if isinstance(event, PhaseBegan) and event.name == "window":
                self.warmup_steps, self.accumulation_steps = event.steps, event.accumulation_steps
                self.window_steps = event.planned
                return

    def take_turn(self, peer: LockstepPeer | None = None) -> None:
        """Run one block or less, then wait until the worker sleeps again or its process has exited.

        The exit is waited for, because freeing the memory of a process takes tens of milliseconds of CPU time.

        Args:
            peer: the other worker, if any: this one catches up with it and goes no further.

        Raises:
            WorkerFailed: where it ended in any other way than measured.
        """
        self.worker.take_turn(self._turn_limit(peer) if peer else FREE)
        while self.ended is None:
            event = self._next_event()
            if isinstance(event, TurnEnded):
                self.point = event.point
                return
            if isinstance(event, BlockEnded):
                self.point = 0
                self.blocks.append((event.seconds, event.steps))
                return
            if isinstance(event, Measured):
                self.measured = values_of(event)
            if isinstance(event, JobEnded):
                self.ended = event
        if self.ended.status != Status.MEASURED.value:
            status, reason = self.ended.status, self.ended.reason
            raise WorkerFailed(f"a worker ended as {status}: {reason}", Status(status), reason)
        self.worker.end()

    def _turn_limit(self, peer: LockstepPeer) -> int:
        """Return where its next turn ends."""
        if peer.ended:
            return ALONE
        if self.progress >= peer.progress:
            return FREE
        return peer.point if self.steps == peer.steps else WITH_STEP

    def _next_event(self) -> Event:
        try:
            return self.worker.next_event(LIMIT)
        except WorkerExited as death:
            text = f"a worker {death} while it took turns"
            cause = failure_causes.describe_signal(death.code) or failure_causes.recognised(self.worker.output())
            reason = f"{text[0].upper()}{text[1:]}. {cause}" if cause else ""
            raise WorkerFailed(text, Status.FAILED, reason, died=True) from death
        except ProtocolError as error:
            raise WorkerFailed(f"what a worker reported cannot be read: {error}", Status.FAILED) from None
        except WorkerTimeout:
            raise WorkerFailed(f"a worker said nothing for {LIMIT:g} s while it took turns", Status.TIMED_OUT) from None
        except WorkerOutputOverflow:
            raise WorkerFailed("a worker printed without end while it took turns", Status.FAILED) from None


def round_robin(sides: Sequence[LockstepPeer], rounds: int, draw: random.Random) -> None:
    """Let all sides that have not ended run a block in each of so many rounds, in random order."""
    for _ in range(rounds):
        for side in draw.sample(list(sides), len(sides)):
            if not side.ended:
                side.take_turn()


def balanced_turns(sides: tuple[LockstepPeer, LockstepPeer], draw: random.Random) -> Iterator[int]:
    """Yield the side whose turn it is, until both have ended: in ABBA order, and the side that is ahead waits.

    A turn that ends within a step is followed by one of the other side that ends at the same point. In ABBA order each
    side passes every second of these points without a pause, and pauses as often as the other: caches are cold after a
    pause. With turns by time alone, a side with more work paused elsewhere, and a change of 2 % came out 0.25 % too
    small (152 pairs; ± 0.15 %).
    """
    for order in abba_order(draw):
        for number in order:
            side, other = sides[number], sides[1 - number]
            if not side.ended and (other.ended or side.progress <= other.progress):
                yield number
        if sides[0].ended and sides[1].ended:
            return


def whole_windows(sides: tuple[LockstepPeer, LockstepPeer], order: tuple[int, int]) -> Iterator[int]:
    """Yield the side whose turn it is: each in the given order, until its window has ended."""
    for number in order:
        while not sides[number].ended:
            yield number


def abba_order(draw: random.Random) -> Iterator[tuple[int, int]]:
    """Yield the order of two sides in each round, without end: random, and reversed in every second round.

    A steady change, such as a clock that falls as the machine warms, then affects both alike. Both also run equally
    often right after the other, with caches that the other one has filled.
    """
    while True:
        first, second = draw.sample((0, 1), 2)
        yield first, second
        yield second, first
