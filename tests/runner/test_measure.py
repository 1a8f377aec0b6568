"""Results of a worker's events, where a worker is played."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from bench.environments.failure_causes import KILLED
from bench.environments.interpreter import Interpreter
from bench.records.outcome import Status
from bench.records.record import EpochOverhead, Window
from bench.runner.measure import REST_LIMIT, Interrupted, build_phases, discarded_window, run_job
from bench.runner.worker_process import WorkerExited, WorkerOutputOverflow, WorkerTimeout
from bench.worker.message_json import ProtocolError
from bench.worker.protocol import Event, Job, JobEnded, Measured, OverheadJob, PhaseBegan, RestMeasured
from tests.builders import make_environment, make_steps

END = JobEnded("measured")
JOB = OverheadJob()


class Played:
    """A launcher whose one worker says what is written for it; an exception is what becomes of it."""

    requested = 100.0
    interpreter = Interpreter("python", make_environment())

    def __init__(self, events: list[Any]) -> None:
        self.events = events
        self.limits: list[float] = []
        self.ended = False

    def start(self, job: Job) -> Played:
        return self

    def next_event(self, limit: float) -> Event:
        self.limits.append(limit)
        event = self.events.pop(0)
        if isinstance(event, BaseException):
            raise event
        return event  # type: ignore[no-any-return]

    def output(self) -> str:
        return "last words"

    def end(self, patience: float = 5.0) -> None:
        self.ended = True


@pytest.fixture(autouse=True)
def nobody_was_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel may have ended something for want of memory since it started, as other tests make it do."""
    monkeypatch.setattr("bench.runner.measure.oom_kills", lambda: 0)


def phase(name: str, at: float) -> Event:
    return PhaseBegan(name, at=at)


def test_a_window_that_is_measured_again_is_no_warm_up() -> None:
    events = [phase("setup", 100.5), phase("warmup", 101.0), phase("window", 103.0), phase("window", 109.0)]
    played = Played([*events, Measured({"warmup": 1}, {}, {}, at=111.0), END])
    result = run_job(played, JOB, phase_limit=30.0, setup_limit=60.0)  # type: ignore[arg-type]
    assert (result.durations.setup, result.durations.warmup) == (1.0, 3.0)
    assert result.measured["steps"] == {"warmup": 1}
    assert played.limits == [60.0, 60.0, 30.0, 30.0, 30.0, 30.0]
    assert played.ended


def test_events_that_cannot_be_read_end_the_job_as_failed() -> None:
    result = run_events(phase("setup", 100.5), ProtocolError("ended: missing field 'status'"))
    assert result.outcome.status is Status.FAILED
    assert result.outcome.reason == "What the worker reported cannot be read: ended: missing field 'status'."


# Overhead of an epoch

MEASURED = Measured({}, {}, {}, epoch_overhead={"epoch_gap_seconds": 0.5}, extra={"seen": 1}, at=111.0)
STEPS = [phase("setup", 100.5), phase("warmup", 101.0), phase("window", 103.0), MEASURED]
REST = [*STEPS, phase("rest", 111.0)]
EPOCH_OVERHEAD = RestMeasured({"validation": 2.5, "validation_images": 32, "checkpoint": 0.25}, at=119.0)


def run_events(*events: Any) -> Any:
    return run_job(Played(list(events)), JOB, phase_limit=30.0)  # type: ignore[arg-type]


def test_the_epoch_overhead_has_the_epoch_gap_too() -> None:
    played = Played([*REST, EPOCH_OVERHEAD, END])
    result = run_job(played, JOB, phase_limit=30.0)  # type: ignore[arg-type]
    assert result.outcome.status is Status.MEASURED
    assert result.measured["epoch_overhead"] == {
        "epoch_gap_seconds": 0.5,
        "validation": 2.5,
        "validation_images": 32,
        "checkpoint": 0.25,
    }
    assert msgspec.convert(result.measured["epoch_overhead"], EpochOverhead).checkpoint == 0.25
    assert result.measured["extra"] == {"seen": 1}
    assert played.limits[-2:] == [REST_LIMIT, REST_LIMIT]
    assert played.limits[-3] == 30.0


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ([WorkerTimeout()], f"Still validating after {REST_LIMIT:g} s."),
        ([WorkerExited(-9)], f"The worker was killed by SIGKILL while validating. {KILLED}"),
        ([WorkerOutputOverflow()], "The worker printed without end while validating."),
        ([JobEnded("failed", "ValueError: no.")], "ValueError: no."),
        ([JobEnded("out_of_memory", "No room.")], "No room."),
        ([RestMeasured(failed="OSError: no space."), END], "OSError: no space."),
    ],
)
def test_whatever_becomes_of_the_rest_the_case_was_measured(events: list[Any], reason: str) -> None:
    result = run_events(*REST, *events)
    assert (result.outcome.status, result.outcome.reason, result.worker_output) == (Status.MEASURED, "", "")
    assert result.measured["epoch_overhead"] == {"epoch_gap_seconds": 0.5}
    assert result.measured["extra"] == {"seen": 1, "rest": reason}


@pytest.mark.parametrize("end", [WorkerTimeout(), WorkerExited(-11), JobEnded("failed", "no.")])
def test_a_reported_rest_is_kept_however_the_worker_ends(end: Any) -> None:
    result = run_events(*REST, EPOCH_OVERHEAD, end)
    assert result.outcome.status is Status.MEASURED
    assert result.measured["epoch_overhead"]["validation"] == 2.5
    assert "rest" not in result.measured["extra"]


@pytest.mark.parametrize(
    ("end", "status"),
    [
        (WorkerTimeout(), Status.TIMED_OUT),
        (WorkerExited(-9), Status.FAILED),
        (JobEnded("invalid", "no."), Status.INVALID),
    ],
)
def test_before_the_rest_begins_nothing_of_it_is_forgiven(end: Any, status: Status) -> None:
    assert run_events(*STEPS, end).outcome.status is status


def test_ctrl_c_in_the_rest_keeps_what_was_measured() -> None:
    with pytest.raises(Interrupted) as stopped:
        run_events(*REST, KeyboardInterrupt())
    result = stopped.value.result
    assert result is not None
    assert result.outcome.status is Status.MEASURED
    assert result.measured["extra"]["rest"] == "Stopped while validating."


# Windows that were given up


def test_a_window_that_was_given_up_has_its_mean_step_in_place_of_its_steps() -> None:
    steps = make_steps([1.0, 2.0, 3.0, 2.0])
    window = {"wall_seconds": 8.0, "cpu_seconds": 4.0, "involuntary_switches": 9, "processors": 2}
    discarded = discarded_window({**window, "interference": ["a thread waited"], "steps": msgspec.to_builtins(steps)})
    assert discarded == {**window, "interference": ["a thread waited"], "step_seconds": 2.0}
    assert msgspec.convert(discarded, Window).step_seconds == 2.0


def test_its_steps_are_weighted_like_those_of_any_window() -> None:
    steps = make_steps(
        [1.0] * 3 + [9.0, 5.0, 1.0], warmup=[1.0] * 8, accumulation_steps=32, timed_accumulation_steps=6, optimizer=[11]
    )
    discarded = discarded_window({"steps": msgspec.to_builtins(steps)})
    assert discarded["step_seconds"] == pytest.approx((30 * 1.0 + 9.0 + 5.0) / 32)


# Parts of a step


def test_parts_of_the_window_have_its_kinds_of_steps() -> None:
    steps = make_steps([0.5] * 12, warmup=[0.5] * 8, accumulation_steps=32, timed_accumulation_steps=6)
    reported = {"method": "clock", "seconds": {"forward": [float(kind) for kind in steps.kinds]}, "optimizer": None}
    assert build_phases(reported, steps)["forward"].seconds == [0.0, 1.0, 2.0]


@pytest.mark.parametrize("accumulation_steps", [4, 32])
def test_parts_of_a_pass_of_their_own_have_its_kinds_of_steps(accumulation_steps: int) -> None:
    steps = make_steps([0.5] * accumulation_steps, warmup=[0.5] * 8, accumulation_steps=accumulation_steps)
    seconds = [0.0, 1.0, 2.0, 0.0, 0.0, 0.0, 0.0, 1.0]
    forward = build_phases({"method": "clock", "seconds": {"forward": seconds}, "optimizer": [1, 7]}, steps)["forward"]
    assert forward.seconds == [0.0, 1.0, 2.0]
    assert forward.mean(steps) == pytest.approx(3 / accumulation_steps)


def test_a_pass_of_its_own_where_every_step_is_alike() -> None:
    steps = make_steps([0.5] * 4, optimizer=[])
    reported = {"method": "clock", "seconds": {"forward": [1.0, 3.0]}, "optimizer": [0, 1]}
    assert build_phases(reported, steps)["forward"].seconds == [2.0]


def test_a_workload_without_parts_has_none() -> None:
    assert build_phases({"method": "clock", "seconds": {}, "optimizer": None}, make_steps()) == {}
