"""Records that only answer whether a precision is available: they are no cases, and are one line of text."""

from __future__ import annotations

from collections.abc import Iterable

from bench.cases.availability import unavailable_lines, why_unavailable
from bench.records.outcome import Outcome, Status
from bench.records.record import Record

AVAILABILITY = "availability"
"""Key in a record's ``extra``: the case only asked whether a precision is available, and the outcome is the answer."""


def is_unavailable(outcome: Outcome) -> bool:
    """Whether the precision of a case decided that it cannot be measured."""
    return outcome.status in (Status.SUBSTITUTED, Status.UNSUPPORTED) and "amp" in outcome.scope


def is_answer(record: Record) -> bool:
    """Whether a record only answers whether a precision is available."""
    return AVAILABILITY in record.extra


def answer_lines(records: Iterable[Record]) -> list[str]:
    """Return lines such as ``AMP: not available on cpu (Ultralytics turns it off)`` on all answers among records."""
    records = list(records)
    answers = [record for record in records if is_answer(record)]
    reasons = [why_unavailable(record.case) or record.outcome.reason.rstrip(".") for record in answers]
    modes = {record.case.mode for record in records}
    return unavailable_lines(zip((record.case for record in answers), reasons, strict=True), modes)
