"""A run that can be watched, and one that is stopped between two cases."""

import pytest

from tests.end_to_end.cli.sessions import measure_all, start_session

__all__ = ["start_session"]


def resumable(session):
    session.end()
    return session.resume


def test_a_long_run_has_a_page_between_its_cases_which_ends_as_the_report(start_session, monkeypatch):
    monkeypatch.setattr("bench.pytest_plugin.run_page.LIVE_AFTER", 0.0)
    session = start_session("yolov8n,yolo11n")
    session.run.measure(session.selected[0])
    page = session.refresh_page()
    assert "Still measuring: 1 of 2 so far, at " in page.read_text()
    assert session.refresh_page() is None, "not again within the time that a page takes"
    session._page._next = 0.0
    session.run.measure(session.selected[1])
    assert session.refresh_page() is None, "its place is reported once"
    assert "2 of 2 so far" in page.read_text()
    session.end()
    assert session.report_path == page
    assert "Still measuring" not in page.read_text()


def test_the_path_of_the_page_is_printed_when_it_is_there(start_session, monkeypatch):
    monkeypatch.setattr("bench.pytest_plugin.run_page.LIVE_AFTER", 0.0)
    session = start_session("yolov8n,yolo11n")
    session.run.measure(session.selected[0])
    write = session._page.write
    monkeypatch.setattr(session._page, "write", lambda *_: 1 / 0)
    assert session.refresh_page() is None
    monkeypatch.setattr(session._page, "write", write)
    session._page._next = 0.0
    assert session.refresh_page().is_file()


def test_a_short_run_spends_nothing_on_it(start_session):
    session = start_session("yolov8n,yolo11n")
    session.run.measure(session.selected[0])
    assert session.refresh_page() is None


def test_a_run_that_was_stopped_between_two_cases_can_be_gone_on_with(start_session):
    session = start_session("yolov8n,yolo11n")
    session.run.measure(session.selected[0])
    assert resumable(session) == session.store.run


@pytest.mark.parametrize("models", ["yolov8n,yolo11n", "yolov8n,broken"])
def test_a_run_that_is_over_is_not(start_session, models):
    session = start_session(models, processes="2")
    measure_all(session)
    assert resumable(session) == ""
