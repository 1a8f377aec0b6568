"""Messages between runner and worker: they survive JSON, and wrong ones are named."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bench.worker import protocol
from bench.worker.message_json import (
    ProtocolError,
    as_dict,
    assignment_from_json,
    event_from_json,
    job_from_json,
    setup_from_json,
    to_json,
)
from bench.worker.protocol import (
    Assignment,
    CaseJob,
    DataJob,
    Event,
    ExportJob,
    JobEnded,
    Measured,
    OverheadJob,
    PhaseBegan,
    PlainJob,
    ProcessSetup,
    RequestedAxis,
    Window,
)
from tests.jobs import case_job

JOBS: list[Any] = [
    case_job(asked=[RequestedAxis("workers", "2", ["workers"], "workers", 2)], loss_scale=1024.0, memory_limit=0),
    PlainJob("ultralytics", {"mode": "train"}, {"nbs": 64}, 0, "data.yaml", "/nowhere", 9, 3, 2, 0.0),
    DataJob("ultralytics", "coco-like", "/cache", made=True, images=32),
    ExportJob("ultralytics", {"mode": "predict"}, {"conf": 0.25}, "data.yaml", "/cache/exports", "/nowhere"),
    OverheadJob(),
]


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.kind)
def test_jobs_survive_json(job: Any) -> None:
    assert job_from_json(to_json(job)) == job
    assignment = Assignment(ProcessSetup("ultralytics", "/config", imported={"torch": {}}, extensions=["/a.py"]), job)
    assert assignment_from_json(to_json(assignment)) == assignment
    assert setup_from_json(to_json(assignment.setup)) == assignment.setup


def test_every_kind_of_job_is_tried_above() -> None:
    assert {job.kind for job in JOBS} == set(protocol.JOBS)


EVENTS = [
    PhaseBegan("window", 18, 6, 24, at=1.5),
    Measured({}, {}, {}, energy={"joules": 1.0}),
    JobEnded("failed", "No."),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.event)
def test_events_survive_json(event: Event) -> None:
    assert event_from_json(to_json(event)) == event


def test_events_have_names_of_their_own() -> None:
    names = [kind.event for kind in Event.__subclasses__()]
    assert len(set(names)) == len(names) and all(names)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"kind": "race"}, "kind 'race' is unknown: use case, plain, data, export, overhead"),
        ({"mend": True}, "case: unknown field 'mend'"),
        ({"threads": "2"}, "case.threads: '2' is no int"),
        ({"threads": True}, "case.threads: True is no int"),
        ({"with_val": 1}, "case.with_val: 1 is no bool"),
        ({"window": 3}, "case.window: 3 is no Window"),
        ({"window": {"warmup_seconds": 0.0}}, "case.window: missing field 'window_steps'"),
        ({"asked": [{"axis": 1}]}, "case.asked: missing field 'text'"),
        ({"memory_limit": "1G"}, "case.memory_limit: '1G' is no int"),
    ],
)
def test_a_wrong_job_is_named_by_its_field(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ProtocolError) as error:
        job_from_json(json.dumps({**as_dict(case_job()), **change}))
    assert str(error.value) == sentence


@pytest.mark.parametrize("text", ["", "[]", "{", "null"])
def test_what_is_no_json_object_is_refused(text: str) -> None:
    with pytest.raises(ProtocolError, match="is no JSON"):
        event_from_json(text)


def test_a_missing_field_of_an_event_is_named() -> None:
    with pytest.raises(ProtocolError, match="ended: missing field 'status'"):
        event_from_json('{"event": "ended"}')


def test_whole_numbers_pass_for_floats_and_none_where_it_may_be() -> None:
    job = job_from_json(json.dumps({**as_dict(case_job()), "extra_seconds": 3, "loss_scale": None}))
    assert isinstance(job, CaseJob) and job.extra_seconds == 3
    assert job.window == Window(0.0, 1, 0.0)
