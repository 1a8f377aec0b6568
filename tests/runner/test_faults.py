"""Whatever a worker does, it costs its own case alone, and the record says what happened in one sentence."""

import os
import time

import msgspec
import pytest

from bench.environments.failure_causes import KILLED, UNKNOWN
from bench.environments.package_origins import Imported
from bench.records.store import encoded
from bench.runner import worker_process
from bench.runner.measure import measure
from tests.fake_workers import plan

DATA = {"source": "data.yaml", "fingerprint": "f" * 12, "images": 4}


def outcome_of(launcher, model, limit=20.0):
    record = measure(launcher, plan(model), DATA, "run", limit)
    return record.outcome.status.value, record.outcome.reason, record


def test_a_measured_case_keeps_its_steps_and_settings(launcher):
    status, reason, record = outcome_of(launcher, "yolov8n")
    assert (status, reason) == ("measured", "")
    assert record.steps.window == [0.25] * 8
    assert record.effective["threads"] == 3
    assert record.data.fingerprint == "f" * 12
    assert 0 < record.durations.setup <= record.durations.warmup <= record.durations.total


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("killed", f"The worker was killed by SIGKILL while warming up. {KILLED}"),
        ("segfault", f"The worker was killed by SIGSEGV while warming up. {UNKNOWN}: it printed nothing."),
        (
            "exits",
            f"The worker ended with exit status 3 while warming up. {UNKNOWN}: its last output is in the record.",
        ),
        ("broken", "ValueError: no."),
    ],
)
def test_a_worker_that_fails(launcher, model, reason):
    assert outcome_of(launcher, model)[:2] == ("failed", reason)


def test_no_control_character_comes_from_a_worker(launcher):
    status, reason, record = outcome_of(launcher, "hostile")
    assert (status, reason) == ("failed", "train: no \\xff  labels\n")
    assert record.effective[reason] == reason
    assert record.worker_output == "done"
    assert b"\\u" not in encoded(record)


def test_last_words_are_kept(launcher):
    assert outcome_of(launcher, "exits")[2].worker_output == "last words of the worker"


def test_a_worker_that_hangs_while_warming_up(launcher):
    assert outcome_of(launcher, "hangs", limit=0.5)[:2] == ("timed_out", "Still warming up after 0.5 s.")


def test_a_worker_that_hangs_in_set_up(launcher, monkeypatch):
    monkeypatch.setattr("bench.runner.measure.SETUP_LIMIT", 0.5)
    assert outcome_of(launcher, "hangs-in-setup")[0] == "timed_out"


def test_a_million_lines_of_output_cost_nothing(launcher):
    status, _, record = outcome_of(launcher, "chatty", limit=60)
    assert (status, record.worker_output) == ("measured", "")


def test_endless_output_ends_the_case(launcher, monkeypatch):
    monkeypatch.setattr(worker_process, "LOG_LIMIT", 2**20)
    monkeypatch.setattr(worker_process, "GLANCE", 0.1)
    status, reason, record = outcome_of(launcher, "endless")
    assert status == "failed"
    # Both phases are reported before it prints, and may still stand in the channel when the runner looks.
    assert reason in {f"The worker printed without end while {phase}." for phase in ("setting up", "warming up")}
    assert len(record.worker_output) <= worker_process.LOG_TAIL


# After the steps


def test_the_rest_of_an_epoch_is_recorded(launcher):
    status, _, record = outcome_of(launcher, "validates-in-rest")
    apart = record.epoch_overhead
    assert status == "measured"
    assert (apart.epoch_gap_seconds, apart.validation, apart.validation_images, apart.checkpoint) == (
        0.125,
        1.5,
        32,
        0.25,
    )
    assert "rest" not in record.extra


@pytest.mark.parametrize(
    ("model", "why"),
    [
        ("hangs-in-rest", "Still validating after 0.5 s."),
        ("dies-in-rest", f"The worker was killed by SIGKILL while validating. {KILLED}"),
        ("fails-in-rest", "OSError: no space left."),
    ],
)
def test_whatever_happens_in_the_rest_the_steps_were_measured(launcher, monkeypatch, model, why):
    monkeypatch.setattr("bench.runner.measure.REST_LIMIT", 0.5 if model == "hangs-in-rest" else 20.0)
    status, reason, record = outcome_of(launcher, model)
    assert (status, reason) == ("measured", "")
    assert record.steps.window == [0.25] * 8
    assert record.extra["rest"] == why
    assert (
        record.epoch_overhead.epoch_gap_seconds,
        record.epoch_overhead.validation,
        record.epoch_overhead.checkpoint,
    ) == (0.125, None, None)


def test_windows_that_were_given_up_are_recorded_with_their_mean_step(launcher):
    _, _, record = outcome_of(launcher, "interfered")
    assert [window.step_seconds for window in record.discarded] == [0.5, 1.0]
    assert record.discarded[0].interference == ["background load"]
    assert record.window.step_seconds is None
    assert record.steps.step_seconds == 0.25


def test_what_a_worker_started_dies_with_it(launcher, monkeypatch):
    started = []
    start = launcher.start
    monkeypatch.setattr(launcher, "start", lambda job: started.append(start(job)) or started[-1])
    monkeypatch.setattr(worker_process, "GLANCE", 0.1)
    assert outcome_of(launcher, "leaves-a-child")[1] == f"The worker was killed by SIGKILL while warming up. {KILLED}"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:  # its members are reaped by init, which takes a moment
        try:
            os.killpg(started[0].pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    pytest.fail("a process of the worker's group is still there")


def test_an_out_of_memory_kill_is_recognised(launcher, monkeypatch):
    kills = iter([4, 5])
    for module in ("measure", "jobs"):
        monkeypatch.setattr(f"bench.runner.{module}.oom_kills", lambda: next(kills))
    status, reason, _ = outcome_of(launcher, "killed")
    assert (status, reason) == (
        "out_of_memory",
        "The system ran out of memory while warming up and killed the worker.",
    )


def test_a_package_that_is_not_as_installed_is_named_where_the_cause_is_not_known(launcher):
    torch = Imported(file="/mine/torch/__init__.py", version="2.99", source="path", by="/mine")
    launcher.interpreter = msgspec.structs.replace(launcher.interpreter, imported={"torch": torch})
    _, reason, _ = outcome_of(launcher, "segfault")
    assert reason.endswith(
        "torch is imported from /mine/torch/__init__.py: take '/mine' out of PYTHONPATH to use the installed one."
    )
