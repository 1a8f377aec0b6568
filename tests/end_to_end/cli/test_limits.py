"""``--resume`` under other limits, and a run on a system that tells nothing, with workers that are played."""

import os

import msgspec
import psutil
import pytest

from bench import extensions
from bench.machine import conditions as asked
from bench.machine.description import Limits
from bench.records import store
from tests.end_to_end.cli.sessions import measure_all, start_session

__all__ = ["start_session"]


def limited(monkeypatch, **limits):
    monkeypatch.setattr(asked, "limits", lambda: Limits(**limits))


def test_resume_measures_again_what_was_measured_under_other_limits(start_session, monkeypatch):
    limited(monkeypatch)
    first = start_session("yolov8n", run="mine")
    measure_all(first)
    [record] = store.read([first.store.folder])[0]
    assert record.conditions.limits == Limits()
    assert list(start_session("yolov8n", resume="mine").finished) == [record.name]
    limited(monkeypatch, cpu_quota=0.2)
    again = start_session("yolov8n", resume="mine")
    assert again.finished == {}
    measure_all(again)
    [record] = store.read([again.store.folder])[0]
    assert record.conditions.limits.cpu_quota == 0.2
    assert list(start_session("yolov8n", resume="mine").finished) == [record.name]
    limited(monkeypatch, cpu_quota=0.2, processors=[1])
    assert start_session("yolov8n", resume="mine").finished == {}


def test_resume_measures_again_what_was_measured_with_other_variables(start_session, launcher, monkeypatch):
    limited(monkeypatch)
    first = start_session("yolov8n", run="mine")
    measure_all(first)
    assert list(start_session("yolov8n", resume="mine").finished)
    # The very process that measures: its interpreter reports its variables, once.
    launcher.interpreter = msgspec.structs.replace(launcher.interpreter, variables={"OMP_NUM_THREADS": "4"})
    again = start_session("yolov8n", resume="mine")
    assert again.finished == {}
    measure_all(again)
    [record] = store.read([again.store.folder])[0]
    assert record.conditions.variables == {"OMP_NUM_THREADS": "4"}
    assert list(start_session("yolov8n", resume="mine").finished)


def test_resume_measures_again_what_was_measured_with_another_extension(start_session, tmp_path, monkeypatch):
    monkeypatch.setattr(extensions, "_loaded", {})
    monkeypatch.setenv(extensions.VARIABLE, "")
    first = start_session("yolov8n", run="mine")
    measure_all(first)
    file = tmp_path / "toy.py"
    file.write_text("# one")
    extensions.load([str(file)])
    again = start_session("yolov8n", resume="mine")
    assert again.finished == {}
    measure_all(again)
    [record] = store.read([again.store.folder])[0]
    assert record.extra["extensions"] == extensions.digests() != {}
    assert list(start_session("yolov8n", resume="mine").finished) == [record.name]
    extensions._loaded.clear()
    file.write_text("# another")
    extensions.load([str(file)])
    assert start_session("yolov8n", resume="mine").finished == {}


@pytest.fixture
def silent(start_session, monkeypatch):
    """A system that tells nothing, and a file system that takes neither modes nor fsync."""

    def refuse(*arguments, **more):
        raise PermissionError(1, "Operation not permitted")

    names = ("virtual_memory", "swap_memory", "sensors_battery", "cpu_times", "cpu_count")
    for owner, name in (*((psutil, name) for name in names), (os, "getloadavg"), (os, "fsync"), (os, "chmod")):
        monkeypatch.setattr(owner, name, refuse, raising=False)
    monkeypatch.setattr(asked, "limits", refuse)
    monkeypatch.setattr(asked, "GOVERNOR", None)


@pytest.mark.usefixtures("silent")
def test_a_case_has_its_record_on_a_system_that_tells_nothing(start_session):
    session = start_session("yolov8n", run="mine")
    measure_all(session)
    session.end()
    [record] = store.read([session.store.folder])[0]
    assert record.outcome.status.value == "measured"
    conditions = msgspec.structs.asdict(record.conditions)
    assert {name: value for name, value in conditions.items() if value is not None} == {"variables": {}}
    assert session.report_path is not None, session.notes
    assert not [note for note in session.notes if "no report" in note]
