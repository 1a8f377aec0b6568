"""Phases of steps, by a clock that only the test moves and by fake device events."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from bench.worker.timing import phases
from bench.worker.timing.phases import Phases


class Clock:
    def __init__(self) -> None:
        self.now = 50.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    fake = Clock()
    monkeypatch.setattr(phases, "time", SimpleNamespace(perf_counter=fake.perf_counter))
    return fake


def step(parts: Phases, clock: Clock, **seconds: float) -> None:
    clock.now += 9.0  # waiting for data is no part
    parts.step_began()
    for part, took in seconds.items():
        clock.now += took
        parts.phase_ended(part)
    clock.now += 5.0  # nor is what comes after the last one
    parts.step_ended()


def test_parts_are_from_mark_to_mark(clock: Clock) -> None:
    parts = phases.by_clock("the clock")
    step(parts, clock, preprocess=0.25, forward=1.0, backward=2.0, optimizer=0.5)
    assert parts.seconds(0, 1) == {"preprocess": [0.25], "forward": [1.0], "backward": [2.0], "optimizer": [0.5]}
    assert parts.method == "the clock"


def test_a_step_that_lacks_a_part_took_no_time_for_it(clock: Clock) -> None:
    parts = phases.by_clock("")
    step(parts, clock, forward=1.0)
    step(parts, clock, forward=2.0, optimizer=4.0)
    assert parts.seconds(0, 2) == {"forward": [1.0, 2.0], "optimizer": [0.0, 4.0]}


def test_a_part_that_comes_twice_is_added_up(clock: Clock) -> None:
    parts = phases.by_clock("")
    parts.step_began()
    for part, took in (("forward", 1.0), ("backward", 2.0), ("forward", 4.0)):
        clock.now += took
        parts.phase_ended(part)
    parts.step_ended()
    assert parts.seconds(0, 1) == {"forward": [5.0], "backward": [2.0]}


def test_a_pause_in_the_midst_is_no_part_and_in_none(clock: Clock) -> None:
    parts = phases.by_clock("")
    parts.step_began()
    for part in ("forward", "backward", "backward"):
        clock.now += 1.0
        parts.phase_ended(part)
        clock.now += 60.0
        parts.resumed()
    parts.step_ended()
    assert parts.seconds(0, 1) == {"forward": [1.0], "backward": [2.0]}


def test_only_the_steps_that_are_asked_for(clock: Clock) -> None:
    parts = phases.by_clock("")
    for number in range(5):
        step(parts, clock, forward=float(number))
    assert parts.seconds(1, 3) == {"forward": [1.0, 2.0]}


def test_parts_end_only_within_a_step(clock: Clock) -> None:
    parts = phases.by_clock("")
    parts.phase_ended("forward")
    step(parts, clock, forward=1.0)
    parts.phase_ended("forward")
    step(parts, clock, forward=2.0)
    assert parts.seconds(0, 2) == {"forward": [1.0, 2.0]}


def test_a_step_that_was_not_marked_keeps_its_place(clock: Clock) -> None:
    """Those of the warm-up are not."""
    parts = phases.by_clock("")
    for _ in range(2):
        parts.phase_ended("forward")
        parts.step_ended()
    step(parts, clock, forward=1.0)
    assert parts.seconds(2, 3) == {"forward": [1.0]}
    assert parts.seconds(0, 3) == {"forward": [0.0, 0.0, 1.0]}


def test_where_the_device_runs_behind_it_is_waited_for_before_every_mark(clock: Clock) -> None:
    """Its work is enqueued in no time and takes half a second."""
    waits = 0

    def wait() -> None:
        nonlocal waits
        waits += 1
        clock.now += 0.5

    parts = phases.by_clock("", wait)
    parts.step_began()
    parts.phase_ended("forward")
    parts.phase_ended("backward")
    parts.step_ended()
    assert parts.seconds(0, 1) == {"forward": [0.5], "backward": [0.5]}
    assert waits == 3


class Event:
    """One of ``torch.cuda``: its moment is known once the device has come to it, in milliseconds."""

    log: list[tuple[str, int]]
    moments: list[float]

    def __init__(self) -> None:
        self.number = len(self.log)

    def record(self) -> None:
        self.log.append(("record", self.number))

    def elapsed_time(self, later: Event) -> float:
        self.log.append(("elapsed_time", self.number))
        return self.moments[later.number] - self.moments[self.number]


def test_events_are_recorded_in_order_and_read_when_nothing_is_timed_any_more() -> None:
    log: list[tuple[str, int]] = []
    Event.log, Event.moments = log, [0.0, 1.5, 31.5, 100.0, 102.0, 142.0, 150.0]
    parts = phases.by_events(Event)
    for names in (("preprocess", "forward"), ("preprocess", "forward", "optimizer")):
        parts.step_began()
        for name in names:
            parts.phase_ended(name)
        parts.step_ended()
    assert log == [("record", number) for number in range(7)]
    seconds = parts.seconds(0, 2)
    assert seconds == {"preprocess": [0.0015, 0.002], "forward": [0.03, 0.04], "optimizer": [0.0, 0.008]}
    assert {name for name, _ in log[7:]} == {"elapsed_time"}


def test_events_of_steps_that_are_not_asked_for_are_never_read() -> None:
    """Hundreds of steps warm a GPU up."""
    log: list[tuple[str, int]] = []
    Event.log, Event.moments = log, [0.0, 1.0, 2.0, 4.0]
    parts = phases.by_events(Event)
    for _ in range(2):
        parts.step_began()
        parts.phase_ended("forward")
        parts.step_ended()
    assert parts.seconds(1, 2) == {"forward": [0.002]}
    assert [entry for entry in log if entry[0] == "elapsed_time"] == [("elapsed_time", 2)]


def test_an_event_of_a_fake_that_fails_is_not_swallowed() -> None:
    class Broken(Event):
        def record(self) -> Any:
            raise RuntimeError("CUDA error")

    Event.log = []
    with pytest.raises(RuntimeError, match="CUDA error"):
        phases.by_events(Broken).step_began()
