"""Two live workers that take turns: one runs a block of steps while the other sleeps.

What disturbs the machine then disturbs both alike, so their ratio is known several times better than that of two runs
one after the other, and their times stay those of one process that has the machine to itself.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import msgspec

from bench.errors import BenchError
from bench.runner.worker import Died, RanWild, Silent, Worker

LIMIT = 600.0
"""Seconds that a worker may say nothing for."""


class Ended(BenchError):
    """A worker ended before its turns were over; the text says how."""


class Side(msgspec.Struct):
    """One of the two workers: what it told so far.

    Attributes:
        worker: itself.
        blocks: ``(seconds, steps)`` of each block.
        measured: its ``measured`` event, once there is one.
        ended: its ``ended`` event, once there is one.
    """

    worker: Worker
    blocks: list[tuple[float, int]] = []
    measured: dict[str, Any] = {}
    ended: dict[str, Any] = {}

    @property
    def seconds(self) -> float:
        """Of all blocks."""
        return sum(seconds for seconds, _ in self.blocks)

    @property
    def steps(self) -> int:
        """Of all blocks."""
        return sum(steps for _, steps in self.blocks)

    def warm_up(self) -> None:
        """Wait until the worker sleeps at the beginning of its first block."""
        while True:
            event = self._next_event()
            if event["event"] == "ended":
                raise Ended(f"a worker ended while it was warming up: {event['reason'] or event['status']}")
            if event["event"] == "phase" and event["name"] == "window":
                return

    def turn(self) -> None:
        """Let it run one block, and wait until it sleeps again or has ended."""
        self.worker.take_turn()
        while not self.ended:
            event = self._next_event()
            if event["event"] == "block":
                self.blocks.append((event["seconds"], event["steps"]))
                return
            if event["event"] == "measured":
                self.measured = event
            if event["event"] == "ended":
                self.ended = event
        if self.ended["status"] != "measured":
            raise Ended(f"a worker ended as {self.ended['status']}: {self.ended['reason']}")

    def _next_event(self) -> dict[str, Any]:
        try:
            return self.worker.next_event(LIMIT)
        except Died as death:
            raise Ended(f"a worker {death} while it took turns") from death
        except Silent:
            raise Ended(f"a worker said nothing for {LIMIT:g} s while it took turns") from None
        except RanWild:
            raise Ended("a worker printed without end while it took turns") from None


def alternate(sides: Sequence[Side], rounds: int, draw: random.Random) -> None:
    """Let all sides run a block in each of so many rounds, in a random order; one that has ended is passed over."""
    for _ in range(rounds):
        for side in draw.sample(list(sides), len(sides)):
            if not side.ended:
                side.turn()
