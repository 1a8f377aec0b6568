"""What selfcheck reckons with, and what it measures: the figures themselves belong to the machine."""

from __future__ import annotations

import math
import random
import statistics
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy
import pytest
from scipy import stats

from bench.compare.lockstep import WorkerFailed
from bench.selfcheck import accuracy, checks, costs, instrumentation_overhead
from bench.selfcheck.check import checked, mean_of
from bench.worker.protocol import (
    BlockEnded,
    Event,
    JobEnded,
    Measured,
    OverheadJob,
    OverheadMeasured,
    PhaseBegan,
    SettingsRead,
    Window,
)
from bench.worker.timing.stopwatch import MeasurementPlan
from tests.builders import make_record, make_steps


def test_the_mean_has_the_interval_of_student() -> None:
    logs = [0.01, -0.02, 0.005, 0.03, 0.0]
    estimate = mean_of(logs)
    low, high = stats.ttest_1samp(logs, 0.0).confidence_interval(0.95)
    assert estimate.mean == pytest.approx(statistics.mean(logs))
    assert (estimate.mean - estimate.half, estimate.mean + estimate.half) == pytest.approx((low, high))
    assert estimate.pairs == 5


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    draw = numpy.random.default_rng(0)
    means = [mean_of(list(draw.normal(0.01, 0.02, size=5))) for _ in range(800)]
    held = sum(abs(mean.mean - 0.01) <= mean.half for mean in means) / len(means)
    assert 0.92 < held < 0.98


def test_a_mean_in_words() -> None:
    assert str(mean_of([0.01, 0.03])) == "+2.00 % ± 12.71 %"


def test_one_pair_has_no_interval() -> None:
    with pytest.raises(statistics.StatisticsError):
        mean_of([0.01])


@pytest.mark.parametrize("status", ["failed", "substituted", "out_of_memory"])
def test_a_worker_that_could_not_do_it_is_heard(status: str) -> None:
    with pytest.raises(WorkerFailed, match=f"a worker ended as {status}: No room"):
        checked(JobEnded(status, "No room."))


@pytest.mark.parametrize("event", [JobEnded("measured"), PhaseBegan("warmup"), Measured({}, {}, {})])
def test_what_else_is_heard_is_passed_on(event: Event) -> None:
    assert checked(event) is event


# The cases


def test_the_cases_differ_in_all_that_could_bias_a_prediction() -> None:
    models, batches, sizes, deterministic = map(set, zip(*accuracy.CASES, strict=True))
    assert len(set(accuracy.CASES)) >= 6
    assert models == {"yolov8n", "yolo11n"}
    assert (min(batches), max(batches)) == (2, 16)
    assert len(sizes) >= 2
    assert deterministic == {True, False}


def test_both_ways_to_predict_are_among_them_within_24_steps() -> None:
    ways = set()
    for _, batch, _, _ in accuracy.CASES:
        accumulation_steps = accuracy.NBS // batch
        rule = MeasurementPlan(accumulation_steps, 0.0, accuracy.FEW_STEPS, 0.0)
        timed = rule.timed_accumulation_steps(0.1)
        ways.add(timed == accumulation_steps)
        steps = next(count for count in range(1, 1000) if rule.complete(count, 1.0, timed))
        assert steps <= 24
    assert ways == {True, False}


@pytest.mark.parametrize("case", accuracy.CASES)
def test_a_case_is_what_it_says(case: tuple[str, int, int, bool]) -> None:
    planned = accuracy.plan(*case)
    axes = planned.case
    assert (axes.mode, axes.device, axes.amp) == ("train", "cpu", "off")
    assert (axes.model, axes.batch, axes.imgsz, planned.recipe.overrides["deterministic"]) == case
    assert planned.recipe.overrides["nbs"] == accuracy.NBS
    assert {**planned.recipe.overrides, "deterministic": True} == accuracy.plan(*accuracy.CASES[0]).recipe.overrides
    assert planned.recipe.data_steps == accuracy.EPOCH  # so that the steps of plain training hold one turn of the epoch
    assert accuracy.EPOCH % (accuracy.NBS // planned.case.batch) == 0  # and whole cycles


# Processes that take turns


class FakeWorker:
    """Says what it has to say, one thing a turn."""

    def __init__(self, job: Any, log: list[str], step: float) -> None:
        self.job, self.log, self.name = job, log, "plain" if job.kind == "plain" else "ours"
        self.events: list[Event] = [PhaseBegan(name) for name in ("setup", "warmup", "window")]
        self.turns = 0
        self.step = step
        log.append(f"start {self.name}")

    def take_turn(self, until: int) -> None:
        self.turns += 1
        self.log.append(self.name)
        block = self.job.block
        if self.name == "plain":
            if self.turns <= self.job.steps // block:
                self.events.append(BlockEnded(block * self.step, block))
            if self.turns == self.job.steps // block:
                self.end_well()
        elif self.turns < self.job.window.window_steps // block:
            self.events.append(BlockEnded(block * self.step, block))
        else:
            steps = make_steps([self.step] * self.job.window.window_steps, accumulation_steps=4)
            self.events.append(Measured(msgspec.to_builtins(steps), {}, {}))
            self.end_well()

    def end_well(self) -> None:
        self.events.append(JobEnded("measured"))

    def next_event(self, limit: float) -> Event:
        return self.events.pop(0)

    def end(self, patience: float = 5.0) -> None:
        self.log.append(f"end {self.name}")


class FakeLauncher:
    def __init__(self, ours: float, plain: float) -> None:
        self.log: list[str] = []
        self.steps = {"case": ours, "plain": plain}
        self.jobs: list[Any] = []

    def start(self, job: Any) -> FakeWorker:
        self.jobs.append(job)
        return FakeWorker(job, self.log, self.steps[job.kind])


@pytest.fixture
def no_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("YOLOPACE_CACHE", str(tmp_path))
    monkeypatch.setattr(accuracy, "find_data", lambda *_: {"source": "d.yaml", "fingerprint": "f", "images": 64})


WINDOW = Window(warmup_seconds=0.0, window_steps=24, window_seconds=0.0)


def one_group(launcher: FakeLauncher, seed: int = 0) -> accuracy.Group:
    planned = accuracy.plan(*accuracy.CASES[1])
    return accuracy.group(launcher, planned, WINDOW, accuracy.OURS, seed)  # type: ignore[arg-type]


def test_a_group_is_the_ratio_of_processes_that_took_turns(no_data: None) -> None:
    launcher = FakeLauncher(ours=0.505, plain=0.5)
    group = one_group(launcher)
    assert group.plain == 0.5
    assert [steps.step_seconds for steps in group.ours] == [pytest.approx(0.505)] * 3
    assert group.log == pytest.approx(math.log(1.01))
    turns = [entry for entry in launcher.log if entry in ("ours", "plain")]
    assert (turns.count("ours"), turns.count("plain")) == (3 * 12, 32 + 1)
    assert turns[-1] == "plain"  # which hears that the last block was the end
    assert sorted(launcher.log[-4:]) == ["end ours", "end ours", "end ours", "end plain"]


def test_each_of_ours_counts_alike_in_a_group() -> None:
    steps = tuple(make_steps([seconds] * 4, accumulation_steps=4) for seconds in (0.5, 2.0))
    assert accuracy.Group(steps, 1.0).log == pytest.approx(0.0)


def test_all_train_the_same_thing_and_know_their_blocks(no_data: None) -> None:
    launcher = FakeLauncher(1.0, 1.0)
    one_group(launcher)
    ours, other, _, plain = sorted(launcher.jobs, key=lambda job: str(job.kind))
    assert [job.kind == "plain" for job in launcher.jobs].count(True) == 1
    for shared in ("case", "overrides", "threads", "data"):
        assert getattr(ours, shared) == getattr(other, shared) == getattr(plain, shared)
    assert len({job.scratch for job in launcher.jobs}) == 4
    assert (ours.window, plain.steps) == (WINDOW, accuracy.EPOCH)
    assert ours.block == plain.block == accuracy.TURN
    assert plain.warmup_seconds <= 3.0
    assert plain.warmup_steps <= 20


def test_who_starts_first_and_who_goes_first_is_random(no_data: None) -> None:
    logs = []
    for seed in range(12):
        launcher = FakeLauncher(1.0, 1.0)
        one_group(launcher, seed)
        logs.append(launcher.log)
    assert {log[0] for log in logs} == {"start ours", "start plain"}
    assert len({tuple(log) for log in logs}) > 4
    again = FakeLauncher(1.0, 1.0)
    one_group(again, 0)
    assert again.log == logs[0]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("ours", "turns", "plain"), [(3, 12, 32), (1, 32, 32), (2, 4, 5), (3, 12, 1)])
def test_every_turn_follows_another_process(ours: int, turns: int, plain: int, seed: int) -> None:
    turn_order = accuracy.order(ours, turns, plain, random.Random(seed))
    assert [turn_order.count(number) for number in range(ours + 1)] == [plain] + [turns] * ours
    assert all(turn != other for turn, other in pairwise(turn_order))
    assert turn_order == accuracy.order(ours, turns, plain, random.Random(seed))
    of_ours = [number for number in turn_order if number != accuracy.PLAIN]
    rounds = [of_ours[start : start + ours] for start in range(0, len(of_ours), ours)]
    assert all(sorted(round_turns) == list(range(1, ours + 1)) for round_turns in rounds)  # so they are spread evenly


def test_where_turns_lie_is_random() -> None:
    assert len({tuple(accuracy.order(3, 12, 32, random.Random(seed))) for seed in range(20)}) == 20
    assert {accuracy.order(1, 32, 32, random.Random(seed))[0] for seed in range(20)} == {accuracy.PLAIN, 1}


def test_the_turn_of_the_epoch_is_on_both_sides_where_the_window_is_an_epoch() -> None:
    """An epoch of 64 steps of half a second with a turn of a second, the same to both."""
    steps = make_steps([0.5] * 64, accumulation_steps=16, epoch_gaps=[1.0])
    group = accuracy.Group((steps,), (64 * 0.5 + 1.0) / 64)
    assert group.log_of_same == pytest.approx(0.0)
    assert group.log == pytest.approx(math.log(64 * 0.5 / 33.0))  # what the turn costs is missing in a prediction


# The comparisons


class Groups:
    """Takes the place of :func:`truth.group`: every group is the same, and notes what was asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, result: accuracy.Group) -> None:
        self.asked: list[tuple[str, dict[str, Any], int, int]] = []
        self.result = result
        monkeypatch.setattr(accuracy, "group", self.group)

    def group(self, launcher: Any, planned: Any, window: dict[str, Any], ours: int, seed: int) -> Any:
        self.asked.append((planned.case.id, window, ours, seed))
        return self.result


@pytest.mark.parametrize(("pairs", "run"), [(2, 8), (8, 8), (9, 9)])
def test_an_epoch_of_both_is_compared_in_at_least_eight_pairs(
    monkeypatch: pytest.MonkeyPatch, pairs: int, run: int
) -> None:
    steps = make_steps([0.5] * 64, accumulation_steps=16, epoch_gaps=[1.0])
    fake = Groups(monkeypatch, accuracy.Group((steps,), 33 / 64 / 1.01))
    messages: list[str] = []
    [check] = accuracy.instrumented(None, pairs, messages.append)  # type: ignore[arg-type]
    assert len(fake.asked) == len(messages) == run
    assert check.figure == "+1.00 % ± 0.00 %"
    assert {(window.window_steps, ours) for _, window, ours, _ in fake.asked} == {(accuracy.EPOCH, 1)}
    assert [seed for *_, seed in fake.asked] == list(range(run))
    assert f"{run} interleaved pairs of processes" in check.how


def test_a_prediction_of_few_steps_is_compared_with_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = make_steps([0.5] * 24, warmup=[0.5] * 8, accumulation_steps=32, timed_accumulation_steps=6)
    fake = Groups(monkeypatch, accuracy.Group((steps, steps, steps), 0.5 / 0.99))
    *each, bias = accuracy.bias(None, 5, lambda words: None)  # type: ignore[arg-type]
    assert len(each) == len(accuracy.CASES)
    assert len(fake.asked) == 5 * len(accuracy.CASES)
    assert {(window.window_steps, ours) for _, window, ours, _ in fake.asked} == {(accuracy.FEW_STEPS, accuracy.OURS)}
    assert 24 % accuracy.TURN == accuracy.EPOCH % accuracy.TURN == 0  # whole turns on both sides
    assert (
        "5 epochs of 64 steps, each interleaved with 3 processes of 24 (steps by kind, weighted for 32)" in each[0].how
    )
    assert bias.figure == "median 1.01 %, worst 1.01 %"


# The marks


class FakeMarks:
    """A launcher whose worker tells what marks cost."""

    def __init__(self, seconds: list[float]) -> None:
        overhead = OverheadMeasured(seconds, 2000)
        self.events: list[Event] = [PhaseBegan("setup"), overhead, JobEnded("measured")]
        self.ended = False

    def start(self, job: Any) -> FakeMarks:
        assert job == OverheadJob()
        return self

    def next_event(self, limit: float) -> Event:
        return self.events.pop(0)

    def end(self) -> None:
        self.ended = True


def test_what_marks_cost_is_a_share_of_the_shortest_step_of_training() -> None:
    predicted = make_record(mode="predict", steps=make_steps([0.001] * 4))
    records = [make_record(steps=make_steps([0.5, 0.125])), make_record(status="failed"), predicted]
    launcher = FakeMarks([1e-5, 1.25e-5, 9.0])
    check = instrumentation_overhead.cost(launcher, records)  # type: ignore[arg-type]
    assert check.figure == "12.5 µs, 0.0100 % of the shortest step"
    assert "median of 3 times 2,000 steps; shortest step 125.0 ms" in check.how
    assert launcher.ended


def test_without_a_step_there_is_no_share() -> None:
    assert instrumentation_overhead.cost(FakeMarks([1e-5]), []).figure == "10.0 µs"  # type: ignore[arg-type]


def test_a_worker_that_cannot_tell_what_marks_cost_ends_the_check() -> None:
    launcher = FakeMarks([1e-5])
    launcher.events = [JobEnded("failed", "ValueError: no.")]
    with pytest.raises(WorkerFailed, match="failed: ValueError: no"):
        instrumentation_overhead.cost(launcher, [])  # type: ignore[arg-type]
    assert launcher.ended


# What a case costs


class Beginning:
    """A launcher whose workers tell that they begin, so many seconds after they were asked; all are ended there."""

    interpreter = None
    requested = 100.0

    def __init__(self, events: list[Event]) -> None:
        self.events = events
        self.left: list[Event] = []
        self.ends = 0

    def start(self, job: Any) -> Beginning:
        self.left = list(self.events)
        return self

    def next_event(self, limit: float) -> Event:
        return self.left.pop(0)

    def end(self, patience: float) -> None:
        self.ends += 1


def phase(name: str, at: float) -> Event:
    return PhaseBegan(name, at=at)


def test_a_case_costs_what_passes_until_its_first_step(no_data: None) -> None:
    launcher = Beginning([phase("setup", 100.1), SettingsRead({}, at=100.4), phase("warmup", 100.5)])
    seconds = costs.first_steps(launcher, accuracy.plan(*accuracy.CASES[1]), {"source": "d.yaml"}, 3)  # type: ignore[arg-type]
    assert seconds == [0.5] * 3
    assert launcher.ends == 3


def test_a_case_that_ends_early_is_reported(no_data: None) -> None:
    end = JobEnded("substituted", "No amp.")
    launcher = Beginning([phase("setup", 100.1), end])
    with pytest.raises(WorkerFailed, match="substituted: No amp"):
        costs.first_steps(launcher, accuracy.plan(*accuracy.CASES[1]), {"source": "d.yaml"}, 3)  # type: ignore[arg-type]
    assert launcher.ends == 1


def test_without_pairs_nothing_is_compared_with_plain_training(monkeypatch: pytest.MonkeyPatch) -> None:
    import bench.selfcheck as module

    class Launcher:
        def wait(self) -> None:
            pass

        def close(self) -> None:
            pass

    monkeypatch.setattr(module, "open_launcher", lambda interpreter: Launcher())
    fakes = {"fixed_cost": lambda *_: iter(()), "smoke": lambda _: ([], []), "one_case": lambda _: iter(())}
    monkeypatch.setattr(module, "costs", SimpleNamespace(**fakes, collecting=lambda: "c", COLLECTED=1))
    monkeypatch.setattr(module, "instrumentation_overhead", SimpleNamespace(cost=lambda launcher, records: "m"))
    truths = {"instrumented": lambda *_: iter(["i"]), "bias": lambda *_: iter(["b"])}
    monkeypatch.setattr(module, "accuracy", SimpleNamespace(**truths))
    messages: list[str] = []
    assert list(checks(None, 1, 1, messages.append)) == ["m", "c"]  # type: ignore[arg-type, comparison-overlap]
    assert list(checks(None, 1, 2, messages.append)) == ["m", "i", "b", "c"]  # type: ignore[arg-type, comparison-overlap]
