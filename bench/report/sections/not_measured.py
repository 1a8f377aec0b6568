"""Cases without a figure, grouped by status and reason."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from bench.analysis.flags import failed
from bench.analysis.table import cases_at
from bench.records.record import Record
from bench.report import labels
from bench.report.inputs import MachineInputs
from bench.report.sections.section import Section

LOG_SHOWN = 2000
"""Maximum length of a shown log, in characters: its end, which contains the error."""


class Case(msgspec.Struct, frozen=True):
    """A case without a figure; ``remark`` is its own reason if it differs from that of its group."""

    label: str
    id: str
    remark: str
    log: str


class Group(msgspec.Struct, frozen=True):
    """Cases, or processes of measured cases, with the same status and reason.

    Attributes:
        status: as text.
        reason: one sentence.
        broken: whether something is wrong that the user should look into.
        cases: at least one.
        repeats: whether they are processes of cases that have a figure from other processes.
    """

    status: str
    reason: str
    broken: bool
    cases: tuple[Case, ...]
    repeats: bool = False

    @property
    def count(self) -> str:
        """Number of cases: ``2 cases``, ``1 process of a measured case``."""
        number = len(self.cases)
        if not self.repeats:
            return labels.count(number, "case")
        return "1 process of a measured case" if number == 1 else f"{number:,} processes of measured cases"


BUDGET = re.compile(r"Not started: about .* needed, .* of the time budget left\.")


def common_reason(record: Record) -> str:
    """Return the reason without the details that differ between cases: the seconds that were left."""
    return BUDGET.sub("Not started: time budget used up.", record.outcome.reason)


def format_reason(record: Record) -> str:
    """Format status and reason: ``substituted: amp on requested, ...``."""
    return f"{labels.status(record.outcome.status.value)}: {common_reason(record)}"


def _remark(record: Record, shown: str) -> str:
    """Return a remark on a record that the reason of its group does not contain."""
    if other := record.extra.get("skipped_because_of"):
        return f"not started: {other} showed it"
    return "" if record.outcome.reason == shown else record.outcome.reason


def groups(records: Sequence[Record], repeats: bool = False) -> list[Group]:
    """Group all records that are not measured; groups that need attention come first.

    Args:
        records: one per case.
        repeats: whether they are processes of cases that have a figure from other processes.
    """
    gathered: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        if record.outcome.status.value != "measured":
            gathered.setdefault((record.outcome.status.value, common_reason(record)), []).append(record)
    failure_groups = []
    for (status, reason), members in gathered.items():
        broken = members[0].outcome.status.broken
        shown = members[0].outcome.reason if len(members) == 1 else reason
        cases = tuple(
            Case(
                label=labels.whole_case(record.case)
                + (f", process {record.process}" if repeats or record.process > 1 else ""),
                id=record.name,
                remark=_remark(record, shown),
                log=record.worker_output[-LOG_SHOWN:].strip() if broken else "",
            )
            for record in members
        )
        failure_groups.append(Group(labels.status(status), shown, broken, cases, repeats))
    return sorted(failure_groups, key=lambda group: not group.broken)


def build(machine: MachineInputs) -> list[Group] | None:
    """Group the cases of a machine without a figure, and failed processes of measured cases."""
    failure_groups = groups(machine.records) + groups(_failed_repeats(machine), repeats=True)
    return sorted(failure_groups, key=lambda group: not group.broken) or None


def _failed_repeats(machine: MachineInputs) -> list[Record]:
    """Return failed processes of cases that have a figure from another process."""
    cases = cases_at(machine.page.records, machine.measured.index)
    return [record for case in cases.values() for record in case if failed(record)]


SECTION = Section("not_measured", "", build, template="not_measured", question="missing")
