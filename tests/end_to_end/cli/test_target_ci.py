"""Adding processes until every interval is narrow enough, with workers that are played."""

import math
import os

import msgspec
import pytest

from bench.analysis.intervals import rate_of
from bench.errors import UsageError
from bench.pytest_plugin.resume import same_data, same_model
from bench.pytest_plugin.target_ci import MAX_PROCESSES, MIN_PROCESSES
from bench.records import store
from bench.records.record import Data, Origin
from tests.builders import make_record
from tests.end_to_end.cli.sessions import measure_all, start_session

__all__ = ["start_session"]


def counts(session):
    return {case.model: len(session.run.measured(case)) for case in {plan.case for plan in session.selected}}


def test_five_processes_by_default_with_a_target(start_session):
    assert start_session("yolov8n", target_ci="2%").request.processes == MIN_PROCESSES == 5
    assert start_session("yolov8n", target_ci="2%", processes="3", run="b").request.processes == 3
    assert start_session("yolov8n", run="c").request.processes == 1


def test_processes_are_added_where_the_interval_is_too_wide_and_nowhere_else(start_session):
    session = start_session("yolov8n,wobbles", target_ci="2%")
    measure_all(session)
    assert counts(session) == {"yolov8n": 5, "wobbles": 5}
    [(plan, width)] = session.target.too_wide()
    assert plan.case.model == "wobbles" and width > 0.02
    added = list(session.target.refine())
    assert {record.case.model for record in added} == {"wobbles"}
    assert [record.process for record in added] == list(range(6, 6 + len(added)))
    assert session.target.too_wide() == []
    measured = session.run.measured(plan.case)
    assert rate_of(measured)[0].relative <= 0.02 < rate_of(measured[:-1])[0].relative, "not one more than needed"
    assert len(store.read([session.store.folder])[0]) == 10 + len(added)


def test_the_widest_comes_first(start_session):
    session = start_session("wobbles,swings", target_ci="2%")
    measure_all(session)
    assert next(session.target.refine()).case.model == "swings"


def test_fewer_than_five_processes_reach_no_target_however_well_they_agree(start_session):
    session = start_session("yolov8n,yolo11n", target_ci="2%", processes="2")
    measure_all(session)
    assert counts(session) == {"yolov8n": 2, "yolo11n": 2}
    assert [width for _, width in session.target.too_wide()] == [math.inf] * 2
    added = list(session.target.refine())
    assert sorted(record.process for record in added) == [3, 3, 4, 4, 5, 5]
    assert [record.process for record in added][:2] == [3, 3], "no case waits until another one has all"
    assert session.target.too_wide() == []


def test_cases_that_were_measured_before_count_in_the_note_though_this_time_none_came_so_far(start_session):
    first = start_session("swings,wobbles", target_ci="0.1%", processes="2", run="mine")
    measure_all(first)
    first.end()
    second = start_session("swings,wobbles", target_ci="0.1%", processes="2", resume="mine")
    second.run.measure(second.selected[0])
    second.end()
    [note] = [note for note in second.notes if note.startswith("target-ci")]
    assert note.startswith("target-ci: 0 of 2 cases are within ±0.1 %; the widest is train-")
    assert note.endswith(", measured in fewer than 5 processes")


def test_without_a_budget_it_is_given_up_after_so_many_processes(start_session):
    session = start_session("swings", target_ci="0.1%")
    measure_all(session)
    assert list(session.target.refine())[-1].process == MAX_PROCESSES
    session.end()
    [note] = [note for note in session.notes if note.startswith("target-ci")]
    assert note.startswith("target-ci: 0 of 1 cases are within ±0.1 %; the widest is train-swings-cpu-fp32-b16-i64, ± ")


def test_with_a_budget_that_ends_it(start_session, monkeypatch):
    session = start_session("swings", target_ci="0.1%", time_budget="1h", processes="2")
    measure_all(session)
    monkeypatch.setattr(session.run, "budget_left", lambda: 1e6 if len(session.run.records) < 5 else 0.0)
    assert [record.process for record in session.target.refine()] == [3, 4, 5]


def test_what_fails_again_and_what_was_never_measured_is_left_alone(start_session):
    session = start_session("broken,breaks-later", target_ci="2%", processes="2")
    measure_all(session)
    assert list(session.target.refine()) == []
    session.end()
    assert any(note.startswith("target-ci: 0 of 1 cases are within ±2 %") for note in session.notes)


def test_a_run_that_goes_on_counts_the_processes_that_it_has(start_session):
    first = start_session("wobbles", target_ci="2%")
    measure_all(first)
    added = len(list(first.target.refine()))
    first.end()
    second = start_session("wobbles", target_ci="2%", resume="last")
    measure_all(second)
    assert list(second.target.refine()) == []
    assert counts(second) == {"wobbles": 5 + added}


def test_a_run_that_goes_on_has_the_order_that_it_began_with(start_session):
    first = start_session("yolov8n,wobbles,swings", processes="4", run="mine")
    order = [plan.name for plan in first.selected]
    first.run.measure(first.selected[0])
    first.end()
    second = start_session("yolov8n,wobbles,swings", processes="4", resume="mine")
    assert [plan.name for plan in second.selected] == order
    other = start_session("yolov8n,wobbles,swings", processes="4", run="yours")
    assert [plan.name for plan in other.selected] != order


def test_two_runs_of_one_second_have_orders_of_their_own_that_can_be_gone_on_with(start_session, monkeypatch):
    monkeypatch.setattr("bench.pytest_plugin.request.store.new_run_name", lambda machine: "20261122-184512-3f9ac2")
    start_session("yolov8n,wobbles,swings", processes="4")
    second = start_session("yolov8n,wobbles,swings", processes="4")
    assert second.store.run == "20261122-184512-3f9ac2-2"
    second.run.measure(second.selected[0])
    again = start_session("yolov8n,wobbles,swings", processes="4", resume=second.store.run)
    assert [plan.name for plan in again.selected] == [plan.name for plan in second.selected]


def test_the_last_run_is_no_calibration(start_session, launcher, tmp_path):
    from bench.compare.calibration import calibrate

    first = start_session("yolov8n", run="mine")
    measure_all(first)
    first.end()
    calibrate(launcher, ["cpu"], tmp_path / "results", 0.01, lambda record, run: None)
    assert start_session("yolov8n", resume="last").store.run == "mine"


def test_a_calibration_alone_is_no_run_to_go_on_with(start_session, launcher, tmp_path):
    from bench.compare.calibration import calibrate

    calibrate(launcher, ["cpu"], tmp_path / "results", 0.01, lambda record, run: None)
    with pytest.raises(UsageError, match=r"run 'last' is not in .*: there is none of this machine to go on with\.$"):
        start_session("yolov8n", resume="last")


def test_what_was_measured_on_other_data_of_the_same_name_is_measured_again(start_session, tmp_path):
    data = tmp_path / "mine.yaml"
    data.write_text("before")
    first = start_session("yolov8n,yolo11n", data=str(data), run="mine")
    measure_all(first)
    first.end()
    assert len(start_session("yolov8n,yolo11n", data=str(data), resume="mine").finished) == 2
    data.write_text("after")
    second = start_session("yolov8n,yolo11n", data=str(data), resume="mine")
    assert second.finished == {}
    measure_all(second)
    records, _ = store.read([second.store.folder])
    assert len({record.data.fingerprint for record in [*first.run.records, *records]}) == 2


def test_a_model_file_is_the_same_where_it_was_not_changed_since(tmp_path):
    file = tmp_path / "best.pt"
    file.write_bytes(b"weights")
    record = make_record(model=str(file), started="2026-11-22T18:45:14+00:00")
    for changed, same in ((1795373114.5, True), (1795373120.0, False)):
        os.utime(file, (changed, changed))
        assert same_model(record) is same
    assert same_model(make_record()) is True


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({}, True),
        ({"fingerprint": "222222222222"}, False),
        ({"scheme": 3}, False),
        ({"newest": 1795373120.0}, False),  # six seconds after the record began
    ],
)
def test_data_are_the_same_where_nothing_was_changed_since(changes, same):
    record = make_record(started="2026-11-22T18:45:14+00:00", data=Data("mine.yaml", "111111111111", 10, 2))
    now = {"fingerprint": "111111111111", "scheme": 2, "newest": 1795373114.5, **changes}
    assert same_data(record, now) is same


@pytest.mark.parametrize("processes", ["0", "-1", "two", "1000", "2.5"])
def test_processes_that_cannot_be(start_session, processes):
    with pytest.raises(UsageError, match=r"processes .* is not allowed: use a whole number from 1 to 999\."):
        start_session("yolov8n", processes=processes)


def test_a_case_counts_once_in_how_many_processes_it_ran(start_session):
    session = start_session("yolov8n,broken", processes="3")
    measure_all(session)
    assert (session.measured, session.measured_processes) == (1, 3)


def test_repeats_that_the_budget_cut_are_reported_with_how_to_go_on(start_session):
    session = start_session("yolov8n", processes="4", time_budget="0.01s")
    measure_all(session)
    session.end()
    assert "the time budget ended before 3 more processes could be started" in session.notes
    assert session.resume == session.store.run


def test_files_that_were_edited_since_are_measured_again(start_session, launcher):
    def made_of(digits):
        origin = Origin(source="path", hash=digits * 12)
        environment = msgspec.structs.replace(launcher.interpreter.environment, origins={"ultralytics": origin})
        launcher.interpreter = msgspec.structs.replace(launcher.interpreter, environment=environment)

    made_of("a")
    first = start_session("yolov8n", run="mine")
    measure_all(first)
    first.end()
    [record] = first.run.records
    assert record.environment.label("ultralytics") == "8.4 (copy aaaaaaa)"
    assert len(start_session("yolov8n", resume="mine").finished) == 1
    made_of("b")
    assert start_session("yolov8n", resume="mine").finished == {}
