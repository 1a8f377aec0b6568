"""``--resume`` under other limits, and a run on a system that tells nothing, with workers that are played."""

import os

import msgspec
import psutil
import pytest

from bench.machine import conditions as asked
from bench.machine.description import Limits
from bench.records import store
from tests.end_to_end.cli.sessions import face, measure_all

__all__ = ["face"]


def limited(monkeypatch, **limits):
    monkeypatch.setattr(asked, "limits", lambda: Limits(**limits))


def test_resume_measures_again_what_was_measured_under_other_limits(face, monkeypatch):
    limited(monkeypatch)
    first = face("yolov8n", run="mine")
    measure_all(first)
    [record] = store.read([first.store.folder])[0]
    assert record.conditions.limits == Limits()
    assert list(face("yolov8n", resume="mine").finished) == [record.name]
    limited(monkeypatch, cpu_quota=0.2)
    again = face("yolov8n", resume="mine")
    assert again.finished == {}
    measure_all(again)
    [record] = store.read([again.store.folder])[0]
    assert record.conditions.limits.cpu_quota == 0.2
    assert list(face("yolov8n", resume="mine").finished) == [record.name]
    limited(monkeypatch, cpu_quota=0.2, processors=[1])
    assert face("yolov8n", resume="mine").finished == {}


def test_resume_measures_again_what_was_measured_with_other_variables(face, launcher, monkeypatch):
    limited(monkeypatch)
    first = face("yolov8n", run="mine")
    measure_all(first)
    assert list(face("yolov8n", resume="mine").finished)
    # The very process that measures: its variables are told by the interpreter, once.
    launcher.interpreter = msgspec.structs.replace(launcher.interpreter, variables={"OMP_NUM_THREADS": "4"})
    again = face("yolov8n", resume="mine")
    assert again.finished == {}
    measure_all(again)
    [record] = store.read([again.store.folder])[0]
    assert record.conditions.variables == {"OMP_NUM_THREADS": "4"}
    assert list(face("yolov8n", resume="mine").finished)


@pytest.fixture
def silent(face, monkeypatch):
    """A system that tells nothing, and a file system that takes neither modes nor fsync."""

    def refuse(*arguments, **more):
        raise PermissionError(1, "Operation not permitted")

    names = ("virtual_memory", "swap_memory", "sensors_battery", "cpu_times", "cpu_count")
    for owner, name in (*((psutil, name) for name in names), (os, "getloadavg"), (os, "fsync"), (os, "chmod")):
        monkeypatch.setattr(owner, name, refuse, raising=False)
    monkeypatch.setattr(asked, "limits", refuse)
    monkeypatch.setattr(asked, "GOVERNOR", None)


@pytest.mark.usefixtures("silent")
def test_a_case_has_its_record_on_a_system_that_tells_nothing(face):
    session = face("yolov8n", run="mine")
    measure_all(session)
    session.end()
    [record] = store.read([session.store.folder])[0]
    assert record.outcome.status.value == "measured"
    told = msgspec.structs.asdict(record.conditions)
    assert {name: value for name, value in told.items() if value is not None} == {"variables": {}}
    assert session.report_path is not None
    assert not [note for note in session.notes if "no report" in note]
