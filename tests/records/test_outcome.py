from __future__ import annotations

import msgspec
import pytest

from bench.records import Outcome, Status

OTHERS = [status for status in Status if status is not Status.MEASURED]


def test_the_statuses_of_the_design() -> None:
    assert {status.value for status in Status} == {
        "measured",
        "substituted",
        "out_of_memory",
        "unsupported",
        "invalid",
        "failed",
        "timed_out",
        "interrupted",
    }


@pytest.mark.parametrize("status", OTHERS)
def test_all_but_measured_need_a_reason(status: Status) -> None:
    assert Outcome(status, "Because.").reason == "Because."
    with pytest.raises(ValueError, match="needs a reason"):
        Outcome(status)


def test_measured_has_no_reason() -> None:
    assert Outcome(Status.MEASURED).reason == ""
    with pytest.raises(ValueError, match="needs a reason"):
        Outcome(Status.MEASURED, "Because.")


def test_what_need_not_be_measured_again() -> None:
    assert {status.value for status in Status if status.final} == {
        "measured",
        "substituted",
        "out_of_memory",
        "unsupported",
    }


def test_what_the_user_should_look_into() -> None:
    assert {status.value for status in Status if status.broken} == {"invalid", "failed", "timed_out"}
    assert not any(status.broken and status.final for status in Status)


@pytest.mark.parametrize("status", Status)
def test_round_trip(status: Status) -> None:
    outcome = Outcome(status, "" if status is Status.MEASURED else "Because.", ("mode", "amp"))
    assert msgspec.json.decode(msgspec.json.encode(outcome), type=Outcome) == outcome


def test_a_file_without_the_reason_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="needs a reason"):
        msgspec.json.decode(b'{"status": "failed"}', type=Outcome)
