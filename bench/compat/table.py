"""Compatibility table: the records of several environments, and whether their keys agree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec

from bench.cases import Case
from bench.cases.axes import PRECISIONS, value_label
from bench.compat.environment_run import EnvironmentRun
from bench.records.record import Record

APART = ("environment", "calibration")
"""Parts of a record that the measured versions do not fill in: what is installed, and this machine's calibration."""


class Compatibility(msgspec.Struct, frozen=True):
    """The compatibility table.

    Attributes:
        columns: headings.
        rows: one per environment, as text; empty cells where there is no result.
        shared: what all cases have in common, such as ``yolov8n, cpu``.
        reasons: sentences that cells refer to by their number, from 1.
        keys: how many keys the measured records of a case have, by the case's heading; only where several
            environments measured it and agree.
        differences: one sentence for keys that some environments have and others lack.
        fine: whether every environment measured both modes in fp32, each on every device that another one measured on,
            broke nowhere, and has the keys of the others.
        measured: how many cases were measured.
    """

    columns: list[str]
    rows: list[list[str]]
    shared: str
    reasons: list[str]
    keys: dict[str, int]
    differences: list[str]
    fine: bool
    measured: int


class Difference(msgspec.Struct, frozen=True):
    """Keys that the records of one case have in some environments and lack in others."""

    keys: tuple[str, ...]
    there: tuple[str, ...]
    lacking: tuple[str, ...]

    @property
    def fewer(self) -> tuple[str, ...]:
        """The environments that differ from most."""
        if len(self.there) == len(self.lacking):
            return self.there + self.lacking
        return min(self.there, self.lacking, key=len)

    def __str__(self) -> str:
        only = len(self.there) <= len(self.lacking)
        who = "; ".join(self.there if only else self.lacking)
        return f"{'only in' if only else 'missing in'} {who}: {', '.join(self.keys)}"


def keys(record: Record) -> frozenset[str]:
    """Return the keys of a record, and those one level deeper: ``effective.batch``, ``worker_output``."""
    names = set()
    for part, value in msgspec.to_builtins(record).items():
        if part not in APART:
            names |= {f"{part}.{key}" for key in value} if isinstance(value, dict) else {part}
    return frozenset(names)


def differences(sets: dict[str, frozenset[str]]) -> list[Difference]:
    """Return the differences between sets of keys, by environment; keys of the same environments are grouped."""
    by_owners: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for key in sorted(frozenset().union(*sets.values())):
        by_owners[tuple(name for name, there in sets.items() if key in there)].append(key)
    return [
        Difference(tuple(key_names), there, tuple(name for name in sets if name not in there))
        for there, key_names in by_owners.items()
        if len(there) < len(sets)
    ]


def compatibility(tried: Sequence[EnvironmentRun]) -> Compatibility:
    """Return the table of several environments, in their order."""
    cases = list(dict.fromkeys(record.case for run in tried for record in run.records))
    headings = _headings(cases)
    reasons: list[str] = []
    deviant: set[str] = set()
    counts: dict[str, int] = {}
    # Where several cases differ in the same way, that is said once.
    by_difference: dict[Difference, list[str]] = defaultdict(list)
    for case in cases:
        sets = {run.name: keys(run.measured[case]) for run in tried if case in run.measured}
        for difference in differences(sets):
            by_difference[difference].append(headings[case])
            deviant |= {*difference.fewer}
        if len(sets) > 1 and len(set(sets.values())) == 1:
            counts[headings[case]] = len(next(iter(sets.values())))
    expected = set().union(*map(_fp32, tried))
    results = {run.name: _result(run, cases, expected, run.name in deviant) for run in tried}
    rows = [
        [
            *_versions(run),
            *_endings(run, cases, reasons),
            f"failed {_note(run.failure, reasons)}" if run.failure else result,
        ]
        for run, result in zip(tried, results.values(), strict=True)
    ]
    return Compatibility(
        columns=["Ultralytics", "torch", "Python", *headings.values(), "result"],
        rows=rows,
        shared=", ".join(_word(cases[0], axis) for axis in cases[0].values if axis not in _varying(cases))
        if cases
        else "",
        reasons=reasons,
        keys=counts,
        differences=[f"{', '.join(where)}: {difference}" for difference, where in by_difference.items()],
        fine=all(result == "fine" for result in results.values()) and bool(results),
        measured=sum(len(run.measured) for run in tried),
    )


def _fp32(run: EnvironmentRun) -> set[tuple[str, str]]:
    """Return the modes and devices that an environment measured in fp32."""
    return {(case.mode, case.device) for case in run.measured if case.amp == "off"}


def _result(run: EnvironmentRun, cases: Iterable[Case], expected: set[tuple[str, str]], deviant: bool) -> str:
    """Describe an environment in a word or two; ``expected``: modes and devices that any measured in fp32."""
    if run.failure:
        return "failed"
    modes = {case.mode for case in cases if case.amp == "off"}
    if any(record.outcome.status.broken for record in run.records):
        return "broken"
    if not modes or expected - _fp32(run) or modes - {mode for mode, _ in _fp32(run)}:
        return "incomplete"
    return "keys differ" if deviant else "fine"


def _versions(run: EnvironmentRun) -> list[str]:
    """Return the first cells of a row: versions, or the name of an environment without a record."""
    if not run.records:
        return [run.name, "", ""]
    environment = run.records[0].environment
    return [environment.label("ultralytics"), environment.label("torch"), environment.python]


def _endings(run: EnvironmentRun, cases: Iterable[Case], reasons: list[str]) -> list[str]:
    """Describe how each case ended in an environment."""
    ended = {record.case: record.outcome for record in run.records}
    cells = []
    for case in cases:
        outcome = ended.get(case)
        word = outcome.status.value.replace("_", " ") if outcome else ""
        cells.append(f"{word} {_note(outcome.reason, reasons)}" if outcome and outcome.reason else word)
    return cells


def _note(reason: str, reasons: list[str]) -> str:
    """Return the number by which a cell refers to a reason."""
    if reason not in reasons:
        reasons.append(reason)
    return f"[{reasons.index(reason) + 1}]"


def _varying(cases: Sequence[Case]) -> list[str]:
    """Return the axes on which cases differ; the mode counts as one."""
    names = dict.fromkeys(axis for case in cases for axis in case.values)
    return [axis for axis in names if axis == "mode" or len({case.value(axis) for case in cases}) > 1]


def _headings(cases: Sequence[Case]) -> dict[Case, str]:
    """Return a column's heading for each case: its values on the axes on which cases differ."""
    axes = _varying(cases)
    return {case: " ".join(_word(case, axis) for axis in axes) for case in cases}


def _word(case: Case, axis: str) -> str:
    """Format a case's value on an axis."""
    value = case.value(axis)
    if axis == "amp":
        return PRECISIONS[value]
    return (
        case.model_name if axis == "model" else str(value) if axis in ("mode", "device") else value_label(axis, value)
    )
