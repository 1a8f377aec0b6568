"""Precisions and devices that are not available, in a session of pytest."""

import pytest

from bench.analysis.availability import answer_lines
from bench.errors import UsageError
from bench.records import store
from bench.records.store import read_options
from tests.end_to_end.cli.sessions import start_session

__all__ = ["start_session"]


def measure_all(session):
    """Measure the selected cases as the fixtures do; return the place of each in the run."""
    places = []
    for plan in session.selected:
        if not session.run.skip_reason(plan):
            session.measure(plan)
            places.append(session.place())
    return places


def test_only_cases_that_can_run_are_counted(start_session):
    session = start_session("refuses-amp", amp=None, batch="4,8", mode="train")
    assert len(session.selected) == 3
    assert measure_all(session) == [(0, 2), (1, 2), (2, 2)]
    session.end()
    records, _ = store.read([session.store.folder])
    assert answer_lines(records) == ["AMP: not available on cpu (Ultralytics turns it off)"]
    report = session.report_path.with_name("report.md").read_text()
    assert "- Unavailable: AMP: not available on cpu (Ultralytics turns it off)" in report
    assert "Cases: 2 of 2 measured" in report
    assert "amp on" not in report


def test_a_precision_that_turns_out_to_be_unavailable_is_counted_no_more(start_session, monkeypatch):
    monkeypatch.setattr("bench.cases.availability.why_unavailable", lambda case: "")
    session = start_session("refuses-amp", amp=None, batch="4,8", mode="train")
    assert len(session.selected) == len(session.cases) == 4
    measure_all(session)
    assert len(session.cases) == 2
    assert session.place() == (2, 2)
    assert len(session.run.records) == 3


def test_a_precision_that_is_available_after_all_is_a_case(start_session):
    session = start_session("yolov8n", amp=None, mode="train")
    assert len(session.cases) == 1
    measure_all(session)
    assert len(session.cases) == 2
    assert session.place() == (2, 2)
    assert session.notes == [
        "train-yolov8n-cpu-amp-b16-i64: the precision is available after all; add --amp on for all cases"
    ]


def test_a_precision_that_the_user_names_is_a_case_whatever_becomes_of_it(start_session):
    session = start_session("refuses-amp", amp="on", batch="4,8")
    assert measure_all(session) == [(1, 2), (2, 2)]
    assert answer_lines(session.run.records) == []


def test_a_card_that_torch_cannot_use_stops_a_run_unless_it_was_named(start_session, monkeypatch):
    monkeypatch.setattr("bench.runner.doctor.device_remedy", lambda *of: "Update the driver.")
    monkeypatch.setattr("bench.pytest_plugin.options.devices", lambda: ["0", "cpu"])
    session = start_session("has-no-device", device=None)
    with pytest.raises(UsageError) as stopped:
        measure_all(session)
    assert str(stopped.value) == "No card. Update the driver. To measure without it, add --device cpu."
    [record] = session.run.records
    assert record.outcome.reason == "No card. Update the driver."
    session.end()
    assert start_session("has-no-device", device=None, resume="last").finished == {}
    named = start_session("has-no-device", device="0")
    measure_all(named)
    assert {record.outcome.reason for record in named.run.records} == {"No card. Update the driver."}


def test_a_run_keeps_its_options(start_session):
    first = start_session("yolov8n", batch="4,8", run="mine", with_val=True)
    first.measure(first.selected[0])
    first.end()
    assert read_options(first.store.folder).axes["batch"] == ["4", "8"]
    again = start_session(None, device=None, amp=None, mode=None, profile=None, resume="mine")
    assert [plan.name for plan in again.selected] == [plan.name for plan in first.selected]
    assert [plan.recipe for plan in again.selected] == [plan.recipe for plan in first.selected]
    assert list(again.finished) == [first.selected[0].name]
    with pytest.raises(
        UsageError, match=r"^run mine was started with --batch 4,8: leave out --batch 2, or start a new"
    ):
        start_session("yolov8n", batch="2", resume="mine")
