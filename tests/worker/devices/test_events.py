"""The self-test of events, against devices that run behind the host, and events that are wrong in several ways."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bench.worker.devices import events


class Machine:
    """A host's clock, and a device whose work takes 4 ms a time and begins when what came before is done."""

    def __init__(self) -> None:
        self.now, self.free, self.worked = 100.0, 100.0, 0

    def work(self) -> None:
        self.worked += 1
        self.now += 0.001  # enqueuing
        self.free = max(self.free, self.now) + 0.004

    def wait(self) -> None:
        self.now = max(self.now, self.free)

    def clock(self) -> float:
        return self.now

    def trouble(self, moment: Callable[[], float]) -> str:
        return events.trouble(lambda: Event(moment), self.wait, lambda: self.work, self.clock)


class Event:
    def __init__(self, moment: Callable[[], float]) -> None:
        self._moment, self.at = moment, 0.0

    def record(self) -> None:
        self.at = self._moment()

    def elapsed_time(self, last: Any) -> float:
        return float(last.at - self.at) * 1e3


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_events_that_pass_when_the_device_does_are_trusted(machine: Machine) -> None:
    assert machine.trouble(lambda: max(machine.now, machine.free)) == ""
    assert machine.worked == 2  # once to load kernels, once to look


def test_events_that_stand_still_are_not(machine: Machine) -> None:
    assert machine.trouble(lambda: 0.0) == "events measured 0 ms of work that took at most 5 ms"
    assert machine.worked == 1 + events.ATTEMPTS


def test_events_that_tell_when_the_host_recorded_them_are_not(machine: Machine) -> None:
    assert machine.trouble(lambda: machine.now) == "events measured 1 ms of work that took at most 5 ms"


def test_events_that_run_backwards_are_not(machine: Machine) -> None:
    assert machine.trouble(lambda: -machine.free).startswith("events measured -")


def test_events_that_tell_more_than_passed_are_not(machine: Machine) -> None:
    assert machine.trouble(lambda: machine.free * 1e6).startswith("events measured ")


def test_one_good_attempt_is_enough(machine: Machine) -> None:
    """The host may have been held up between its clock and an event."""
    moments = iter([0.0, 0.0])
    assert machine.trouble(lambda: next(moments, max(machine.now, machine.free))) == ""
    assert machine.worked == 3
