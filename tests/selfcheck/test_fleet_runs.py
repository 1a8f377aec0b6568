"""The check of real agents against a local run: what counts as an equal record, and what a run that fails says."""

import copy

import pytest

from bench.errors import UsageError
from bench.selfcheck import fleet_runs

RECORD = {
    "run": "alone",
    "started": "2026-11-30T06:06:35+00:00",
    "case": {"batch": 1},
    "machine": {"fingerprint": "f"},
    "steps": {"seconds": [0.1, 0.2], "images": 1, "whole": {"steps": 9}},
    "memory": {"process": {"bytes": 1, "method": "VmHWM"}},
    "window": {"pressure": {"cpu": 1.0}},
}


def changed(**places):
    """The record with other values at places such as ``memory__process__bytes``."""
    record = copy.deepcopy(RECORD)
    for place, value in places.items():
        *parents, last = place.split("__")
        inner = record
        for parent in parents:
            inner = inner[parent]
        inner[last] = value
    return record


def test_time_machine_name_and_figures_may_differ():
    other = changed(
        run="r-a", started="x", steps__seconds=[0.3], steps__whole__steps=8, memory__process__bytes=2, window={}
    )
    other["window"] = {"pressure": {"cpu": 2.0}}
    check = fleet_runs.equal_records({"a": RECORD}, [{"a": other}, {"a": RECORD}])
    assert check.figure == "2 of 2"
    assert check.how == "fields that differ: memory, run, started, steps, window"


@pytest.mark.parametrize(
    ("other", "field"),
    [
        (changed(case__batch=2), "case.batch"),
        (changed(steps__images=2), "steps.images"),
        (changed(machine__fingerprint="g"), "machine.fingerprint"),
        (changed(memory__process__method="VmRSS"), "memory.process.method"),
        (changed(memory={}), "memory.process (missing)"),
        (changed(extra=1), "extra (missing)"),
        (None, "the whole record"),
    ],
)
def test_anything_else_may_not(other, field):
    members = [{"a": RECORD}, {} if other is None else {"a": other}]
    assert fleet_runs.equal_records({"a": RECORD}, members).figure == f"1 of 2; should not: {field}"


def test_a_run_that_fails_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(fleet_runs, "OPTIONS", ("--profile", "none-such"))
    with pytest.raises(UsageError, match=r"fleet ended with 2: yolopace: profile 'none-such' is unknown"):
        fleet_runs._seconds("fleet", tmp_path, "r", "--local", "1")
