from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from bench.records.record import Steps
from bench.worker.stopwatch import Rule, Stopwatch


@dataclass
class Bench:
    """A stopwatch on a clock that moves only when told. ``calls`` says after how many steps each thing was called."""

    rule: Rule
    now: float = 1000.0
    sync_seconds: float = 0.0
    window_seconds: float = 0.0
    calls: list[tuple[str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.watch = Stopwatch(self.rule, self.synchronize, lambda: self.now, self.window_opens)

    def synchronize(self) -> None:
        self.calls.append(("synchronize", len(self.watch.seconds)))
        self.now += self.sync_seconds

    def window_opens(self) -> None:
        self.calls.append(("window", len(self.watch.seconds)))
        self.now += self.window_seconds

    def step(self, seconds: float = 0.25, wait: float = 0.0, images: int = 16, optimizer: bool = False) -> bool:
        self.now += wait
        self.watch.batch_arrived()
        self.now += seconds - wait
        if optimizer:
            self.watch.optimizer_stepped()
        return self.watch.step_ended(images)

    def run(self, **how: Any) -> int:
        """Steps until the window is complete; how many those were."""
        self.watch.start()
        steps = 1
        while not self.step(**how):
            steps += 1
            assert steps < 1000
        return steps


def rule(cycle: int = 1, warmup_seconds: float = 0.0, window_steps: int = 4, window_seconds: float = 0.0) -> Rule:
    return Rule(cycle, warmup_seconds, window_steps, window_seconds)


# How long it takes


@pytest.mark.parametrize(("cycle", "warmup"), [(1, 3), (2, 4), (4, 6), (16, 18)])
def test_warm_up_is_a_cycle_and_two_steps(cycle: int, warmup: int) -> None:
    bench = Bench(rule(cycle))
    bench.run()
    assert bench.watch.warmup == warmup


@pytest.mark.parametrize(("seconds", "warmup"), [(0.75, 3), (0.76, 4), (1.0, 4), (2.0, 8), (2.01, 9)])
def test_warm_up_lasts_at_least_its_seconds(seconds: float, warmup: int) -> None:
    bench = Bench(rule(warmup_seconds=seconds))
    bench.run()
    assert bench.watch.warmup == warmup


@pytest.mark.parametrize(
    ("cycle", "least", "steps"), [(1, 1, 1), (1, 5, 5), (4, 1, 4), (4, 4, 4), (4, 5, 8), (3, 10, 12), (16, 12, 16)]
)
def test_the_window_is_whole_cycles_and_at_least_its_steps(cycle: int, least: int, steps: int) -> None:
    bench = Bench(rule(cycle, window_steps=least))
    assert bench.run() == bench.watch.warmup + steps
    assert len(bench.watch.seconds) == bench.watch.warmup + steps


@pytest.mark.parametrize(
    ("cycle", "seconds", "steps"), [(1, 1.0, 4), (1, 1.01, 5), (1, 2.0, 8), (4, 1.0, 4), (4, 1.01, 8), (3, 0.5, 6)]
)
def test_the_window_lasts_at_least_its_seconds(cycle: int, seconds: float, steps: int) -> None:
    bench = Bench(rule(cycle, window_steps=4, window_seconds=seconds))
    assert bench.run() == bench.watch.warmup + steps


def test_seconds_of_warm_up_do_not_count_in_the_window() -> None:
    bench = Bench(rule(warmup_seconds=2.0, window_steps=1, window_seconds=1.0))
    assert bench.run() == 8 + 4


def test_the_turn_of_an_epoch_makes_neither_shorter() -> None:
    bench = Bench(rule(warmup_seconds=1.0, window_steps=1, window_seconds=1.0))
    bench.watch.start()
    for _ in range(7):
        assert not bench.step()
        bench.now += 60.0
        bench.watch.resume()
    assert bench.step()
    assert bench.watch.warmup == 4


# The device is waited for at the edges alone


def test_synchronised_at_the_start_and_the_edges_of_the_window_and_never_between() -> None:
    bench = Bench(rule(cycle=4, window_steps=8))
    assert bench.run() == 6 + 8
    # Before the end of step 14 is counted in, thirteen steps stand in the list.
    assert bench.calls == [("synchronize", 0), ("window", 6), ("synchronize", 6), ("synchronize", 13)]


def test_no_more_waits_in_a_long_window() -> None:
    bench = Bench(rule(window_steps=500))
    bench.run()
    assert [name for name, _ in bench.calls].count("synchronize") == 3


def test_work_that_is_left_at_the_end_belongs_to_the_last_step() -> None:
    bench = Bench(rule(), sync_seconds=2.0)
    bench.run()
    assert bench.watch.seconds == [0.25] * 6 + [2.25]


def test_work_that_is_left_of_the_warm_up_belongs_to_no_step() -> None:
    bench = Bench(rule(), sync_seconds=2.0)
    bench.run()
    assert bench.watch.seconds[bench.watch.warmup] == 0.25


def test_a_wait_that_makes_the_last_step_longer_changes_nothing_else() -> None:
    bench = Bench(rule(window_steps=1, window_seconds=1.0), sync_seconds=8.0)
    assert bench.run() == 3 + 4


def test_the_window_is_told_once_and_its_telling_belongs_to_no_step() -> None:
    bench = Bench(rule(), window_seconds=5.0)
    bench.run()
    assert [call for call in bench.calls if call[0] == "window"] == [("window", 3)]
    assert bench.watch.seconds == [0.25] * 7


# What belongs to a step


def test_steps_are_from_end_to_end() -> None:
    bench = Bench(rule())
    bench.watch.start()
    for seconds in (4.0, 2.0, 1.0, 0.5, 0.25, 0.125):
        assert not bench.step(seconds)
    assert bench.step(0.0625)
    assert bench.watch.seconds == [4.0, 2.0, 1.0, 0.5, 0.25, 0.125, 0.0625]


def test_waiting_for_data_is_part_of_the_step_and_told_apart() -> None:
    bench = Bench(rule())
    bench.run(seconds=0.25, wait=0.0625)
    reading = bench.watch.reading()
    assert reading["seconds"] == [0.25] * 7
    assert reading["data_wait"] == [0.0625] * 7


def test_what_passes_before_the_start_belongs_to_no_step() -> None:
    bench = Bench(rule())
    bench.now += 60.0
    bench.run()
    assert bench.watch.seconds[0] == 0.25


def test_a_workload_that_does_not_tell_of_its_data_waits_for_nothing() -> None:
    watch = Stopwatch(rule(), clock=iter([1.0, 2.0, 3.0]).__next__)
    watch.start()
    watch.step_ended(16)
    watch.step_ended(16)
    assert watch.reading()["data_wait"] == [0.0, 0.0]


def test_the_turn_of_an_epoch_is_in_no_step() -> None:
    bench = Bench(rule())
    bench.watch.start()
    for _ in range(5):
        bench.step()
    bench.now += 7.5
    bench.watch.resume()
    bench.step(wait=0.125)
    reading = bench.watch.reading()
    assert reading["seconds"] == [0.25] * 6
    assert reading["data_wait"][-1] == 0.125
    assert reading["interludes"] == [7.5]


def test_turns_of_epochs_during_warm_up_are_not_kept() -> None:
    bench = Bench(rule())
    bench.watch.start()
    bench.step()
    bench.now += 7.5
    bench.watch.resume()
    for _ in range(3):
        bench.step()
    assert bench.watch.warmup == 3
    assert bench.watch.interludes == []


def test_the_first_epoch_has_no_turn_before_it() -> None:
    bench = Bench(rule())
    bench.watch.start()
    bench.now += 0.5
    bench.watch.resume()
    bench.step()
    assert bench.watch.seconds == [0.75]
    assert bench.watch.interludes == []


def test_steps_of_the_optimizer_are_told_by_their_index() -> None:
    bench = Bench(rule(cycle=3, window_steps=6))
    bench.watch.start()
    ended = False
    for index in range(11):
        assert not ended
        ended = bench.step(optimizer=index % 3 == 2)
    assert ended
    assert bench.watch.reading()["optimizer"] == [2, 5, 8]
    assert bench.watch.reading()["cycle"] == 3


# The reading


def test_images_are_one_number_where_all_are_alike() -> None:
    bench = Bench(rule())
    bench.run(images=16)
    assert bench.watch.reading()["images"] == 16


def test_a_partial_batch_shows() -> None:
    bench = Bench(rule())
    bench.watch.start()
    for images in (16, 16, 5, 16, 16, 5, 16):
        bench.step(images=images)
    assert bench.watch.reading()["images"] == [16, 16, 5, 16, 16, 5, 16]


def test_the_reading_is_to_the_microsecond() -> None:
    bench = Bench(rule(), now=0.0)
    bench.watch.start()
    bench.step(seconds=0.123456789, wait=0.000000567)
    reading = bench.watch.reading()
    assert (reading["seconds"], reading["data_wait"]) == ([0.123457], [0.000001])


def test_what_never_came_to_its_window_is_all_warm_up() -> None:
    bench = Bench(rule())
    bench.watch.start()
    bench.step()
    assert bench.watch.reading()["warmup"] == 1


@pytest.mark.parametrize("partial", [False, True])
def test_the_record_takes_the_reading_as_it_is(partial: bool) -> None:
    bench = Bench(rule(cycle=2, window_steps=4))
    bench.watch.start()
    for index in range(8):
        bench.step(images=5 if partial and index == 6 else 16, optimizer=index % 2 == 1)
    steps = msgspec.convert(bench.watch.reading(), Steps)
    assert steps.window == [0.25] * 4
    assert steps.window_images == (53 if partial else 64)
    assert steps.optimizer == [1, 3, 5, 7]


def test_a_long_warm_up_is_dropped_but_for_its_end() -> None:
    bench = Bench(rule(4, warmup_seconds=100.0))
    bench.watch.start()
    while not bench.step(1.0, optimizer=len(bench.watch.seconds) % 4 == 3):
        pass
    reading = bench.watch.reading()
    assert bench.watch.warmup == 100
    assert (reading["dropped"], reading["warmup"]) == (36, 64)
    assert reading["seconds"] == [1.0] * 68
    assert reading["optimizer"] == list(range(3, 68, 4))
    assert msgspec.convert(reading, Steps).window == [1.0] * 4
