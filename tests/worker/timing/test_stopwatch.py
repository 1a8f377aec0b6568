from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from bench.analysis.intervals import relative_half_width
from bench.records.steps import Steps
from bench.worker.timing.stopwatch import PRECISE, SHORT_ACCUMULATION_STEPS, MeasurementPlan, Stopwatch


@dataclass
class Bench:
    """A stopwatch on a clock that only the test moves. ``calls`` says after how many steps each thing was called."""

    rule: MeasurementPlan
    now: float = 1000.0
    sync_seconds: float = 0.0
    window_seconds: float = 0.0
    settle_steps: int = 0
    calls: list[tuple[str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.watch = Stopwatch(self.rule, self.synchronize, lambda: self.now, self.window_opens, self.settle_steps)
        self.last = -1

    @property
    def warmup(self) -> int:
        """Steps before the first window."""
        return self.watch.windows[0][0]

    @property
    def epoch_gaps(self) -> list[float]:
        return [seconds for _, seconds in self.watch.epoch_gaps]

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

    def train(self, **how: Any) -> bool:
        """A step of Ultralytics' loop, which looks at ``trainer.accumulate`` after backward."""
        number = len(self.watch.seconds)
        runs = number - self.last >= self.watch.accumulation
        if runs:
            self.last = number
        return self.step(optimizer=runs, **how)

    def turn(self, seconds: float) -> None:
        self.now += seconds
        self.watch.epoch_boundary()

    def run(self, **how: Any) -> int:
        """Steps until the window is complete; how many those were."""
        self.watch.start()
        steps = 1
        while not self.train(**how):
            steps += 1
            assert steps < 1000
        return steps


def rule(
    accumulation_steps: int = 1, warmup_seconds: float = 0.0, window_steps: int = 4, window_seconds: float = 0.0
) -> MeasurementPlan:
    return MeasurementPlan(accumulation_steps, warmup_seconds, window_steps, window_seconds)


def gaps(step_numbers: list[int]) -> list[int]:
    """Steps from one to the next."""
    return [late - early for early, late in itertools.pairwise(step_numbers)]


# How long it takes


@pytest.mark.parametrize(("accumulation_steps", "warmup"), [(1, 3), (2, 4), (4, 6), (6, 8), (7, 8), (16, 8), (64, 8)])
def test_warm_up_is_a_cycle_though_no_longer_than_a_short_one_and_two_steps(
    accumulation_steps: int, warmup: int
) -> None:
    bench = Bench(rule(accumulation_steps))
    bench.run()
    assert bench.warmup == warmup


@pytest.mark.parametrize(("seconds", "warmup"), [(0.75, 3), (0.76, 4), (1.0, 4), (2.0, 8), (2.01, 9)])
def test_warm_up_lasts_at_least_its_seconds(seconds: float, warmup: int) -> None:
    bench = Bench(rule(warmup_seconds=seconds))
    bench.run()
    assert bench.warmup == warmup


@pytest.mark.parametrize(
    ("accumulation_steps", "least", "steps"),
    [(1, 1, 1), (1, 5, 5), (4, 1, 4), (4, 4, 4), (4, 5, 8), (3, 10, 12), (16, 12, 16), (16, 13, 16)],
)
def test_the_window_is_whole_cycles_and_at_least_its_steps(accumulation_steps: int, least: int, steps: int) -> None:
    bench = Bench(rule(accumulation_steps, window_steps=least))
    assert bench.run() == bench.warmup + steps
    assert len(bench.watch.seconds) == bench.warmup + steps


@pytest.mark.parametrize(
    ("accumulation_steps", "seconds", "steps"),
    [(1, 1.0, 4), (1, 1.01, 5), (1, 2.0, 8), (4, 1.0, 4), (4, 1.01, 8), (3, 0.5, 6)],
)
def test_the_window_lasts_at_least_its_seconds(accumulation_steps: int, seconds: float, steps: int) -> None:
    bench = Bench(rule(accumulation_steps, window_steps=4, window_seconds=seconds))
    assert bench.run() == bench.warmup + steps


def test_seconds_of_warm_up_do_not_count_in_the_window() -> None:
    bench = Bench(rule(warmup_seconds=2.0, window_steps=1, window_seconds=1.0))
    assert bench.run() == 8 + 4


def test_the_turn_of_an_epoch_makes_neither_shorter() -> None:
    bench = Bench(rule(warmup_seconds=1.0, window_steps=1, window_seconds=1.0))
    bench.watch.start()
    for _ in range(7):
        assert not bench.step()
        bench.now += 60.0
        bench.watch.epoch_boundary()
    assert bench.step()
    assert bench.warmup == 4


# The device is waited for at the edges alone


def test_synchronised_at_the_start_and_the_edges_of_the_window_and_never_between() -> None:
    bench = Bench(rule(accumulation_steps=4, window_steps=8))
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
    assert bench.watch.seconds[bench.warmup] == 0.25


def test_a_wait_that_makes_the_last_step_longer_changes_nothing_else() -> None:
    bench = Bench(rule(window_steps=1, window_seconds=1.0), sync_seconds=8.0)
    assert bench.run() == 3 + 4


def test_the_window_is_reported_once_and_the_report_belongs_to_no_step() -> None:
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


def test_data_wait_is_part_of_the_step_and_reported_separately() -> None:
    bench = Bench(rule())
    bench.run(seconds=0.25, wait=0.0625)
    reading = bench.watch.reading()
    assert reading["seconds"] == [0.25] * 7
    assert reading["data_wait"] == [0.0625] * 7


def test_a_pause_in_the_midst_of_a_step_is_in_neither_the_step_nor_its_wait() -> None:
    bench = Bench(rule())
    bench.watch.start()
    bench.now += 0.25
    bench.watch.batch_arrived()
    bench.now += 1.0
    bench.now += 60.0
    bench.watch.exclude(60.0)
    bench.now += 0.5
    bench.watch.step_ended(16)
    bench.step(0.125)
    assert bench.watch.seconds == [1.75, 0.125]
    assert bench.watch.data_wait == [0.25, 0.0]


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
    bench.watch.epoch_boundary()
    bench.step(wait=0.125)
    reading = bench.watch.reading()
    assert reading["seconds"] == [0.25] * 6
    assert reading["data_wait"][-1] == 0.125
    assert reading["epoch_gaps"] == [7.5]


def test_turns_of_epochs_are_all_kept_and_those_within_the_window_are_its_interludes() -> None:
    bench = Bench(rule())
    bench.watch.start()
    bench.step()
    bench.turn(7.5)
    bench.step()
    bench.step()
    bench.turn(2.5)  # between warm-up and window, whose clocks run
    bench.step()
    bench.turn(1.25)
    for _ in range(2):
        assert not bench.step()
    assert bench.step()
    bench.turn(60.0)
    assert bench.watch.windows == [[3, 7]]
    assert bench.watch.epoch_gaps == [(1, 7.5), (3, 2.5), (4, 1.25), (7, 60.0)]
    assert bench.watch.reading()["epoch_gaps"] == [2.5, 1.25]


def test_the_first_epoch_has_no_turn_before_it() -> None:
    bench = Bench(rule())
    bench.watch.start()
    bench.now += 0.5
    bench.watch.epoch_boundary()
    bench.step()
    assert bench.watch.seconds == [0.75]
    assert bench.epoch_gaps == []


def test_optimizer_steps_are_reported_by_index() -> None:
    bench = Bench(rule(accumulation_steps=3, window_steps=6))
    bench.watch.start()
    ended = False
    for index in range(11):
        assert not ended
        ended = bench.step(optimizer=index % 3 == 2)
    assert ended
    assert bench.watch.reading()["optimizer"] == [2, 5, 8]
    assert bench.watch.reading()["accumulation_steps"] == 3


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
    bench = Bench(rule(accumulation_steps=2, window_steps=4))
    bench.watch.start()
    for index in range(8):
        bench.step(images=5 if partial and index == 6 else 16, optimizer=index % 2 == 1)
    steps = msgspec.convert(bench.watch.reading(), Steps)
    assert steps.window == [0.25] * 4
    assert steps.window_images == (53 if partial else 64)
    assert steps.optimizer == [1, 3, 5, 7]


def test_a_long_warm_up_is_dropped_but_for_its_end() -> None:
    bench = Bench(rule(4, warmup_seconds=100.0))
    bench.run(seconds=1.0)
    reading = bench.watch.reading()
    assert bench.warmup == 100
    assert (reading["warmup_discarded"], reading["warmup"]) == (36, 64)
    assert reading["seconds"] == [1.0] * 68
    assert reading["optimizer"] == list(range(3, 68, 4))
    assert msgspec.convert(reading, Steps).window == [1.0] * 4


# Accumulation


@pytest.mark.parametrize("accumulation_steps", [1, 2, 5, 6, 7, 16, 32, 64])
def test_while_warming_up_the_optimizer_runs_every_few_steps(accumulation_steps: int) -> None:
    bench = Bench(rule(accumulation_steps, warmup_seconds=10.0))
    bench.run()
    short = min(accumulation_steps, SHORT_ACCUMULATION_STEPS)
    before = [index for index in bench.watch.optimizer if index < bench.warmup]
    assert before == list(range(short - 1, bench.warmup, short))


@pytest.mark.parametrize(
    ("accumulation_steps", "asked", "timed"),
    [
        (4, 3, 4),  # 4 steps where 3 were asked: just 4/3
        (5, 3, 5),  # a cycle that is short itself is always whole
        (16, 12, 16),  # 16 where 12 were asked: just 4/3
        (16, 11, 6),
        (16, 24, 16),  # 32 where 24 were asked
        (16, 23, 6),
        (32, 24, 32),
        (32, 23, 6),
        (64, 48, 64),
        (64, 47, 6),
        (8, 17, 6),  # 24 where 17 were asked
        (8, 18, 8),
    ],
)
def test_real_accumulation_is_timed_where_whole_cycles_fit_into_a_third_more(
    accumulation_steps: int, asked: int, timed: int
) -> None:
    bench = Bench(rule(accumulation_steps, window_steps=asked))
    bench.run()
    [[start, end]] = bench.watch.windows
    assert bench.watch.timed_accumulation_steps == bench.watch.reading()["timed_accumulation_steps"] == timed
    assert (end - start) % timed == 0
    assert asked <= end - start < asked + timed
    within = [index for index in bench.watch.optimizer if start <= index < end]
    assert len(within) == (end - start) / timed
    assert set(gaps(within)) <= {timed}


@pytest.mark.parametrize("warmup", [1.5, 2.0, 2.25, 2.5, 2.75, 3.0])
def test_a_window_of_whole_cycles_has_its_share_of_optimizer_steps_wherever_it_begins(warmup: float) -> None:
    bench = Bench(rule(16, warmup_seconds=warmup, window_steps=32))
    bench.run()
    start = bench.warmup
    within = [index for index in bench.watch.optimizer if index >= start]
    assert len(within) == 2
    assert gaps(within) == [16]


def test_where_align_to_accumulation_may_be_timed_they_are() -> None:
    bench = Bench(MeasurementPlan(32, 0.0, 4, 0.0, align_to_accumulation=True))
    bench.run()
    assert bench.watch.windows == [[8, 40]]
    assert bench.watch.optimizer == [5, 37]


def test_seconds_that_are_asked_are_reckoned_in_steps_of_the_warm_ups_end() -> None:
    slow = Bench(rule(16, window_steps=4, window_seconds=2.75))  # 11 steps of 0.25 s
    slow.run()
    assert slow.watch.timed_accumulation_steps == 6
    fast = Bench(rule(16, window_steps=4, window_seconds=3.0))  # 12 of them
    fast.run()
    assert fast.watch.timed_accumulation_steps == 16


def test_the_first_steps_of_all_say_nothing_of_how_many_fit() -> None:
    bench = Bench(rule(16, window_steps=4, window_seconds=3.0))
    bench.watch.start()
    bench.train(seconds=30.0)
    bench.train(seconds=30.0)
    while not bench.train():
        pass
    assert bench.watch.timed_accumulation_steps == 16


def test_accumulation_is_chosen_before_the_window_is_reported_and_stays() -> None:
    bench = Bench(rule(16, window_steps=12))
    at_window: list[tuple[bool, int]] = []
    bench.watch.on_window = lambda: at_window.append((bench.watch.timed_steps == 0, bench.watch.accumulation))
    bench.watch.start()
    during = []
    while not bench.train(seconds=0.25 if bench.watch.warm else 99.0):
        during.append(bench.watch.accumulation)
    assert at_window == [(True, 16)]
    assert during == [6] * 7 + [16] * 16


def test_before_warm_up_is_over_no_cycle_is_timed() -> None:
    bench = Bench(rule(16))
    bench.watch.start()
    bench.train()
    assert bench.watch.reading()["timed_accumulation_steps"] == 0


def test_what_runs_after_the_windows_changes_nothing_that_was_read() -> None:
    """The separate pass on mps has an accumulation of its own."""
    bench = Bench(rule(16, window_steps=12))
    bench.run()
    bench.watch.accumulation = 6
    assert bench.watch.reading()["timed_accumulation_steps"] == 16


# A window that is measured again


def test_a_second_window_keeps_the_first_ones_steps_as_earlier_ones() -> None:
    bench = Bench(rule(window_steps=2))
    bench.run()
    bench.turn(7.0)
    bench.now += 50.0  # whoever decided on it took that long
    bench.watch.open()
    assert not bench.step(seconds=0.5)
    bench.turn(9.0)
    assert bench.step(seconds=0.75)
    assert bench.watch.windows == [[3, 5], [5, 7]]
    first, second = bench.watch.reading(0), bench.watch.reading(1)
    assert bench.watch.reading() == second
    assert (first["warmup"], first["seconds"]) == (3, [0.25] * 5)
    assert (second["warmup"], second["seconds"]) == (5, [0.25] * 5 + [0.5, 0.75])
    assert (first["epoch_gaps"], second["epoch_gaps"]) == ([], [7.0, 9.0])
    assert msgspec.convert(second, Steps).window == [0.5, 0.75]
    assert (bench.watch.span(0), bench.watch.span(1)) == ((3, 5), (5, 7))


def test_both_windows_are_reported_and_synchronised_only_at_their_edges() -> None:
    bench = Bench(rule(window_steps=4))
    bench.run()
    bench.watch.open()
    while not bench.step():
        pass
    edges = [("synchronize", 0), ("window", 3), ("synchronize", 3), ("synchronize", 6)]
    assert bench.calls == [*edges, ("window", 7), ("synchronize", 7), ("synchronize", 10)]


@pytest.mark.parametrize(("accumulation_steps", "asked", "timed"), [(16, 12, 16), (16, 6, 6), (4, 8, 4)])
def test_a_second_window_is_as_long_and_has_its_share_of_optimizer_steps(
    accumulation_steps: int, asked: int, timed: int
) -> None:
    bench = Bench(rule(accumulation_steps, window_steps=asked))
    bench.run()
    bench.watch.open()
    while not bench.train():
        pass
    [first, second] = bench.watch.windows
    assert first[1] == second[0]
    assert second[1] - second[0] == first[1] - first[0]
    for number, (start, end) in enumerate((first, second)):
        within = [index for index in bench.watch.optimizer if start <= index < end]
        assert len(within) == (end - start) / timed
        assert bench.watch.reading(number)["optimizer"] == [index for index in bench.watch.optimizer if index < end]
        steps = msgspec.convert(bench.watch.reading(number), Steps)
        assert steps.modelled is (timed != accumulation_steps)
        assert len(steps.window) == end - start


# Steps that settle what was made ahead


def test_steps_that_settle_count_as_warm_up_and_are_in_no_window() -> None:
    bench = Bench(rule(window_steps=2), settle_steps=3)
    bench.watch.start()
    for _ in range(3):
        assert not bench.step()
    for _ in range(3):
        assert not bench.step(seconds=9.0)
    assert not bench.step(seconds=0.5)
    assert bench.step(seconds=0.75)
    assert bench.watch.windows == [[6, 8]]
    reading = bench.watch.reading()
    assert (reading["warmup"], reading["seconds"]) == (6, [0.25] * 3 + [9.0] * 3 + [0.5, 0.75])
    assert msgspec.convert(reading, Steps).window == [0.5, 0.75]


def test_the_window_is_reported_before_settling_and_begins_after_a_wait() -> None:
    bench = Bench(rule(window_steps=2), sync_seconds=2.0, window_seconds=5.0, settle_steps=3)
    bench.run()
    assert bench.calls == [("synchronize", 0), ("window", 3), ("synchronize", 6), ("synchronize", 7)]
    assert bench.watch.seconds == [0.25] * 7 + [2.25]  # neither the telling nor the wait before belongs to a step


def test_it_is_warm_once_the_window_is_reported() -> None:
    bench = Bench(rule(window_steps=2), settle_steps=2)
    bench.watch.start()
    states = []
    for _ in range(7):
        bench.step()
        states.append((bench.watch.warm, bench.watch.timed_steps))
    assert states == [(False, 0), (False, 0), (True, 0), (True, 0), (True, 0), (True, 1), (True, 2)]


def test_seconds_of_steps_that_settle_do_not_count_in_the_window() -> None:
    bench = Bench(rule(warmup_seconds=0.75, window_steps=1, window_seconds=1.0), settle_steps=8)
    assert bench.run() == 3 + 8 + 4


def test_turns_of_epochs_among_them_are_none_of_the_windows() -> None:
    bench = Bench(rule(window_steps=2), settle_steps=2)
    bench.watch.start()
    for _ in range(4):
        bench.step()
    bench.turn(7.0)
    bench.step()
    bench.turn(1.5)  # the window has begun
    bench.step()
    assert bench.step()
    assert bench.watch.reading()["epoch_gaps"] == [1.5]


def test_a_second_window_settles_too() -> None:
    bench = Bench(rule(window_steps=2), settle_steps=2)
    bench.run()
    bench.watch.open()
    assert [bench.step(seconds) for seconds in (9.0, 9.0, 0.5, 0.5)] == [False, False, False, True]
    assert bench.watch.windows == [[5, 7], [9, 11]]
    assert (bench.watch.reading(0)["seconds"][5:], bench.watch.reading(1)["seconds"][9:]) == ([0.25] * 2, [0.5] * 2)


@pytest.mark.parametrize("settling", [0, 1, 3, 5, 16])
@pytest.mark.parametrize(("accumulation_steps", "asked"), [(16, 12), (16, 6), (4, 8)])
def test_optimizer_steps_have_their_share_however_long_it_settles(
    settling: int, accumulation_steps: int, asked: int
) -> None:
    bench = Bench(rule(accumulation_steps, window_steps=asked), settle_steps=settling)
    bench.run()
    [[start, end]] = bench.watch.windows
    within = [index for index in bench.watch.optimizer if start <= index < end]
    assert len(within) == (end - start) / bench.watch.timed_accumulation_steps
    assert bench.watch.optimizer_steps == len(within)


def test_optimizer_steps_are_those_since_the_first_window() -> None:
    bench = Bench(rule(4, window_steps=8), settle_steps=4)
    assert bench.watch.optimizer_steps == 0
    bench.watch.start()
    while not bench.watch.windows:
        bench.train()
    assert len(bench.watch.optimizer) == 2
    assert bench.watch.optimizer_steps == 0
    while not bench.train():
        pass
    assert bench.watch.optimizer_steps == 2
    bench.watch.open()
    while not bench.train():
        pass
    assert bench.watch.optimizer_steps == 2 + 1 + 2  # those of both windows, and the one between


# Turns of two workers


def test_a_pause_between_two_steps_belongs_to_none_and_is_no_turn_of_an_epoch() -> None:
    bench = Bench(rule())
    bench.watch.start()
    bench.step()
    bench.now += 33.0
    bench.watch.restart_step()
    bench.step()
    assert bench.watch.seconds == [0.25, 0.25]
    assert bench.watch.epoch_gaps == []


def test_timed_steps_are_those_since_warm_up() -> None:
    bench = Bench(rule())
    bench.watch.start()
    counts = []
    for _ in range(5):
        bench.step()
        counts.append(bench.watch.timed_steps)
    assert counts == [0, 0, 0, 1, 2]


# Two that do the same steps


def test_a_window_that_others_share_the_machine_with_has_its_steps_settled_before() -> None:
    bench = Bench(rule(4, window_steps=6, window_seconds=5.0))
    bench.watch.block = 2
    steps = bench.run(seconds=0.25)
    assert bench.watch.planned_steps == 20  # 5 s of steps of a quarter of a second
    assert steps == bench.warmup + 20
    slower = Bench(rule(4, window_steps=6, window_seconds=5.0))
    slower.watch.block = 2
    slower.watch.start()
    while not slower.watch.warm:
        slower.train(seconds=0.25)
    count = 1
    while not slower.train(seconds=2.0):  # its speed changes, and its plan does not
        count += 1
    assert count == 20


@pytest.mark.parametrize(("same", "seconds"), [(16, 0.01), (6, 10.0)])
def test_the_other_one_takes_the_pace_of_the_first_whatever_its_own_speed(same: int, seconds: float) -> None:
    steps = 48
    chosen = MeasurementPlan(16, 0.0, steps, 0.0, warmup_steps=11, shared_accumulation_steps=same)
    bench = Bench(chosen)
    bench.watch.block = 2
    bench.run(seconds=seconds)
    assert (bench.warmup, bench.watch.timed_accumulation_steps, bench.watch.planned_steps) == (11, same, steps)


def test_a_window_ends_after_its_most_seconds() -> None:
    rule = MeasurementPlan(1, warmup_seconds=0.0, window_steps=100, window_seconds=1.0, most_seconds=5.0)
    bench = Bench(rule)
    bench.watch.start()
    while not bench.step(0.25):
        pass
    start, end = bench.watch.span()
    assert end - start == 20
    assert rule.asked(0.25) == 20 and rule.asked(0.01) == 100


def test_a_request_counts_from_its_arrival() -> None:
    bench = Bench(MeasurementPlan(1, warmup_seconds=0.0, window_steps=2, window_seconds=0.0))
    bench.watch.start()
    complete = False
    while not complete:
        bench.watch.request_arrived(bench.now - 1.0)
        complete = bench.step(0.25)
    reading = bench.watch.reading()
    assert reading["latency"] == [1.25] * len(reading["seconds"])
    assert msgspec.convert(reading, Steps).latency == reading["latency"]


# A window that goes on


def window_of(durations: list[float], **plan: Any) -> Bench:
    """A bench after the window of a job of 12 steps; the steps of the window take these seconds, by turns."""
    bench = Bench(extending_rule(**plan))
    bench.watch.start()
    while not bench.watch.windows:
        bench.train()
    taken = itertools.cycle(durations)
    while not bench.train(seconds=next(taken)):
        assert len(bench.watch.seconds) < 1000
    return bench


def extending_rule(**plan: Any) -> MeasurementPlan:
    return MeasurementPlan(
        **{
            "accumulation_steps": 1,
            "warmup_seconds": 0.0,
            "window_steps": 12,
            "window_seconds": 0.0,
            "extends": True,
            **plan,
        }
    )


def timed(bench: Bench) -> int:
    start, end = bench.watch.windows[0]
    return end - start


CALM = [0.25, 0.255, 0.245, 0.25]
ONE_LONG = [*[0.25] * 5, 0.4, *[0.25] * 40]
WILD = [0.25, 0.25, 2.0]


def test_a_calm_window_has_the_requested_steps() -> None:
    assert timed(window_of(CALM)) == 12


def test_a_window_with_a_wide_interval_goes_on_until_it_is_narrow() -> None:
    bench = window_of(ONE_LONG)
    assert 12 < timed(bench) < 36
    start, end = bench.watch.windows[0]
    widths = [relative_half_width(msgspec.convert(reading_up_to(bench, start, last), Steps)) for last in (end - 1, end)]
    assert widths[0] is not None and widths[1] is not None and widths[1] <= PRECISE < widths[0]


def reading_up_to(bench: Bench, start: int, end: int) -> dict[str, Any]:
    """What a record would have, had the window ended there."""
    seconds = bench.watch.seconds[:end]
    return {
        "warmup": start,
        "seconds": seconds,
        "data_wait": [0.0] * end,
        "images": 16,
        "optimizer": [index for index in bench.watch.optimizer if index < end],
        "accumulation_steps": bench.rule.accumulation_steps,
        "timed_accumulation_steps": bench.watch.timed_accumulation_steps,
    }


def test_a_window_goes_on_for_three_times_its_steps_at_most() -> None:
    assert timed(window_of(WILD)) == 36


def test_a_window_that_goes_on_holds_whole_cycles() -> None:
    bench = window_of(WILD, accumulation_steps=4)
    assert timed(bench) == 36
    assert timed(window_of(ONE_LONG, accumulation_steps=4)) in range(16, 36, 4)


@pytest.mark.parametrize(
    "plan",
    [{"extends": False}, {"most_seconds": 1.0}, {"window_steps": 5}, {"window_steps": 80}],
    ids=["not allowed", "ended by its time", "short look", "long"],
)
def test_other_windows_do_not_go_on(plan: dict[str, Any]) -> None:
    wild, calm = (timed(window_of(durations, **plan)) for durations in (WILD, [sum(WILD) / 3]))
    assert wild == pytest.approx(calm, abs=2)


def test_a_second_window_goes_on_by_itself() -> None:
    bench = window_of(CALM)
    bench.watch.open()
    taken = itertools.cycle(WILD)
    while not bench.train(seconds=next(taken)):
        pass
    start, end = bench.watch.windows[1]
    assert end - start == 36


def test_a_window_of_fixed_length_does_not_go_on() -> None:
    bench = Bench(extending_rule())
    bench.watch.shared = True
    bench.watch.start()
    taken = itertools.cycle(WILD)
    while not bench.train(seconds=next(taken)):
        pass
    assert timed(bench) == bench.watch.planned_steps == 12


def test_a_window_of_requests_that_arrive_at_random_does_not_go_on() -> None:
    bench = Bench(extending_rule())
    bench.watch.start()
    taken = itertools.cycle(WILD)
    ended = False
    while not ended:
        bench.watch.request_arrived(bench.now)
        ended = bench.train(seconds=next(taken))
    assert timed(bench) == 12
