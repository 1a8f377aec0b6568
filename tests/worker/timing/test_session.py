"""A session driven by hand: a device, a meter and a channel that note what they are asked, and a clock that stands."""

from __future__ import annotations

import dataclasses
import functools
import os
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from bench.records.record import Window as RecordedWindow
from bench.records.steps import Steps
from bench.runner.jobs import FEW_STEPS
from bench.runner.measure import build_phases as as_phases
from bench.runner.measure import discarded_window
from bench.worker import effective_settings, tasks
from bench.worker.devices import kinds
from bench.worker.devices.cpu import Cpu
from bench.worker.distributed.process_group import SingleProcess
from bench.worker.monitors.interference import describe_interference
from bench.worker.protocol import Event, Window
from bench.worker.rejection import CaseRejected
from bench.worker.timing import phases, session, windows
from bench.worker.timing.phases import SEPARATE_STEPS
from bench.worker.timing.session import MOST_SETTLING, Session, WindowComplete
from bench.worker.timing.stopwatch import Stopwatch
from bench.worker.timing.windows import RETRIES
from bench.worker.workloads import Workload
from tests.jobs import case_job

from ..traits import take

WORKLOAD = Workload()
SETTINGS = {"device": "cpu", "amp": "off", "batch": 2, "imgsz": 64, "workers": 0, "lr": 0.01}
CALM: dict[str, Any] = {
    "wall_seconds": 1.0,
    "cpu_seconds": 1.0,
    "involuntary_switches": 0,
    "processors": 2,
    "steal_share": 0.0,
}


def reading(**changes: Any) -> dict[str, Any]:
    """Of a meter, with what disturbed it said by the real rule."""
    values = {**CALM, **changes}
    return {**values, "interference": describe_interference(values, None, on_cpu=True)}


class FakeDevice(Cpu):
    """Notes when it is waited for, and gives events that know their moment."""

    def __init__(self, bench: Bench, kind: str) -> None:
        self.bench = bench
        take(self, kind)
        self.events: list[Any] = []

    @property
    def timer(self) -> str:
        return {"cpu": "clock", "mps": "synchronized_pass"}.get(self.kind, "events")

    def synchronize(self) -> None:
        self.bench.log.append("synchronize")

    def reset_peaks(self) -> None:
        self.bench.log.append("reset_peaks")

    def memory(self) -> dict[str, dict[str, Any]]:
        self.bench.log.append("memory")
        return {}

    def info(self) -> dict[str, Any]:
        return {"name": "a fake"}

    def event(self) -> Any:
        event = SimpleNamespace(at=None)

        def record() -> None:
            event.at = self.bench.now

        def elapsed_time(later: Any) -> float:
            self.bench.log.append("elapsed_time")
            return (later.at - event.at) * 1e3  # type: ignore[no-any-return]

        event.record, event.elapsed_time = record, elapsed_time
        self.events.append(event)
        return event


class FakeTurns:
    """Ends a block after so many steps, and a turn at every point within them where it may; waiting takes a minute."""

    def __init__(self, bench: Bench, block: int, within: bool) -> None:
        self.bench, self.block, self.within = bench, block, within
        self.steps, self.point, self.peers, self.threads = 0, 0, 1, 0

    def wait(self) -> None:
        self.bench.log.append("wait")
        self.bench.now += 60.0

    def step_ended(self) -> bool:
        self.steps, self.point = self.steps + 1, 0
        return self.steps >= self.block

    def block_ended(self, seconds: float, steps: int) -> None:
        self.steps = 0
        self.bench.events.append(("block", {"seconds": seconds, "steps": steps}))
        self.wait()

    def yield_point(self) -> bool:
        self.point += 1
        return self.within

    def end_turn(self) -> None:
        self.bench.events.append(("part", {"point": self.point}))
        self.wait()


class Bench:
    """Everything around a session. ``log`` lists the calls in order, ``events`` what went over the channel."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, readings: list[dict[str, Any]] | None = None) -> None:
        self.now = 100.0
        self.log: list[str] = []
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.readings = iter(readings or [reading()])
        self.session: Session = None  # type: ignore[assignment]
        self.last = -1
        self.steps = 0
        bench = self

        class FakeMeter:
            def __init__(self, device: Any) -> None:
                pass

            def prepare(self, threads: int | None, alone: bool, groups: set[int], watch: bool) -> None:
                assert groups == {os.getpgrp()}
                bench.log.append(f"prepare {threads}" + (" in turns" if not alone else ""))
                bench.watched = watch

            def open(self) -> None:
                bench.log.append("open")

            def close(self, waiting_workers: int = 0) -> dict[str, Any]:
                bench.log.append("close" if not waiting_workers else f"close waiting {waiting_workers}")
                return next(bench.readings)

        clock = functools.partial(lambda: self.now)
        monkeypatch.setattr(windows, "SystemMonitor", FakeMeter)
        monkeypatch.setattr(session, "Stopwatch", functools.partial(Stopwatch, clock=clock))
        monkeypatch.setattr(phases, "time", SimpleNamespace(perf_counter=clock))
        monkeypatch.setattr(effective_settings, "torch_settings", lambda loggers: {"threads": 1})

    def send(self, event: Event) -> None:
        """Note an event with those of its fields that are not at their defaults."""
        defaults = {item.name: item.default for item in dataclasses.fields(event)}
        fields = {name: value for name, value in vars(event).items() if value != defaults[name]}
        self.events.append((event.event, fields))

    def start(
        self,
        kind: str = "cpu",
        accumulation_steps: int = 1,
        window: int = 3,
        block: int = 0,
        settings: dict[str, Any] | None = None,
        warmup: float = 0.0,
        warmup_steps: int = 0,
        within: bool = False,
        retry_noisy: bool = True,
    ) -> Session:
        rule = Window(warmup, window, 0.0, warmup_steps=warmup_steps)
        self.job = case_job(window=rule, retry_noisy=retry_noisy)
        turns: Any = FakeTurns(self, block, within) if block else None
        device: Any = FakeDevice(self, kind)
        self.session = self.new_session(device, turns)
        self.session.ready(settings or SETTINGS, accumulation_steps)
        return self.session

    def new_session(self, device: Any, turns: Any = None) -> Session:
        """A session of the job as it is now."""
        return Session(self.job, WORKLOAD, self, device, turns)  # type: ignore[arg-type]

    def step(self, seconds: float = 1.0) -> None:
        """Forward has five eighths of a step, backward two, and the optimizer one more where it runs."""
        self.log.append("step")
        self.session.batch_arrived()
        self.now += seconds * 0.5
        self.session.layer_ended("forward")
        self.now += seconds * 0.125
        self.session.phase_ended("forward")
        self.now += seconds * 0.25
        self.session.phase_ended("backward")
        if self.steps - self.last >= self.session.accumulation:
            self.last = self.steps
            self.session.optimizer_stepped()
            self.now += seconds * 0.125
            self.session.phase_ended("optimizer")
        self.steps += 1
        self.session.step_ended(2)

    def run(self, windows: list[float] | None = None) -> int:
        """Steps until there is nothing more to measure; those of each window may last as long as ``windows`` say."""
        for steps in range(1, 500):
            begun = len(self.session.stopwatch.windows)
            try:
                self.step(windows[begun - 1] if windows and begun else 1.0)
            except WindowComplete:
                return steps
        raise AssertionError("it never ends")

    def measured(self) -> dict[str, Any]:
        self.session.report()
        name, fields = self.events[-1]
        assert name == "measured"
        fields = {"discarded": [], "worth_retrying": False, **fields}
        for window in (fields["window"], *map(discarded_window, fields["discarded"])):
            msgspec.convert(window, RecordedWindow)
        return fields


CROWDED = {"run_delay_share": 0.5, "other_processes_cpus": 0.5}


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


# A calm window


def test_a_calm_window_is_measured_once(bench: Bench) -> None:
    bench.start()
    assert bench.run() == 3 + 3
    measured = bench.measured()
    assert (measured["discarded"], measured["window"]) == ([], reading())
    assert (measured["steps"]["warmup"], len(measured["steps"]["seconds"])) == (3, 6)
    assert [event for event, _ in bench.events] == ["effective", "phase", "phase", "phase", "measured"]


def test_meter_and_device_are_asked_at_the_edges_alone(bench: Bench) -> None:
    bench.start()
    bench.run()
    edge = ["prepare 1", "reset_peaks", "synchronize"]
    assert bench.log == [*edge, *["step"] * 3, "open", "synchronize", *["step"] * 3, "synchronize", "close", "memory"]


def test_peaks_are_those_since_set_up(bench: Bench) -> None:
    bench.start()
    bench.run()
    assert bench.log.count("reset_peaks") == bench.log.count("memory") == 1


@pytest.mark.parametrize(
    ("kind", "released"), [("cpu", []), ("cuda", ["release"]), ("mps", ["release"]), ("xpu", ["release"])]
)
def test_what_set_up_left_in_the_cache_of_an_allocator_counts_in_no_peak(
    bench: Bench, kind: str, released: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeDevice, "release", lambda device: bench.log.append("release"))
    bench.start()  # makes the job
    bench.log.clear()
    device: Any = FakeDevice(bench, kind)
    bench.new_session(device).ready(SETTINGS, 1)
    assert bench.log[: bench.log.index("reset_peaks") + 1] == ["prepare 1", *released, "reset_peaks"]


def test_allocated_memory_is_looked_at_where_a_part_ends(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeDevice, "sample_memory", lambda device: bench.log.append("sample"))
    session = bench.start()
    session.phase_ended("forward")
    assert bench.log[-1] == "sample"


@pytest.mark.parametrize(("workers", "threads"), [(0, "1"), (2, "None")])
def test_a_single_thread_is_expected_not_to_idle_where_it_loads_the_data_too(
    bench: Bench, workers: int, threads: str
) -> None:
    bench.start(settings={**SETTINGS, "workers": workers})
    assert bench.log[0] == f"prepare {threads}"


# Windows with interference


@pytest.mark.parametrize(
    ("shares", "kept"),
    [
        ([0.5, 0.0], 1),  # calm the second time
        ([0.5, 0.3, 0.0], 2),
        ([0.5, 0.2, 0.3], 1),  # never calm: the least interference
        ([0.2, 0.3, 0.5], 0),
        ([0.3, 0.3, 0.3], 0),
    ],
)
@pytest.mark.parametrize("seconds", [[1.0, 2.0, 4.0], [4.0, 2.0, 1.0]])
def test_the_window_with_least_interference_is_kept_whatever_its_speed(
    monkeypatch: pytest.MonkeyPatch, shares: list[float], kept: int, seconds: list[float]
) -> None:
    readings = [reading(run_delay_share=share, other_processes_cpus=share) for share in shares]
    bench = Bench(monkeypatch, readings)
    bench.start()
    assert bench.run(seconds) == 3 + 3 * len(shares)
    measured = bench.measured()
    assert measured["window"] == readings[kept]
    others = [number for number in range(len(shares)) if number != kept]
    given = [{**readings[number], "step_seconds": seconds[number]} for number in others]
    assert [discarded_window(window) for window in measured["discarded"]] == given
    steps = msgspec.convert(measured["steps"], Steps)
    assert steps.window == [seconds[kept]] * 3
    assert steps.warmup == 3 + 3 * kept
    assert len(steps.seconds) == 3 + 3 * (kept + 1)


def test_it_is_measured_again_at_most_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, [reading(**CROWDED)] * 9)
    bench.start()
    bench.run()
    measured = bench.measured()
    assert len(measured["discarded"]) == RETRIES == 2
    assert measured["window"]["interference"]


def test_nothing_is_measured_again_where_only_memory_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, [reading(**CROWDED)] * 9)
    bench.start(retry_noisy=False)
    assert bench.run() == 6
    assert bench.measured()["discarded"] == []


def test_parts_are_those_of_the_window_that_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, [reading(**CROWDED), reading()])
    bench.start()
    bench.run([8.0, 2.0])
    measured_phases = bench.measured()["phases"]
    assert measured_phases["seconds"]["forward"] == [1.25] * 3
    assert measured_phases["optimizer"] is None


@pytest.mark.parametrize(
    "lasting", [{"on_battery": True}, {"thermal": "heavy"}, {"device_throttle": ["hardware thermal slowdown"]}]
)
def test_what_lasts_is_not_measured_again(monkeypatch: pytest.MonkeyPatch, lasting: dict[str, Any]) -> None:
    noisy = reading(**lasting)
    assert noisy["interference"]
    bench = Bench(monkeypatch, [noisy])
    bench.start()
    assert bench.run() == 3 + 3
    assert bench.measured()["window"] == noisy


def test_what_lasts_does_not_settle_which_window_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    readings = [reading(on_battery=True, **CROWDED), reading(on_battery=True)]
    bench = Bench(monkeypatch, readings)
    bench.start()
    bench.run()
    assert bench.measured()["window"] == readings[1]


def test_a_slow_window_is_never_measured_again_for_being_slow(bench: Bench) -> None:
    bench.start()
    assert bench.run([1000.0]) == 3 + 3


def test_a_discarded_window_is_reported_with_its_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, [reading(**CROWDED), reading()])
    bench.start(accumulation_steps=32, window=12)
    bench.run()
    [window] = bench.measured()["discarded"]
    steps = msgspec.convert(window["steps"], Steps)
    assert (steps.warmup, len(steps.window), steps.accumulation_steps, steps.timed_accumulation_steps) == (8, 12, 32, 6)
    assert steps.optimizer == [5, 11, 17]


# Turns of two workers


def test_who_takes_turns_never_measures_again(monkeypatch: pytest.MonkeyPatch) -> None:
    noisy = reading(**CROWDED)
    bench = Bench(monkeypatch, [noisy])
    bench.start(block=2)
    assert bench.run() == 3 + 3
    measured = bench.measured()
    assert (measured["window"], measured["discarded"]) == (noisy, [])
    assert bench.log[0] == "prepare 1 in turns"


@pytest.mark.parametrize(
    ("reasons", "worth_retrying"),
    [([], False), (["background load"], True), (["the machine ran on its battery"], False)],
)
def test_whether_a_retry_may_help_is_reported(
    monkeypatch: pytest.MonkeyPatch, reasons: list[str], worth_retrying: bool
) -> None:
    bench = Bench(monkeypatch, [{**reading(), "interference": reasons}])
    bench.start(block=2)
    bench.run()
    assert bench.measured()["worth_retrying"] is worth_retrying


def test_a_device_finishes_its_work_before_another_worker_has_its_turn(bench: Bench) -> None:
    bench.start("cuda", block=2, window=5)
    bench.run()
    opened = bench.log.index("open")
    assert bench.log[opened:] == [
        *["open", "synchronize"],
        *["step", "step", "synchronize", "wait"] * 2,
        *["step", "synchronize", "close waiting 1", "memory"],
    ]


def test_the_warm_up_steps_are_reported_and_can_be_requested(bench: Bench) -> None:
    bench.start(block=2, warmup_steps=7)
    assert bench.run() == 7 + 3
    assert [fields["steps"] for event, fields in bench.events if fields.get("name") == "window"] == [7]


def test_blocks_are_reported_and_waiting_belongs_to_no_step(bench: Bench) -> None:
    bench.start(block=2, window=5)
    for _ in range(3):
        bench.step(9.0)
    bench.step()
    bench.now += 0.5
    bench.session.epoch_boundary()
    bench.step()  # the first block ends
    bench.step(2.0)
    bench.step(2.0)  # the second
    with pytest.raises(WindowComplete):
        bench.step(4.0)
    blocks = [fields for event, fields in bench.events if event == "block"]
    full, plain = 1.0, 0.5  # the turn of the epoch is within the block
    assert blocks == [{"seconds": 2 * full + plain, "steps": 2}, {"seconds": 4.0, "steps": 2}]
    steps = msgspec.convert(bench.measured()["steps"], Steps)
    assert steps.window == [1.0, 1.0, 2.0, 2.0, 4.0]
    assert steps.epoch_gaps == [0.5]
    assert bench.log.index("wait") < bench.log.index("open")


def test_turns_end_within_the_steps_of_a_window_and_waiting_belongs_to_no_step_or_part(bench: Bench) -> None:
    bench.start(block=1, window=2, within=True)
    assert bench.session.turns_within and bench.session.takes_turns
    for _ in range(3):
        bench.step(9.0)
    assert not [event for event, _ in bench.events if event == "part"]  # warm-up has no turns
    bench.step(2.0)
    with pytest.raises(WindowComplete):
        bench.step(4.0)
    measured = bench.measured()
    steps = msgspec.convert(measured["steps"], Steps)
    assert steps.window == [2.0, 4.0]
    assert measured["phases"]["seconds"]["forward"] == [1.25, 2.5]
    assert measured["phases"]["seconds"]["backward"] == [0.5, 1.0]
    # A layer, forward, backward and the optimizer: four points in each step.
    turns = [fields.get("point", event) for event, fields in bench.events if event in ("part", "block")]
    assert turns == [1, 2, 3, 4, "block", 1, 2, 3, 4]


def test_where_turns_are_whole_steps_a_layer_is_nothing_to_mark(bench: Bench) -> None:
    bench.start(block=1, window=2)
    assert not bench.session.turns_within
    bench.run()
    assert not [event for event, _ in bench.events if event == "part"]
    assert bench.session._turns._client.threads == 1  # type: ignore[union-attr]


def test_the_first_turn_is_awaited_where_the_window_begins(bench: Bench) -> None:
    bench.start(block=2)
    for _ in range(3):
        assert "wait" not in bench.log
        bench.step()
    assert bench.log.count("wait") == 1


# Devices


def test_on_cuda_parts_come_from_events_that_are_read_after_the_window(bench: Bench) -> None:
    bench.start("cuda", accumulation_steps=4, window=4)
    assert bench.run() == 6 + 4
    assert "elapsed_time" not in bench.log
    # None while it warms up: where a step of the window begins, and at the end of each of its parts.
    assert len(bench.session.device.events) == 4 * 3 + 1  # type: ignore[attr-defined]
    assert bench.log.count("synchronize") == 3
    measured_phases = bench.measured()["phases"]
    assert measured_phases["method"] == "device events, steps of the window"
    assert measured_phases["optimizer"] is None
    assert measured_phases["seconds"] == {
        "forward": [0.625] * 4,
        "backward": [0.25] * 4,
        "optimizer": [0.0, 0.125, 0.0, 0.0],
    }


def test_on_the_cpu_nothing_is_waited_for_by_the_marks(bench: Bench) -> None:
    bench.start("cpu", accumulation_steps=4, window=4)
    bench.run()
    assert bench.log.count("synchronize") == 3
    assert bench.measured()["phases"]["seconds"]["forward"] == [0.625] * 4


def test_on_mps_parts_come_from_a_pass_of_their_own(bench: Bench) -> None:
    bench.start("mps", accumulation_steps=4, window=4)
    assert bench.run() == 6 + 4 + 1 + SEPARATE_STEPS
    close = bench.log.index("close")
    assert bench.log[:close].count("synchronize") == 3
    after = bench.log[close:]
    # Once where a step begins, and once a part: forward and backward in all of nine, and the optimizer in two.
    assert after.count("synchronize") == (1 + SEPARATE_STEPS) * 3 + 2
    assert after.count("step") == 1 + SEPARATE_STEPS
    measured = bench.measured()
    assert len(measured["steps"]["seconds"]) == 10
    assert measured["phases"]["method"].startswith("host clock after waiting for the device")
    assert {part: len(seconds) for part, seconds in measured["phases"]["seconds"].items()} == {
        "forward": 8,
        "backward": 8,
        "optimizer": 8,
    }
    assert measured["phases"]["optimizer"] == [0, 4]  # the last one of the window was two steps before its end


def test_the_first_step_of_the_pass_of_its_own_is_not_used(bench: Bench) -> None:
    """It may follow an optimizer step of the window, and takes longer here."""
    bench.start("mps")
    for _ in range(3 + 3):
        bench.step()
    bench.step(8.0)
    with pytest.raises(WindowComplete):
        for _ in range(99):
            bench.step()
    assert set(bench.measured()["phases"]["seconds"]["forward"]) == {0.625}


def test_nor_the_second_where_it_follows_an_optimizer_step_that_is_not_used(bench: Bench) -> None:
    """Of what kind it is, the steps that are used would not tell."""
    bench.start("mps", accumulation_steps=16, window=4, warmup=9.7)  # of 0.875 s and, with the optimizer, 1 s
    assert bench.run() == 11 + 16 + 1 + SEPARATE_STEPS
    measured = bench.measured()
    assert measured["steps"]["optimizer"] == [5, 21]  # the window ends after step 26, and six steps are enough again
    assert measured["phases"]["optimizer"] == [6 - 2]
    assert len(measured["phases"]["seconds"]["forward"]) == SEPARATE_STEPS - 1


@pytest.mark.parametrize("accumulation_steps", [1, 4, 16, 32])
def test_parts_of_the_pass_of_their_own_are_weighted_like_the_window(bench: Bench, accumulation_steps: int) -> None:
    bench.start("mps", accumulation_steps=accumulation_steps)
    bench.run()
    measured = bench.measured()
    steps = msgspec.convert(measured["steps"], Steps)
    assert not steps.modelled  # elsewhere than on the CPU whole cycles are timed
    assert len(steps.window) == max(accumulation_steps, 3)
    parts = as_phases(measured["phases"], steps)
    assert parts["forward"].mean(steps) == pytest.approx(0.625)
    assert parts["optimizer"].mean(steps) == pytest.approx(0.125 / accumulation_steps)
    assert sum(part.mean(steps) or 0.0 for part in parts.values()) == pytest.approx(steps.step_seconds)


def test_a_turn_during_the_pass_of_its_own_is_none_of_the_epochs(bench: Bench) -> None:
    bench.start("mps")
    with pytest.raises(WindowComplete):
        for number in range(99):
            if number in (2, 9):  # while warming up, and after the window
                bench.now += 0.5
                bench.session.epoch_boundary()
            bench.step()
    assert bench.measured()["epoch_overhead"] == {"epoch_gap_seconds": 0.5}


# Time of an epoch outside its steps


def test_the_mean_epoch_gap_is_reported_where_there_is_one(bench: Bench) -> None:
    bench.start(window=4)
    with pytest.raises(WindowComplete):
        for turn in (0.0, 1.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0):
            if turn:
                bench.now += turn
                bench.session.epoch_boundary()
            bench.step()
    measured = bench.measured()
    assert measured["epoch_overhead"] == {"epoch_gap_seconds": 1.5}
    assert measured["steps"]["epoch_gaps"] == [2.0]


def test_without_a_turn_nothing_is_said_of_one(bench: Bench) -> None:
    bench.start()
    bench.session.epoch_boundary()  # the first epoch begins
    bench.run()
    assert bench.measured()["epoch_overhead"] == {}


def test_the_epoch_overhead_is_reported_after_the_steps_in_a_phase_of_its_own(bench: Bench) -> None:
    bench.start()
    bench.run()
    bench.measured()
    events_before: list[int] = []

    def measure() -> dict[str, Any]:
        events_before.append(len(bench.events))
        return {"validation": 2.5, "checkpoint": 0.5}

    bench.session.report_epoch_overhead(measure)
    rest, epoch_overhead = bench.events[-2:]
    assert (rest, epoch_overhead) == (
        ("phase", {"name": "rest"}),
        ("rest", {"values": {"validation": 2.5, "checkpoint": 0.5}}),
    )
    assert events_before == [len(bench.events) - 1]  # the phase was reported before


def test_an_error_in_the_epoch_overhead_is_reported_and_costs_nothing(bench: Bench) -> None:
    bench.start()
    bench.run()

    def measure() -> dict[str, Any]:
        raise RuntimeError("no space\n  left " + "x" * 999)

    bench.session.report_epoch_overhead(measure)
    name, fields = bench.events[-1]
    assert name == "rest"
    assert fields == {"values": {}, "failed": "RuntimeError: no space left " + "x" * 999}


def test_who_stops_it_in_the_rest_is_obeyed(bench: Bench) -> None:
    def measure() -> dict[str, Any]:
        raise KeyboardInterrupt

    bench.start()
    with pytest.raises(KeyboardInterrupt):
        bench.session.report_epoch_overhead(measure)


# Batches that loaders made ahead


@pytest.mark.parametrize(
    ("loaders", "settling"),
    [
        ({"workers": 0, "prefetch": None}, 0),
        ({"workers": 2, "prefetch": 4}, 8),
        ({"workers": 2, "prefetch": None}, 2),
        ({"workers": 2}, 2),
        ({"workers": 16, "prefetch": 4}, MOST_SETTLING),
        ({"workers": None}, 0),
    ],
)
def test_what_loaders_were_ahead_by_belongs_to_no_window(bench: Bench, loaders: dict[str, Any], settling: int) -> None:
    settings = {name: value for name, value in SETTINGS.items() if name != "workers"}
    bench.start(settings={**settings, **loaders})
    assert bench.run() == 3 + settling + 3
    steps = bench.measured()["steps"]
    assert (steps["warmup"], len(steps["seconds"])) == (3 + settling, 3 + settling + 3)
    opened = bench.log.index("open")
    assert bench.log[:opened].count("step") == 3  # the machine is read before, while they go on


def test_nor_where_a_window_is_measured_again(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, [reading(**CROWDED), reading()])
    bench.start(settings={**SETTINGS, "workers": 2})
    for _ in range(3):
        bench.step()
    for seconds in (9.0, 9.0, 1.0, 1.0, 1.0, 9.0, 9.0, 2.0, 2.0):
        bench.step(seconds)
    with pytest.raises(WindowComplete):
        bench.step(2.0)
    measured = bench.measured()
    assert msgspec.convert(measured["steps"], Steps).window == [2.0] * 3
    assert [discarded_window(window)["step_seconds"] for window in measured["discarded"]] == [1.0]
    assert measured["phases"]["seconds"]["forward"] == [1.25] * 3


def test_the_first_block_begins_where_the_window_does(bench: Bench) -> None:
    bench.start(block=2, window=4, settings={**SETTINGS, "workers": 2})
    for _ in range(3):
        bench.step()
    bench.step(9.0)
    bench.now += 5.0
    bench.session.epoch_boundary()
    bench.step(9.0)
    bench.step()
    bench.now += 0.5
    bench.session.epoch_boundary()
    bench.step()
    bench.step()
    with pytest.raises(WindowComplete):
        bench.step()
    assert [fields for event, fields in bench.events if event == "block"] == [{"seconds": 2.5, "steps": 2}]
    assert bench.measured()["steps"]["epoch_gaps"] == [0.5]


# Accumulation


def test_what_the_optimizer_is_to_wait_for_follows_the_stopwatch(bench: Bench) -> None:
    bench.start(accumulation_steps=32, window=12)
    assert bench.run() == 8 + 12
    steps = msgspec.convert(bench.measured()["steps"], Steps)
    assert (steps.accumulation_steps, steps.timed_accumulation_steps, steps.optimizer) == (32, 6, [5, 11, 17])
    assert steps.modelled


# What does not hold


def test_what_changed_while_it_was_measured_is_no_speed(bench: Bench) -> None:
    bench.start()
    bench.run()
    bench.session.still_runs(SETTINGS)
    with pytest.raises(CaseRejected, match="lr") as refused:
        bench.session.still_runs({**SETTINGS, "lr": 0.02})
    assert refused.value.status == "invalid"


def test_a_substitution_ends_it_before_the_clock_starts(bench: Bench) -> None:
    with pytest.raises(CaseRejected) as refused:
        bench.start(settings={**SETTINGS, "batch": 1})
    assert refused.value.status == "substituted"
    assert bench.log == []
    assert [event for event, _ in bench.events] == ["effective"]


def played(monkeypatch: pytest.MonkeyPatch, bench: Bench, run: Any) -> None:
    """Let a job measure a workload that is played by ``run``."""
    bench.start()
    monkeypatch.setattr(WORKLOAD, "run", run)
    monkeypatch.setattr(tasks, "find", lambda name: WORKLOAD)
    tasks.measure(bench.job, bench, None, SingleProcess())  # type: ignore[arg-type]


def test_a_workload_that_ends_by_itself_was_not_measured(monkeypatch: pytest.MonkeyPatch, bench: Bench) -> None:
    with pytest.raises(CaseRejected, match="ended by itself before its window was complete") as refused:
        played(monkeypatch, bench, lambda session: None)
    assert refused.value.status == "failed"


def test_a_workload_ends_where_its_window_is_complete(monkeypatch: pytest.MonkeyPatch, bench: Bench) -> None:
    sessions = []

    def run(session: Session) -> None:
        sessions.append(session)
        raise WindowComplete

    played(monkeypatch, bench, run)
    assert [type(session) for session in sessions] == [Session]


@pytest.mark.parametrize("error", [ValueError("no"), CaseRejected("invalid", "The loss is not finite.")])
def test_what_a_workload_finds_wrong_is_passed_on(
    monkeypatch: pytest.MonkeyPatch, bench: Bench, error: Exception
) -> None:
    def run(session: Session) -> None:
        raise error

    with pytest.raises(type(error)) as raised:
        played(monkeypatch, bench, run)
    assert raised.value is error


def test_nothing_of_a_session_runs_before_it_is_ready(bench: Bench) -> None:
    bench.start()
    fresh = bench.new_session(bench.session.device)
    with pytest.raises(AssertionError, match=r"ready\(\) comes first"):
        fresh.batch_arrived()


# Where memory alone is looked at


def test_memory_before_the_first_step_is_reported_on_request(bench: Bench) -> None:
    bench.start()
    assert "memory" not in bench.log
    bench.job = dataclasses.replace(bench.job, memory_before=True)
    device: Any = FakeDevice(bench, "cpu")
    bench.new_session(device).ready(SETTINGS, 1)
    assert bench.log[-3:] == ["reset_peaks", "memory", "synchronize"]


@pytest.mark.parametrize("accumulation_steps", [1, 2, 3, 16])
def test_a_ceiling_s_probe_trains_five_steps_with_the_optimizer_in_two(bench: Bench, accumulation_steps: int) -> None:
    for kind in kinds():
        bench.start(kind, accumulation_steps)
        bench.job = dataclasses.replace(bench.job, window=FEW_STEPS, separate_pass=False)
        device: Any = FakeDevice(bench, kind)
        bench.session = bench.new_session(device)
        bench.session.ready(SETTINGS, accumulation_steps)
        bench.last, bench.steps = -1, 0
        bench.readings = iter([reading()])
        assert bench.run() == 5
        assert len(bench.session.stopwatch.optimizer) == (5 if accumulation_steps == 1 else 2)
