"""A worker that takes turns with another: it sleeps while it waits, and ends with whoever would wake it."""

from __future__ import annotations

import json
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bench.runner.worker_process import Worker
from bench.worker.channel import Channel
from bench.worker.protocol import ALONE, FREE, WITH_STEP, SettingsRead
from bench.worker.timing import lockstep
from bench.worker.timing.lockstep import LockstepClient


class Ends:
    """The pipes between a worker and its runner."""

    def __init__(self) -> None:
        self.grants, self.tell = os.pipe()
        self.heard, self.say = os.pipe()

    def turn(self, *until: int) -> None:
        for grant in until:
            os.write(self.tell, lockstep.GRANT.pack(grant))

    def events(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in os.read(self.heard, 1 << 16).splitlines()]


@pytest.fixture
def ends() -> Iterator[Ends]:
    pipes = Ends()
    yield pipes
    for descriptor in (pipes.grants, pipes.tell, pipes.heard, pipes.say):
        try:
            os.close(descriptor)
        except OSError:
            pass


def test_a_block_ends_after_its_steps(ends: Ends) -> None:
    client = LockstepClient(ends.grants, 3, Channel(ends.say))
    ends.turn(lockstep.FREE, lockstep.FREE)
    block_ends = []
    for _ in range(7):
        block_ends.append(client.step_ended())
        if block_ends[-1]:
            client.block_ended(seconds=0.5, steps=3)
    assert block_ends == [False, False, True] * 2 + [False]
    blocks = [{key: event[key] for key in ("event", "seconds", "steps")} for event in ends.events()]
    assert blocks == [{"event": "block", "seconds": 0.5, "steps": 3}] * 2


def test_a_turn_ends_within_a_step_where_it_may_and_has_been_long_enough(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [10.0]
    monkeypatch.setattr(lockstep.time, "monotonic", lambda: now[0])
    client, other = (
        LockstepClient(ends.grants, 1, Channel(ends.say), within=True),
        LockstepClient(ends.grants, 1, Channel(ends.say)),
    )
    client.threads = other.threads = 1
    now[0] += 0.0079
    assert not client.yield_point()
    now[0] += 0.0002
    assert client.yield_point() and not other.yield_point()
    ends.turn(lockstep.FREE)
    client.end_turn()
    assert not client.yield_point()  # the next turn has begun
    client.threads = 2  # whose end has to be waited for, so that turns are longer
    now[0] += 0.09
    assert not client.yield_point()
    now[0] += 0.011
    assert client.yield_point()
    assert [(event["event"], event["point"]) for event in ends.events()] == [("part", 2)]


def test_who_comes_second_ends_its_turn_at_the_point_of_the_first_or_with_the_step(ends: Ends) -> None:
    client = LockstepClient(ends.grants, 1, Channel(ends.say), within=True)
    client.threads = 1
    ends.turn(3, lockstep.ALONE, 1, 0xFFFE)
    client.wait()
    assert [client.yield_point() for _ in range(3)] == [False, False, True]
    client.end_turn()
    assert [client.yield_point() for _ in range(300)] == [False] * 300
    assert client.step_ended()
    client.block_ended(1.0, 1)
    assert client.yield_point()  # the first of the next step
    client.end_turn()
    assert [client.yield_point() for _ in range(300)] == [False] * 300
    assert [event.get("point") for event in ends.events()] == [3, None, 1]


@pytest.mark.parametrize(("threads", "waits"), [(1, 0), (2, 2), (0, 2)])
def test_only_where_threads_may_spin_are_they_waited_for(
    ends: Ends, monkeypatch: pytest.MonkeyPatch, threads: int, waits: int
) -> None:
    waited: list[bool] = []
    monkeypatch.setattr(lockstep, "settle", lambda: waited.append(True))
    client = LockstepClient(ends.grants, 1, Channel(ends.say), within=True)
    client.threads = threads
    ends.turn(lockstep.FREE, lockstep.FREE)
    client.end_turn()
    client.block_ended(1.0, 1)
    assert len(waited) == waits
    assert [event["event"] for event in ends.events()] == ["part", "block"]


def in_a_child(ends: Ends, work: Callable[[], None]) -> int:
    """A forked worker that holds its own ends alone, as a real one does; its number. Exit status 7: it went through."""
    child = os.fork()
    if child == 0:
        try:
            os.close(ends.tell)
            os.close(ends.heard)
            work()
            os._exit(7)
        finally:
            os._exit(3)
    return child


def exit_status(child: int) -> int | None:
    """That of a child, which has a minute to end; None if it was killed."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def waiting(ends: Ends) -> Callable[[], None]:
    def work() -> None:
        channel = Channel(ends.say)
        client = LockstepClient(ends.grants, 1, channel)
        before, began = time.process_time(), time.monotonic()
        channel.send(SettingsRead({}))
        client.wait()
        channel.send(SettingsRead({"cpu": time.process_time() - before, "wall": time.monotonic() - began}))

    return work


def test_a_waiting_worker_uses_no_cpu_and_goes_on_with_a_grant(ends: Ends) -> None:
    child = in_a_child(ends, waiting(ends))
    assert [event["settings"] for event in ends.events()] == [{}]
    time.sleep(0.2)
    assert os.waitpid(child, os.WNOHANG) == (0, 0)
    ends.turn(lockstep.FREE)
    assert exit_status(child) == 7
    [event] = ends.events()
    awake: Any = event["settings"]
    assert awake["wall"] > 0.1
    assert awake["cpu"] < awake["wall"] / 4


def test_who_waits_ends_with_the_runner(ends: Ends) -> None:
    child = in_a_child(ends, waiting(ends))
    os.close(ends.tell)
    assert exit_status(child) == 1
    assert [event["settings"] for event in ends.events()] == [{}]
    os.close(ends.say)
    assert os.read(ends.heard, 1) == b""


def test_a_grant_says_whether_the_peer_has_ended(ends: Ends) -> None:
    with tempfile.TemporaryFile() as log:
        worker = Worker(os.getpid(), ends.heard, ends.tell, log, 0.0, exit_code=None)  # type: ignore[arg-type]
        client = LockstepClient(ends.grants, 1, Channel(ends.say))
        peers = []
        for until in (FREE, ALONE, 3, WITH_STEP):
            worker.take_turn(until)
            client.wait()
            peers.append(client.peers)
    assert peers == [1, 0, 1, 1]


def test_who_ends_a_block_is_still_before_it_tells_so(monkeypatch: pytest.MonkeyPatch) -> None:
    spun, naps = [0.0], []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        now[0] += seconds
        spun[0] += seconds if len(naps) < 4 else 0.0  # threads spin on for three naps

    now = [10.0]
    monkeypatch.setattr(lockstep.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(lockstep.time, "process_time", lambda: spun[0])
    monkeypatch.setattr(lockstep.time, "sleep", nap)
    lockstep.settle()
    assert len(naps) == 4
    naps.clear()
    monkeypatch.setattr(lockstep.time, "process_time", lambda: now[0])  # one that is never still
    lockstep.settle()
    assert sum(naps) == pytest.approx(lockstep.LONGEST, abs=2 * lockstep.NAP)
