"""Whatever a worker does, it costs its own case alone, and the record says what happened in one sentence."""

import os
import time

import pytest

from bench.runner import worker
from bench.runner.measure import measure
from tests.runner.conftest import plan

DATA = {"yaml": "data.yaml", "fingerprint": "f" * 12, "images": 4}


def outcome_of(launcher, model, limit=20.0):
    record = measure(launcher, plan(model), DATA, "run", limit)
    return record.outcome.status.value, record.outcome.reason, record


def test_a_measured_case_keeps_its_steps_and_settings(launcher):
    status, reason, record = outcome_of(launcher, "yolov8n")
    assert (status, reason) == ("measured", "")
    assert record.steps.window == [0.25] * 8
    assert record.effective["threads"] == 3
    assert record.data.fingerprint == "f" * 12
    assert 0 < record.costs.setup <= record.costs.warmup <= record.costs.total


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("killed", "The worker was killed by SIGKILL while warming up."),
        ("segfault", "The worker was killed by SIGSEGV while warming up."),
        ("exits", "The worker ended with exit status 3 while warming up."),
        ("broken", "ValueError: no."),
    ],
)
def test_a_worker_that_fails(launcher, model, reason):
    assert outcome_of(launcher, model)[:2] == ("failed", reason)


def test_last_words_are_kept(launcher):
    assert outcome_of(launcher, "exits")[2].log == "last words of the worker"


def test_a_worker_that_hangs_while_warming_up(launcher):
    began = time.monotonic()
    assert outcome_of(launcher, "hangs", limit=0.5)[:2] == ("timed_out", "Still warming up after 0.5 s.")
    assert time.monotonic() - began < 20


def test_a_worker_that_hangs_in_set_up(launcher, monkeypatch):
    monkeypatch.setattr("bench.runner.measure.SETUP_LIMIT", 0.5)
    assert outcome_of(launcher, "hangs-in-setup")[0] == "timed_out"


def test_a_million_lines_of_output_cost_nothing(launcher):
    status, _, record = outcome_of(launcher, "chatty", limit=60)
    assert (status, record.log) == ("measured", "")


def test_endless_output_ends_the_case(launcher, monkeypatch):
    monkeypatch.setattr(worker, "LOG_LIMIT", 2**20)
    monkeypatch.setattr(worker, "GLANCE", 0.1)
    status, reason, record = outcome_of(launcher, "endless")
    assert (status, reason) == ("failed", "The worker printed without end while warming up.")
    assert len(record.log) <= worker.LOG_TAIL


def test_what_a_worker_started_dies_with_it(launcher, monkeypatch):
    started = []
    start = launcher.start
    monkeypatch.setattr(launcher, "start", lambda job: started.append(start(job)) or started[-1])
    monkeypatch.setattr(worker, "GLANCE", 0.1)
    assert outcome_of(launcher, "leaves-a-child")[1] == "The worker was killed by SIGKILL while warming up."
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:  # its members are reaped by init, which takes a moment
        try:
            os.killpg(started[0].pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    pytest.fail("a process of the worker's group is still there")


def test_a_kill_for_want_of_memory_is_told_apart(launcher, monkeypatch):
    kills = iter([4, 5])
    monkeypatch.setattr("bench.runner.measure.oom_kills", lambda: next(kills))
    status, reason, _ = outcome_of(launcher, "killed")
    assert (status, reason) == (
        "out_of_memory",
        "The system ran out of memory while warming up and killed the worker.",
    )
