from __future__ import annotations

from bench.records.record import Record
from bench.report.sections.not_measured import groups
from tests.builders import make_record
from tests.report.conftest import NASTY, SPARED


def test_cases_of_one_reason_are_one_group_wherever_it_was_seen(records: list[Record]) -> None:
    groups_by_status = {group.status: group for group in groups(records)}
    assert list(groups_by_status) == ["failed", "out of memory", "substituted"]
    assert groups_by_status["substituted"].reason == SPARED
    assert [case.remark for case in groups_by_status["substituted"].cases] == [
        "",
        "not started: train-yolov8n-cpu-amp-b4-i160 showed it",
    ]


def test_repeats_of_measured_cases_are_processes_and_no_cases() -> None:
    first, third = (make_record(process=number, status="failed", reason="No.") for number in (1, 3))
    [group] = groups([first, third], repeats=True)
    assert group.count == "2 processes of measured cases"
    assert [case.label.rpartition(", ")[2] for case in group.cases] == ["process 1", "process 3"]
    assert groups([third], repeats=True)[0].count == "1 process of a measured case"
    assert groups([first])[0].count == "1 case"


def test_what_is_broken_comes_first_with_its_log(records: list[Record]) -> None:
    first = groups(records)[0]
    assert first.broken and first.reason == NASTY
    assert first.cases[0].log == "Traceback: <b>the end</b>"
    assert not any(case.log for group in groups(records)[1:] for case in group.cases)


def test_cases_beyond_the_time_budget_are_one_group_and_keep_their_seconds() -> None:
    reasons = [f"Not started: about {n} s needed, {n - 3} s of the time budget left." for n in (12, 7)]
    [group] = groups([make_record(batch=n, status="interrupted", reason=r) for n, r in enumerate(reasons, 1)])
    assert "12" not in group.reason and "time budget" in group.reason
    assert [case.remark for case in group.cases] == reasons


def test_different_numbers_in_other_reasons_stay_apart() -> None:
    reasons = ["imgsz 70 requested, imgsz 96 would run.", "imgsz 100 requested, imgsz 128 would run."]
    assert len(groups([make_record(imgsz=i, status="substituted", reason=r) for i, r in enumerate(reasons, 1)])) == 2
