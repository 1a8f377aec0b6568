"""Which cases are started, in which order, and what becomes of each record."""

import errno

import pytest

from bench.records import store
from bench.records.outcome import Status
from bench.runner.estimate import Estimator
from bench.runner.run import Run
from tests.runner.conftest import plan


@pytest.fixture
def jobs(launcher, monkeypatch):
    """Models of the training cases that were started, in order."""
    seen = []
    start = launcher.start

    def recorded(job):
        if job["kind"] == "case":
            seen.append((job["case"]["model"], job["case"]["amp"]))
        return start(job)

    monkeypatch.setattr(launcher, "start", recorded)
    return seen


def run_all(launcher, tmp_path, plans, **options):
    run = Run(plans, store.Store(tmp_path / "results", "r1"), launcher, Estimator(), **options)
    return run, [run.measure(planned) for planned in plans]


def test_a_dead_worker_costs_its_own_case_only(launcher, jobs, tmp_path):
    plans = [plan("yolov8n"), plan("killed"), plan("yolo11n")]
    _, records = run_all(launcher, tmp_path, plans)
    assert [r.outcome.status.value for r in records] == ["measured", "failed", "measured"]
    saved = {r.case.model: r.outcome.status.value for r in store.read([tmp_path / "results"])[0]}
    assert saved == {"yolov8n": "measured", "killed": "failed", "yolo11n": "measured"}


def test_a_record_is_there_the_moment_its_case_ends(launcher, tmp_path):
    plans = [plan("yolov8n"), plan("yolo11n")]
    run = Run(plans, store.Store(tmp_path, "r1"), launcher, Estimator())
    run.measure(plans[0])
    assert [f.name for f in (tmp_path / "r1").iterdir()] == ["train-yolov8n-cpu-fp32-b4-i64.json"]


def test_what_one_case_settles_spares_the_others(launcher, jobs, tmp_path):
    plans = [plan("refuses-amp", amp="on"), plan("refuses-amp", amp="on", batch=8), plan("refuses-amp")]
    _, records = run_all(launcher, tmp_path, plans)
    assert jobs == [("refuses-amp", "on"), ("refuses-amp", "off")]
    assert [r.outcome.status.value for r in records] == ["substituted", "substituted", "measured"]
    assert records[1].outcome.reason == "No amp."
    assert records[1].extra["settled_by"] == plans[0].case.id


def test_a_case_knows_how_many_others_it_settles(launcher, tmp_path):
    plans = [plan("refuses-amp", amp="on"), plan("refuses-amp", amp="on", batch=8), plan("refuses-amp")]
    run = Run(plans, store.Store(tmp_path, "r1"), launcher, Estimator())
    assert run.settles(run.measure(plans[0])) == 1
    assert run.settles(run.measure(plans[2])) == 0


def test_resuming_starts_only_what_is_not_final(launcher, jobs, tmp_path):
    plans = [plan("yolov8n"), plan("exits"), plan("refuses-amp", amp="on")]
    run_all(launcher, tmp_path, plans)
    jobs.clear()
    finished = {record.case.id: record for record in store.Store(tmp_path / "results", "r1").finished()}
    _, records = run_all(launcher, tmp_path, plans, finished=finished)
    assert jobs == [("exits", "off")]
    assert [r.outcome.status for r in records] == [Status.MEASURED, Status.FAILED, Status.SUBSTITUTED]


def test_beyond_the_time_budget_nothing_is_started(launcher, jobs, tmp_path):
    plans = [plan("yolov8n"), plan("yolo11n"), plan("yolo26n")]
    _, records = run_all(launcher, tmp_path, plans, time_budget=0.01)
    assert jobs == [("yolov8n", "off")]  # one case is always measured
    assert [r.outcome.status.value for r in records] == ["measured", "interrupted", "interrupted"]
    assert "of the time budget left" in records[1].outcome.reason


def test_a_full_disk_loses_nothing(launcher, tmp_path, monkeypatch):
    plans = [plan("yolov8n"), plan("yolo11n")]
    run = Run(plans, store.Store(tmp_path, "r1"), launcher, Estimator())

    def full(path, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(store, "write_whole", full)
        run.measure(plans[0])
        assert "No space left on device" in run.trouble
        assert not list((tmp_path / "r1").iterdir())
    run.measure(plans[1])
    assert run.trouble == ""
    assert len(list((tmp_path / "r1").iterdir())) == 2


def test_an_interrupt_keeps_the_record_of_the_case(launcher, tmp_path, monkeypatch):
    def interrupted(worker, limit):
        raise KeyboardInterrupt

    plans = [plan("yolov8n")]
    run = Run(plans, store.Store(tmp_path, "r1"), launcher, Estimator())
    run._data_for(plans[0])
    monkeypatch.setattr("bench.runner.worker.Worker.next_event", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run.measure(plans[0])
    [record], _ = store.read([tmp_path])
    assert (record.outcome.status.value, record.outcome.reason) == ("interrupted", "Stopped while setting up.")


def test_an_interrupt_after_the_last_step_keeps_the_figure(launcher, tmp_path, monkeypatch):
    from bench.runner.worker import Worker

    end, calls = Worker.end, []

    def interrupted_once(worker, patience=5.0):
        calls.append(patience)
        if len(calls) == 1:
            raise KeyboardInterrupt
        end(worker, patience)

    plans = [plan("yolov8n")]
    run = Run(plans, store.Store(tmp_path, "r1"), launcher, Estimator())
    run._data_for(plans[0])
    monkeypatch.setattr(Worker, "end", interrupted_once)
    with pytest.raises(KeyboardInterrupt):
        run.measure(plans[0])
    assert calls == [5.0, 0.0]
    [record], _ = store.read([tmp_path])
    assert record.outcome.status is Status.MEASURED


def test_time_left_counts_neither_what_is_done_nor_what_is_spared(launcher, tmp_path):
    plans = [plan("refuses-amp", amp="on"), plan("refuses-amp", amp="on", batch=8), plan("refuses-amp")]
    run = Run(plans, store.Store(tmp_path, "r1"), launcher, Estimator())
    before = run.seconds_left()
    run.measure(plans[0])
    assert run.seconds_left() == pytest.approx(Estimator().seconds(plans[2]))
    assert run.seconds_left() < before
