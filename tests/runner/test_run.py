"""Which cases are started, in which order, and what becomes of each record."""

import errno

import msgspec
import pytest

from bench.analysis.availability import is_answer
from bench.cases.plan import repeat
from bench.records import store
from bench.records.outcome import Status
from bench.runner import doctor
from bench.runner.estimate import Estimator
from bench.runner.run import Run, is_unusable_device
from bench.worker.protocol import CaseJob
from tests.fake_workers import plan


@pytest.fixture
def jobs(launcher, monkeypatch):
    """Models of the training cases that were started, in order."""
    started = []
    start = launcher.start

    def recorded(job):
        if isinstance(job, CaseJob):
            started.append((job.case["model"], job.case["amp"]))
        return start(job)

    monkeypatch.setattr(launcher, "start", recorded)
    return started


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


def test_nothing_is_measured_twice_under_one_name(launcher, jobs, tmp_path):
    plans = [plan("yolov8n"), plan("exits")]
    run, records = run_all(launcher, tmp_path, plans)
    assert [run.measure(planned) for planned in plans] == records
    assert [run.over(planned) for planned in plans] == records == run.records
    assert len(jobs) == 2
    again = Run(
        plans, store.Store(tmp_path / "results", "r1"), launcher, Estimator(), finished={records[0].name: records[0]}
    )
    assert [again.measure(plans[0]), again.measure(plans[0])] == [records[0]] * 2
    assert again.records == [records[0]]


def test_what_one_case_settles_spares_the_others(launcher, jobs, tmp_path):
    plans = [plan("refuses-amp", amp="on"), plan("refuses-amp", amp="on", batch=8), plan("refuses-amp")]
    _, records = run_all(launcher, tmp_path, plans)
    assert jobs == [("refuses-amp", "on"), ("refuses-amp", "off")]
    assert [r.outcome.status.value for r in records] == ["substituted", "substituted", "measured"]
    assert records[1].outcome.reason == "No amp."
    assert records[1].extra["skipped_because_of"] == plans[0].case.id


def test_a_precision_that_the_user_did_not_name_is_asked_once_and_leaves_one_record(launcher, jobs, tmp_path):
    plans = [plan("refuses-amp", amp="on"), plan("refuses-amp", amp="on", batch=8), plan("refuses-amp")]
    plans.append(msgspec.structs.replace(plans[1], process=2))
    names = [planned.name for planned in plans]
    run = Run(plans, store.Store(tmp_path, "r1"), launcher, Estimator(), optional=names)
    kept = [run.measure(planned) for planned in plans if not run.skip_reason(planned)]
    assert jobs == [("refuses-amp", "on"), ("refuses-amp", "off")]
    assert [is_answer(record) for record in kept] == [True, False]
    assert run.omitted == {names[1], names[3]}
    assert len(store.read([tmp_path])[0]) == 2
    assert run.seconds_left() == 0
    again = Run(plans, store.Store(tmp_path, "r1"), launcher, Estimator(), finished={names[0]: kept[0]}, optional=names)
    assert again.measure(plans[0]) == kept[0]
    assert again.skip_reason(plans[1]) == "No amp."


def test_a_device_that_torch_cannot_use_ends_with_a_remedy(launcher, monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(doctor, "device_remedy", lambda *of: asked.append(of) or "Update the driver.")
    plans = [plan("has-no-device", device="0"), plan("has-no-device", device="0", batch=8), plan("has-no-device")]
    _, records = run_all(launcher, tmp_path, plans)
    assert [record.outcome.reason for record in records] == ["No card. Update the driver."] * 2 + ["No card."]
    assert [is_unusable_device(record) for record in records] == [True, True, False]
    assert asked == [(launcher.interpreter.path, "0")]


def test_a_case_knows_how_many_others_it_settles(launcher, tmp_path):
    plans = [plan("refuses-amp", amp="on"), plan("refuses-amp", amp="on", batch=8), plan("refuses-amp")]
    run = Run(plans, store.Store(tmp_path, "r1"), launcher, Estimator())
    assert run.implied_count(run.measure(plans[0])) == 1
    assert run.implied_count(run.measure(plans[2])) == 0


def test_resuming_starts_only_what_is_not_final(launcher, jobs, tmp_path):
    plans = [plan("yolov8n"), plan("exits"), plan("refuses-amp", amp="on")]
    run_all(launcher, tmp_path, plans)
    jobs.clear()
    finished = {record.name: record for record in store.Store(tmp_path / "results", "r1").finished()}
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
        patch.setattr("bench.records.store.writing.write_whole", full)
        run.measure(plans[0])
        assert "No space left on device" in run.save_error
        assert not list((tmp_path / "r1").iterdir())
    run.measure(plans[1])
    assert run.save_error == ""
    assert len(list((tmp_path / "r1").iterdir())) == 2


def test_an_interrupt_keeps_the_record_of_the_case(launcher, tmp_path, monkeypatch):
    def interrupted(worker, limit):
        raise KeyboardInterrupt

    plans = [plan("yolov8n")]
    run = Run(plans, store.Store(tmp_path, "r1"), launcher, Estimator())
    run.data_for(plans[0])
    monkeypatch.setattr("bench.runner.worker_process.Worker.next_event", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run.measure(plans[0])
    [record], _ = store.read([tmp_path])
    assert (record.outcome.status.value, record.outcome.reason) == ("interrupted", "Stopped while setting up.")


def test_an_interrupt_after_the_last_step_keeps_the_figure(launcher, tmp_path, monkeypatch):
    from bench.runner.worker_process import Worker

    end, calls = Worker.end, []

    def interrupted_once(worker, patience=5.0):
        calls.append(patience)
        if len(calls) == 1:
            raise KeyboardInterrupt
        end(worker, patience)

    plans = [plan("yolov8n")]
    run = Run(plans, store.Store(tmp_path, "r1"), launcher, Estimator())
    run.data_for(plans[0])
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


def test_a_question_about_a_precision_costs_its_set_up_and_a_run_its_start(launcher, tmp_path):
    question, case = plan("yolov8n", amp="on"), plan("yolov8n")
    run = Run([question, case], store.Store(tmp_path, "r1"), launcher, Estimator(), optional=[question.name, case.name])
    usual = Estimator()
    assert run.estimate() == usual.total([case], [question]) < usual.total([case, question])
    assert run.seconds_left() == pytest.approx(run.estimate() - usual.startup)
    named = Run([question, case], store.Store(tmp_path, "r2"), launcher, Estimator())
    assert named.estimate() == usual.total([case, question])
    short = Run([case], store.Store(tmp_path, "r3"), launcher, Estimator(), time_budget=0.5)
    assert short.estimate() == pytest.approx(0.5, rel=1e-3)


def test_cases_share_a_data_set_only_where_they_would_find_the_same(launcher, monkeypatch, tmp_path):
    start, asked = launcher.start, []
    monkeypatch.setattr(launcher, "start", lambda job: asked.append(job) or start(job))
    run = Run([], store.Store(tmp_path, "r1"), launcher, Estimator())

    def images(batch, **recipe):
        before = len(asked)
        planned = plan(batch=batch)
        run.data_for(msgspec.structs.replace(planned, recipe=msgspec.structs.replace(planned.recipe, **recipe)))
        return [(job.images, job.val_images, job.seed) for job in asked[before:]]

    assert images(4, data_steps=8) == [(32, 0, 0)]
    assert images(8, data_steps=4) == []
    assert images(4, data_steps=8, with_val=True) == [(32, 64, 0)]
    assert images(8, data_steps=4, with_val=True) == [(32, 128, 0)]
    assert images(8, data_steps=4, data_seed=1) == [(32, 0, 1)]


def test_a_data_set_without_labels_is_predicted_on_and_not_trained_on(launcher, monkeypatch, tmp_path):
    data = {"source": "own.yaml", "fingerprint": "1", "images": 4, "no_training": "data own.yaml: it has no labels."}
    monkeypatch.setattr("bench.runner.run.look_for_data", lambda launcher, planned: data)
    plans = [plan(mode="predict"), plan()]
    run = Run(plans, store.Store(tmp_path, "r1"), launcher, Estimator())
    predicted, trained = map(run.measure, plans)
    assert predicted.outcome.status is Status.MEASURED
    assert (trained.outcome.status, trained.outcome.reason) == (Status.UNSUPPORTED, data["no_training"])


# Several processes of a case


def run_rounds(launcher, tmp_path, plans, processes, **options):
    planned = repeat(plans, processes, "r1")
    run = Run(planned, store.Store(tmp_path / "results", "r1"), launcher, Estimator(), **options)
    spared = {plan.name: reason for plan in planned if (reason := run.skip_reason(plan)) or not run.measure(plan)}
    return run, spared


def test_every_process_of_a_case_has_its_record(launcher, jobs, tmp_path):
    run, spared = run_rounds(launcher, tmp_path, [plan("yolov8n"), plan("yolo11n")], 3)
    assert spared == {} and len(jobs) == 6
    saved = {record.name: record.process for record in store.read([tmp_path / "results"])[0]}
    assert saved == {
        f"train-{model}-cpu-fp32-b4-i64{end}": number
        for model in ("yolov8n", "yolo11n")
        for number, end in enumerate(("", "--p2", "--p3"), 1)
    }
    assert [record.process for record in run.measured(plan("yolov8n").case)] == [1, 2, 3]
    assert len({record.extra["pid"] for record in run.records}) == 6


@pytest.mark.parametrize("model", ["broken", "killed", "refuses-amp"])
def test_a_case_without_a_figure_is_not_started_again(launcher, jobs, tmp_path, model):
    run, spared = run_rounds(launcher, tmp_path, [plan(model, amp="on"), plan("yolov8n")], 3)
    assert [name for name, _ in jobs].count(model) == 1
    assert spared == dict.fromkeys(
        [f"train-{model}-cpu-amp-b4-i64--p{n}" for n in (2, 3)], "the first process of this case gave no figure"
    )
    assert (run.skipped, run.over_budget) == (2, 0)
    assert len(store.read([tmp_path / "results"])[0]) == 4


def test_what_one_case_settles_spares_the_repeats_of_others(launcher, jobs, tmp_path):
    plans = [plan("refuses-amp", amp="on"), plan("refuses-amp", amp="on", batch=8)]
    run, _ = run_rounds(launcher, tmp_path, plans, 2)
    assert len(jobs) == 1
    assert [record.process for record in run.records] == [1, 1]


def test_a_repeat_that_fails_costs_itself_alone(launcher, tmp_path):
    run, spared = run_rounds(launcher, tmp_path, [plan("breaks-later")], 3)
    assert spared == {}
    assert [record.outcome.status.value for record in run.records] == ["measured", "failed", "failed"]
    assert len(run.measured(plan("breaks-later").case)) == 1


def test_rounds_beyond_the_time_budget_leave_no_record(launcher, jobs, tmp_path):
    plans = [plan("yolov8n")]
    run, spared = run_rounds(launcher, tmp_path, plans, 4, time_budget=0.01)
    assert len(jobs) == 1
    assert set(spared.values()) == {"the time budget is over"}
    assert (run.skipped, run.over_budget) == (3, 3)
    [record], _ = store.read([tmp_path / "results"])
    assert record.outcome.status is Status.MEASURED


def test_resuming_spares_each_process_that_is_there(launcher, jobs, tmp_path):
    plans = [plan("yolov8n"), plan("breaks-later")]
    run_rounds(launcher, tmp_path, plans, 2)
    finished = {record.name: record for record in store.Store(tmp_path / "results", "r1").finished()}
    assert sorted(finished) == [f"train-{name}-cpu-fp32-b4-i64" for name in ("breaks-later", "yolov8n")] + [
        "train-yolov8n-cpu-fp32-b4-i64--p2"
    ]
    jobs.clear()
    run, _ = run_rounds(launcher, tmp_path, plans, 3, finished=finished)
    assert sorted(jobs) == [("breaks-later", "off"), ("breaks-later", "off"), ("yolov8n", "off")]
    assert len(run.measured(plan("yolov8n").case)) == 3


def test_time_left_counts_processes_and_ends_with_the_budget(launcher, tmp_path):
    planned = repeat([plan("yolov8n"), plan("broken")], 3, "r1")
    run = Run(planned, store.Store(tmp_path, "r1"), launcher, Estimator())
    each = Estimator().seconds(planned[0])
    assert run.seconds_left() == pytest.approx(6 * each)
    run.measure(planned[1])
    assert run.seconds_left() == pytest.approx(3 * Estimator().seconds(planned[0]))
    short = Run(planned, store.Store(tmp_path, "r2"), launcher, Estimator(), time_budget=each)
    assert short.seconds_left() == pytest.approx(each, rel=1e-3)


def test_a_repeat_settles_no_case_of_its_own(launcher, tmp_path):
    planned = repeat([plan("refuses-amp", amp="on"), plan("refuses-amp", amp="on", batch=8)], 3, "r1")
    run = Run(planned, store.Store(tmp_path, "r1"), launcher, Estimator())
    assert run.implied_count(run.measure(planned[0])) == 1


def test_a_calibrated_machine_stamps_its_records(launcher, tmp_path):
    from bench.machine.fingerprint import machine
    from bench.machine.paths import calibration_folder
    from tests.records.test_calibration import FOUND, NOISE

    store.keep_calibrations(calibration_folder(), machine(), [FOUND])
    _, [train, predict] = run_all(launcher, tmp_path, [plan("yolov8n"), plan("yolov8n", mode="predict")])
    assert (train.calibration, predict.calibration) == (NOISE, None)
