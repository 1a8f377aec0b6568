"""Two live workers that take turns: one runs a block of steps while the other sleeps.

What disturbs the machine then disturbs both alike, so their ratio is known several times better than that of two runs
one after the other, and their times stay those of one process that has the machine to itself.
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
from bench.worker.protocol import (
    ALONE,
    FREE,
    WITH_STEP,
    BlockEnded,
    Event,
    JobEnded,
    Measured,
    PhaseBegan,
    ProtocolError,
    SettingsRead,
    TurnEnded,
)

LIMIT = 600.0
"""Seconds that a worker may say nothing for."""


class WorkerFailed(BenchError):
    """A worker ended before its turns were over; the text says how.

    Attributes:
        outcome: the same as the outcome of a case.
        died: whether the process ended without a word of its own, as one does that somebody killed.
    """

    def __init__(self, said: str, status: Status, reason: str = "", died: bool = False) -> None:
        super().__init__(said)
        self.outcome = Outcome(status, reason or f"{said[:1].upper()}{said[1:]}.")
        self.died = died


class LockstepPeer(msgspec.Struct):
    """One of the two workers: what it told so far.

    Attributes:
        worker: itself.
        blocks: ``(seconds, steps)`` of each block.
        point: within the step under way at which its last turn ended, counted from 1; 0 where that ended with a block.
        effective: settings that run, once it told them.
        warmed, cycle, planned: steps of its warm-up once that is over, from one optimizer step to the next in its
            window, and of its window.
        measured: what it measured, by name, once that is known.
        ended: how its job ended, once it has.
    """

    worker: Worker
    blocks: list[tuple[float, int]] = []
    point: int = 0
    effective: dict[str, Any] = {}
    warmed: int = 0
    cycle: int = 0
    planned: int = 0
    measured: dict[str, Any] = {}
    ended: JobEnded | None = None

    @property
    def seconds(self) -> float:
        """Of all blocks."""
        return sum(seconds for seconds, _ in self.blocks)

    @property
    def steps(self) -> int:
        """Of all blocks."""
        return sum(steps for _, steps in self.blocks)

    @property
    def reached(self) -> tuple[int, int]:
        """How far it is: its steps, and the point in the step under way."""
        return self.steps, self.point

    def warm_up(self) -> None:
        """Wait until the worker sleeps at the beginning of its first block.

        Raises:
            Ended: where it does not come to that.
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
                self.warmed, self.cycle, self.planned = event.steps, event.cycle, event.planned
                return

    def turn(self, beside: LockstepPeer | None = None) -> None:
        """Let it run one block or less, and wait until it sleeps again or has ended, and nothing is left of it.

        To give back the memory of a process that has ended takes tens of milliseconds of some processor.

        Args:
            beside: the other worker, where there is one: where that is ahead, this one catches up and goes no further.

        Raises:
            Ended: where it ended in any other way than measured.
        """
        self.worker.take_turn(self._until(beside) if beside else FREE)
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

    def _until(self, other: LockstepPeer) -> int:
        """Where its next turn ends."""
        if other.ended:
            return ALONE
        if self.reached >= other.reached:
            return FREE
        return other.point if self.steps == other.steps else WITH_STEP

    def _next_event(self) -> Event:
        try:
            return self.worker.next_event(LIMIT)
        except WorkerExited as death:
            said = f"a worker {death} while it took turns"
            cause = failure_causes.of_signal(death.code) or failure_causes.recognised(self.worker.output())
            reason = f"{said[0].upper()}{said[1:]}. {cause}" if cause else ""
            raise WorkerFailed(said, Status.FAILED, reason, died=True) from death
        except ProtocolError as error:
            raise WorkerFailed(f"what a worker reported cannot be read: {error}", Status.FAILED) from None
        except WorkerTimeout:
            raise WorkerFailed(f"a worker said nothing for {LIMIT:g} s while it took turns", Status.TIMED_OUT) from None
        except WorkerOutputOverflow:
            raise WorkerFailed("a worker printed without end while it took turns", Status.FAILED) from None


def round_robin(sides: Sequence[LockstepPeer], rounds: int, draw: random.Random) -> None:
    """Let all sides run a block in each of so many rounds, in a random order; one that has ended is passed over."""
    for _ in range(rounds):
        for side in draw.sample(list(sides), len(sides)):
            if not side.ended:
                side.turn()


def balanced_turns(sides: tuple[LockstepPeer, LockstepPeer], draw: random.Random) -> Iterator[int]:
    """Whose turn it is, until both have ended: in mirrored order, and who is ahead waits for the other one.

    A turn that ends within a step is followed by one of the other side that ends at the same point. As the order is
    mirrored, each side goes on at once through every second of these points, and pauses as often as the other: caches
    are cold after a pause. Where each had its turns by time alone, a side with more to do had pauses elsewhere, and a
    change of 2 % came out 0.25 % too small (152 pairs; ± 0.15 %).
    """
    for order in abba_order(draw):
        for number in order:
            side, other = sides[number], sides[1 - number]
            if not side.ended and (other.ended or side.reached <= other.reached):
                yield number
        if sides[0].ended and sides[1].ended:
            return


def abba_order(draw: random.Random) -> Iterator[tuple[int, int]]:
    """The order of two sides in one round after another, without end: random, and every second one the other way round.

    Whatever changes steadily, such as a clock that falls as the machine warms, then costs both the same; and both run
    equally often right after the other, with caches that the other one has filled.
    """
    while True:
        first, second = draw.sample((0, 1), 2)
        yield first, second
        yield second, first
