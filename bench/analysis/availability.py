"""Records that only answer whether a precision is available: they are no cases, and are one line of text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from bench.cases.availability import unavailable_lines, why_unavailable
from bench.records.indexed import Facts, facts_of
from bench.records.outcome import Outcome, Status
from bench.records.record import Record

if TYPE_CHECKING:
    import pandas as pd

AVAILABILITY = "availability"
"""Key in a record's ``extra``: the case only asked whether a precision is available, and the outcome is the answer."""


def is_unavailable(outcome: Outcome) -> bool:
    """Whether the precision of a case decided that it cannot be measured."""
    return outcome.status in (Status.SUBSTITUTED, Status.UNSUPPORTED) and "amp" in outcome.scope


def is_answer(record: Facts) -> bool:
    """Whether a record only answers whether a precision is available."""
    return AVAILABILITY in record.extra


def without_answers(table: pd.DataFrame, records: Sequence[Record]) -> pd.DataFrame:
    """Return the rows of cases, without those that only say that a precision is not available; all if none is left."""
    facts = facts_of(records)
    cases = table[[not is_answer(facts[int(index)]) for index in table.index]]
    return cases if len(cases) else table


def answer_lines(records: Iterable[Facts]) -> list[str]:
    """Return lines such as ``AMP: not available on cpu (Ultralytics turns it off)`` on all answers among records."""
    records = list(records)
    answers = [record for record in records if is_answer(record)]
    reasons = [why_unavailable(record.case) or record.outcome.reason.rstrip(".") for record in answers]
    modes = {record.case.mode for record in records}
    return unavailable_lines(zip((record.case for record in answers), reasons, strict=True), modes)
