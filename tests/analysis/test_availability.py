from __future__ import annotations

import pytest

from bench.analysis.availability import AVAILABILITY, answer_lines, is_answer, is_unavailable
from bench.records.outcome import Outcome, Status
from tests.builders import make_record


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (Outcome(Status.SUBSTITUTED, "No.", ("mode", "device", "amp")), True),
        (Outcome(Status.UNSUPPORTED, "No.", ("mode", "amp")), True),
        (Outcome(Status.UNSUPPORTED, "No.", ("device",)), False),
        (Outcome(Status.FAILED, "No.", ("amp",)), False),
        (Outcome(Status.MEASURED), False),
    ],
)
def test_the_precision_decided_the_outcome(outcome: Outcome, expected: bool) -> None:
    assert is_unavailable(outcome) is expected


def test_lines_on_the_answers_among_records() -> None:
    answer = make_record(amp="on", status="substituted", extra={AVAILABILITY: True})
    other = make_record(device="xpu", amp="on", status="unsupported", reason="Not here.", extra={AVAILABILITY: True})
    records = [make_record(), answer, make_record(device="0", amp="on", status="substituted"), other]
    assert [is_answer(record) for record in records] == [False, True, False, True]
    assert answer_lines(records) == [
        "AMP: not available on cpu (Ultralytics turns it off)",
        "AMP: not available on xpu (Not here)",
    ]
