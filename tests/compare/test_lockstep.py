"""Two workers that take turns, played by fakes: who runs when, and how it ends where one of them does."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest

from bench.compare.lockstep import LIMIT, LockstepPeer, WorkerFailed, abba_order, balanced_turns, round_robin
from bench.environments.failure_causes import PROCESSES
from bench.errors import BenchError
from bench.records.outcome import Outcome, Status
from bench.runner.worker_process import WorkerExited, WorkerOutputOverflow, WorkerTimeout
from bench.worker.protocol import (
    FREE,
    BlockEnded,
    Event,
    JobEnded,
    Measured,
    PhaseBegan,
    RestMeasured,
    SettingsRead,
    TurnEnded,
)

WARM = [PhaseBegan(name, steps=18) for name in ("setup", "warmup", "window")]
WELL = JobEnded("measured")
STEPS = Measured({"warmup": 1}, {}, {})


def block(seconds: float = 1.0, steps: int = 4) -> BlockEnded:
    return BlockEnded(seconds, steps)


class Played:
    """A worker that says what is written for it; ``log`` is shared, and has a name for every turn."""

    def __init__(self, events: list[Any], name: str = "a", log: list[str] | None = None) -> None:
        self.events = list(events)
        self.name = name
        self.log = [] if log is None else log

    printed = ""

    def output(self) -> str:
        return self.printed

    def end(self) -> None:
        self.log.append(f"{self.name} is gone")

    def take_turn(self, until: int) -> None:
        self.log.append(self.name)

    def next_event(self, limit: float) -> Event:
        assert limit == LIMIT
        event = self.events.pop(0)
        if isinstance(event, Exception):
            raise event
        return event  # type: ignore[no-any-return]


def side(*events: Any, name: str = "a", log: list[str] | None = None) -> LockstepPeer:
    return LockstepPeer(Played(list(events), name, log))  # type: ignore[arg-type]


def test_it_is_warm_where_its_window_begins_and_no_turn_was_given() -> None:
    peer = side(*WARM, block())
    peer.warm_up()
    assert peer.warmup_steps == 18
    assert peer.worker.events == [block()]  # type: ignore[attr-defined]
    assert peer.worker.log == []  # type: ignore[attr-defined]


def test_a_turn_is_one_block() -> None:
    peer = side(block(1.5, 6), block(2.0, 6), STEPS, WELL)
    peer.take_turn()
    peer.take_turn()
    assert (peer.seconds, peer.steps, peer.ended) == (3.5, 12, None)
    peer.take_turn()
    assert peer.measured["steps"] == {"warmup": 1}
    assert peer.ended == WELL
    # Who goes on must not have to share the machine with what is left of it.
    assert peer.worker.log == ["a"] * 3 + ["a is gone"]  # type: ignore[attr-defined]


def test_other_events_within_a_turn_are_ignored() -> None:
    rest = RestMeasured({"validation": 2.0})
    peer = side(SettingsRead({}), block(1.5, 6), STEPS, PhaseBegan("rest"), rest, WELL)
    peer.take_turn()
    peer.take_turn()
    assert (peer.blocks, peer.measured["steps"], peer.ended) == ([(1.5, 6)], {"warmup": 1}, WELL)


@pytest.mark.parametrize("status", ["substituted", "failed", "invalid"])
def test_an_end_that_is_none_of_a_measurement_raises_with_its_reason(status: str) -> None:
    end = JobEnded(status, "No mixed precision.")
    with pytest.raises(WorkerFailed, match=f"ended as {status}: No mixed precision"):
        side(end).take_turn()
    with pytest.raises(WorkerFailed, match="while it was warming up: No mixed precision"):
        side(*WARM[:2], end).warm_up()


def test_an_end_before_the_first_turn_raises_however_it_came() -> None:
    with pytest.raises(WorkerFailed, match="while it was warming up: measured"):
        side(*WARM[:2], WELL).warm_up()


@pytest.mark.parametrize(
    ("death", "message"),
    [
        (WorkerExited(-9), "was killed by SIGKILL"),
        (WorkerExited(3), "exit status 3"),
        (WorkerTimeout(), "said nothing"),
        (WorkerOutputOverflow(), "printed"),
    ],
)
def test_a_worker_that_dies_is_reported_in_a_sentence(death: Exception, message: str) -> None:
    with pytest.raises(WorkerFailed, match=message):
        side(block(), death).take_turn() or side(death).take_turn()  # type: ignore[func-returns-value]
    with pytest.raises(WorkerFailed, match=message):
        side(WARM[0], death).warm_up()
    assert issubclass(WorkerFailed, BenchError)


def test_two_sides_share_nothing() -> None:
    first, second = side(block()), side(block())
    first.take_turn()
    assert (first.steps, second.steps) == (4, 0)


def test_every_side_has_one_turn_a_round_in_random_order() -> None:
    orders = set()
    for seed in range(8):
        log: list[str] = []
        sides = [side(*[block()] * 10, name=name, log=log) for name in "ab"]
        round_robin(sides, 10, random.Random(seed))
        rounds = ["".join(log[start : start + 2]) for start in range(0, 20, 2)]
        assert set(rounds) == {"ab", "ba"}
        orders.add(tuple(rounds))
    assert len(orders) == 8


def test_a_side_that_has_ended_is_passed_over() -> None:
    log: list[str] = []
    short = side(block(), WELL, name="a", log=log)
    long = side(*[block()] * 5, WELL, name="b", log=log)
    round_robin([short, long], 6, random.Random(0))
    assert (log.count("a"), log.count("b")) == (2, 6)
    assert short.ended == long.ended == WELL


PART = TurnEnded(1)


def test_a_turn_may_end_within_a_step() -> None:
    peer = side(PART, PART, block(1.5, 1), STEPS, WELL)
    for steps in (0, 0, 1):
        peer.take_turn()
        assert (peer.steps, peer.ended) == (steps, None)
    peer.take_turn()
    assert peer.ended == WELL


def run_abreast(base: LockstepPeer, head: LockstepPeer, seed: int) -> None:
    sides = (base, head)
    for number in balanced_turns(sides, random.Random(seed)):
        assert sides[1 - number].ended or sides[number].progress <= sides[1 - number].progress
        sides[number].take_turn(sides[1 - number])
        if not (base.ended or head.ended):
            assert abs(len(base.blocks) - len(head.blocks)) <= 1


class Stepping(Played):
    """A worker of three steps with so many points each; where it may, it ends its turn at every so-manyth of them."""

    def __init__(self, points: int, every: int) -> None:
        super().__init__([])
        self.points, self.every = points, every
        self.steps = self.point = 0
        self.ends: list[tuple[int, int]] = []

    def take_turn(self, until: int) -> None:
        free, began = until == FREE, self.point
        while self.point < self.points:
            self.point += 1
            if self.point - began >= self.every if free else self.point >= until:
                self.ends.append((self.steps, self.point))
                self.events.append(TurnEnded(self.point))
                return
        self.steps, self.point = self.steps + 1, 0
        self.ends.append((self.steps, 0))
        self.events.append(block(steps=1) if self.steps < 3 else WELL)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("every", [(2, 3), (1, 20), (5, 5)])
def test_both_end_their_turns_at_the_same_points(seed: int, every: tuple[int, int]) -> None:
    worker, other = (Stepping(10, each) for each in every)
    run_abreast(LockstepPeer(worker), LockstepPeer(other), seed)  # type: ignore[arg-type]
    assert worker.ends == other.ends
    assert worker.ends[-1] == (3, 0) and len(worker.ends) > 3


@pytest.mark.parametrize("seed", range(4))
def test_who_has_fewer_points_in_a_step_waits_for_the_other(seed: int) -> None:
    few, many = Stepping(2, 1), Stepping(40, 7)
    sides = LockstepPeer(few), LockstepPeer(many)  # type: ignore[arg-type]
    run_abreast(*sides, seed=seed)
    assert sides[0].ended == sides[1].ended == WELL


@pytest.mark.parametrize("seed", range(4))
def test_who_takes_more_turns_for_a_step_than_the_other_is_waited_for(seed: int) -> None:
    log: list[str] = []
    few = side(*[PART, block(steps=1)] * 3, PART, WELL, name="a", log=log)
    many = side(*[PART, TurnEnded(2), TurnEnded(3), block(steps=1)] * 3, PART, WELL, name="b", log=log)
    run_abreast(few, many, seed)
    assert few.ended == many.ended == WELL
    first = log.index("a", log.index("a") + 1)  # the end of the first step of one side: its next turn comes after
    third = [index for index, name in enumerate(log) if name == "a"][2]
    assert log[:third].count("b") >= 4 and first < third


@pytest.mark.parametrize("seed", range(4))
def test_with_turns_of_whole_steps_both_have_one_in_each_round(seed: int) -> None:
    log: list[str] = []
    sides = [side(*[block()] * 4, WELL, name=name, log=log) for name in "ab"]
    run_abreast(*sides, seed=seed)
    turns = [name for name in log if len(name) == 1]
    rounds = ["".join(turns[index : index + 2]) for index in range(0, 10, 2)]
    assert {"".join(sorted(round_turns)) for round_turns in rounds} == {"ab"}
    assert [round_turns[::-1] for round_turns in rounds[:4:2]] == rounds[1:4:2]


@pytest.mark.parametrize("seed", range(4))
def test_who_is_left_goes_on_alone(seed: int) -> None:
    short, long = side(block(), WELL, name="a"), side(*[block(), PART] * 5, WELL, name="b")
    run_abreast(short, long, seed)
    assert short.ended == long.ended == WELL


def test_the_order_of_two_is_random_and_mirrored() -> None:
    starts = set()
    for seed in range(8):
        rounds = list(itertools.islice(abba_order(random.Random(seed)), 12))
        assert all(sorted(order) == [0, 1] for order in rounds)
        assert [later for later in rounds[1::2]] == [(b, a) for a, b in rounds[::2]]
        starts.add(tuple(rounds[::2]))
    assert len(starts) > 4


def test_how_a_worker_ended_becomes_an_outcome() -> None:
    end = JobEnded("out_of_memory", "There is no memory.")
    with pytest.raises(WorkerFailed) as caught:
        side(end).take_turn()
    assert (caught.value.outcome, caught.value.died) == (Outcome(Status.OUT_OF_MEMORY, "There is no memory."), False)
    with pytest.raises(WorkerFailed) as caught:
        side(WorkerExited(-9)).take_turn()
    assert (caught.value.outcome.status, caught.value.died) == (Status.FAILED, True)
    assert caught.value.outcome.reason == "A worker was killed by SIGKILL while it took turns."
    with pytest.raises(WorkerFailed) as caught:
        side(*WARM[:2], WELL).warm_up()
    assert caught.value.outcome.status is Status.FAILED


def test_a_known_cause_is_reported_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Played, "printed", "RuntimeError: can't start new thread")
    with pytest.raises(WorkerFailed) as caught:
        side(WorkerExited(1)).take_turn()
    assert str(caught.value) == "a worker ended with exit status 1 while it took turns"
    assert caught.value.outcome.reason == f"A worker ended with exit status 1 while it took turns. {PROCESSES}"


def test_settings_that_run_are_kept() -> None:
    peer = side(WARM[0], SettingsRead({"mosaic": 1.0}), *WARM[1:])
    peer.warm_up()
    assert peer.effective == {"mosaic": 1.0}
