"""Cases without a figure, gathered by what kept them from one."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from bench.records.record import Record
from bench.report import labels

LOG_SHOWN = 2000
"""Characters of a log that are shown: its end, where the error stands."""


class Case(msgspec.Struct, frozen=True):
    """A case without a figure; ``remark`` is what its own reason says beyond that of its group."""

    label: str
    id: str
    remark: str
    log: str


class Group(msgspec.Struct, frozen=True):
    """Cases that ended the same way for the same reason.

    Attributes:
        status: in words.
        reason: one sentence.
        broken: whether something is wrong that the user should look into.
        cases: at least one.
    """

    status: str
    reason: str
    broken: bool
    cases: tuple[Case, ...]


def common_reason(record: Record) -> str:
    """The reason, less what differs between cases that have it in common: the seconds that were left."""
    reason = record.outcome.reason
    return re.sub(r"\d[\d.,]*", "…", reason) if record.outcome.status.value == "interrupted" else reason


def _remark(record: Record, shown: str) -> str:
    """What there is to say of a record beyond the reason of its group."""
    if other := record.extra.get("settled_by"):
        return f"not started: {other} showed it"
    return "" if record.outcome.reason == shown else record.outcome.reason


def groups(records: Sequence[Record]) -> list[Group]:
    """All records that are not measured, gathered; groups that need looking into come first."""
    gathered: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        if record.outcome.status.value != "measured":
            gathered.setdefault((record.outcome.status.value, common_reason(record)), []).append(record)
    found = []
    for (status, reason), members in gathered.items():
        broken = members[0].outcome.status.broken
        shown = members[0].outcome.reason if len(members) == 1 else reason
        cases = tuple(
            Case(
                label=labels.case({**msgspec.structs.asdict(record.case), "model": record.case.model_name}),
                id=record.case.id,
                remark=_remark(record, shown),
                log=record.log[-LOG_SHOWN:].strip() if broken else "",
            )
            for record in members
        )
        found.append(Group(labels.status(status), shown, broken, cases))
    return sorted(found, key=lambda group: not group.broken)
