"""Requested and effective settings of the measured cases of one mode."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from bench.cases.axes import NOT_ASKED, axes, fixed_axes
from bench.records.record import Record
from bench.report import labels
from bench.report.sections.section import Section
from bench.report.setting_names import TITLES, format_value

READ_BACK = {axis.setting for axis in fixed_axes().values() if axis.setting}
"""Settings that are also fixed axes of a case."""

BRIEF = ("threads", "workers", "optimizer", "accumulate", "mosaic", "channels_last", "nms", "cudnn_tf32", "matmul_tf32")
"""Settings that change speed most; they are shown in a separate line."""

NOT_SET = "not set"
"""Text for a setting that was not requested, so that Ultralytics and torch decide."""

PINNED_AS = {"compiled": "compile"}
"""Arguments that fix a setting which is read back under a different name."""

GIVEN = (
    *("architecture", "weights", "scale", "parameters", "frozen", "classes", "channels", "head", "reg_max", "strides"),
    *("images", "images_dropped"),
)
"""Settings that come from the model and the data, which no recipe requests."""


class Setting(msgspec.Struct, frozen=True):
    """One setting.

    Attributes:
        key: name under which the worker read it back.
        title: heading.
        asked: requested value, fixed by the recipe.
        ran: each effective value with its cases; the cases are empty if all have the same value.
    """

    key: str
    title: str
    asked: str
    ran: tuple[tuple[str, str], ...]

    @property
    def values(self) -> list[str]:
        """Each effective value, with its cases."""
        return [f"{value} ({cases})" if cases else value for value, cases in self.ran]


class Settings(msgspec.Struct, frozen=True):
    """Settings of one mode.

    Attributes:
        mode: heading.
        cases: number of measured cases.
        kept: one sentence on whether the effective values of the axes are the requested ones.
        shown: all settings.
    """

    mode: str
    cases: int
    kept: str
    shown: tuple[Setting, ...]

    def rows(self) -> list[list[str]]:
        """Return all settings as rows of text: setting, requested, effective."""
        return [
            [s.key if s.title == s.key else f"{s.key} ({s.title})", s.asked, "\n".join(s.values)] for s in self.shown
        ]

    @property
    def brief_parts(self) -> list[tuple[str, str]]:
        """Settings that change speed most, with their values."""
        return [(s.key, ", ".join(s.values)) for s in self.shown if s.key in BRIEF]


def settings(records: Sequence[Record]) -> list[Settings]:
    """Return the settings of each mode that has measured cases with effective settings."""
    measured = [r for r in records if r.outcome.status.value == "measured" and r.effective]
    by_mode = []
    for mode in labels.order("mode", (record.case.mode for record in measured)):
        members = [record for record in measured if record.case.mode == mode]
        present = {key for record in members for key in record.effective} - READ_BACK
        keys = [key for key in TITLES if key in present] + sorted(present - set(TITLES))
        shown = tuple(Setting(key, TITLES.get(key, key), _asked(key, members), _ran(key, members)) for key in keys)
        by_mode.append(Settings(labels.mode(mode), len(members), _kept(members), shown))
    return by_mode


def in_short(record: Record) -> str:
    """Compare the requested and effective axes of a case, and format the settings that change speed most."""
    ran = record.effective
    changed = _changed(record)
    brief = [f"{key} {format_value(ran[key])}" for key in BRIEF if key in ran]
    kept = f"differs from the request: {labels.listing(changed)}" if changed else "ran as requested"
    return f"{kept}, {', '.join(brief)}"


def _kept(records: Sequence[Record]) -> str:
    """Say whether device, precision, batch and size ran as the cases say; otherwise the labels would be false."""
    changed = [f"{record.case.id} ({change})" for record in records for change in _changed(record)]
    if changed:
        return f"Differs from the request: {labels.listing(changed)}."
    return f"Device, amp, batch and image size ran as requested in {labels.count(len(records), 'measured case')}."


def _changed(record: Record) -> list[str]:
    """Return the axes whose effective value differs from the case, with that value."""
    ran, values = record.effective, record.case.values
    compared = [(axis, axis.expected(values[name])) for name, axis in axes().items() if axis.setting and name in values]
    return [
        f"{axis.name} {ran[axis.setting]}"
        for axis, wanted in compared
        if axis.setting in ran and ran[axis.setting] != wanted
    ]


def _asked(key: str, records: Sequence[Record]) -> str:
    values = dict.fromkeys(_fixed(key, record) for record in records)
    return " or ".join(values)


def _fixed(key: str, record: Record) -> str:
    for axis, value in record.case.asked:
        if axis.setting == key:
            return axis.text(value)
    if key == "threads" and record.recipe.threads:
        return labels.setting(record.recipe.threads)
    override = PINNED_AS.get(key, key)
    if override in record.recipe.overrides:
        return labels.setting(record.recipe.overrides[override])
    return labels.NONE if key in GIVEN else NOT_SET


def _ran(key: str, records: Sequence[Record]) -> tuple[tuple[str, str], ...]:
    """Return each value with its cases, named by the single axis that decides the value if there is one."""
    by_value: dict[str, list[Record]] = {}
    for record in records:
        if key in record.effective:
            by_value.setdefault(format_value(record.effective[key]), []).append(record)
    if len(by_value) == 1:
        return ((next(iter(by_value)), ""),)
    names = dict.fromkeys(name for record in records for name in labels.case_axes(record.case.values))
    for axis in sorted(names, key=lambda name: name == "model"):
        owners: dict[Any, set[str]] = {}
        for value, members in by_value.items():
            for record in members:
                owners.setdefault(_named(record, axis), set()).add(value)
        if all(len(values) == 1 for values in owners.values()):
            return tuple(
                (value, ", ".join(labels.axis_value(axis, v) for v in labels.order(axis, _values(axis, members))))
                for value, members in by_value.items()
            )
    return tuple((value, labels.count(len(members), "case")) for value, members in by_value.items())


def _values(axis: str, records: Sequence[Record]) -> list[Any]:
    return [_named(record, axis) for record in records]


def _named(record: Record, axis: str) -> Any:
    return labels.case_values(record.case).get(axis, NOT_ASKED)


SECTION = Section(
    "settings", "", lambda machine: settings(machine.records) or None, template="settings", question="settings"
)
