"""The machine, its software and its conditions, as texts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from bench.formatting import format_bytes
from bench.machine.description import Machine
from bench.records.ceiling import Ceiling
from bench.records.record import Record
from bench.report import labels
from bench.report.conditions import format_conditions, format_variables
from bench.report.inputs import MachineInputs
from bench.report.sections.section import Section

Facts = list[tuple[str, str]]
"""Headings with their text."""

Provenanced = Record | Ceiling
"""Results that contain their machine, software and conditions."""


def machine_facts(records: Sequence[Provenanced]) -> Facts:
    """Return the main facts of one machine; values that differ between cases become a range or a list."""
    cases = [record for record in records if isinstance(record, Record)]
    measured = sum(record.outcome.status.value == "measured" for record in cases)
    facts = [
        ("Machine", records[0].machine.title),
        ("Software", software(records)),
        ("CPU threads", _list(_threads(record) for record in records)),
        ("Conditions", format_conditions([record.conditions for record in cases or records])),
        ("Variables", format_variables([record.conditions for record in cases or records])),
        ("Cases", f"{measured} of {len(cases)} measured, {_days(cases)}" if cases else ""),
    ]
    return [(heading, text) for heading, text in facts if text]


def details(records: Sequence[Provenanced]) -> Facts:
    """Return the further facts of a machine."""
    facts = [
        *_devices([record for record in records if isinstance(record, Record)]),
        ("Other packages", _list(_packages(record) for record in records)),
        ("Runs", _list(record.run for record in records)),
        *identity(records[0].machine),
    ]
    return [(heading, text) for heading, text in facts if text]


def identity(machine: Machine) -> Facts:
    """Return the hash of a machine's hardware and system, and its ID where it has one."""
    return [("Machine type", machine.fingerprint), *([("Machine ID", machine.id)] if machine.id else [])]


def software(records: Sequence[Provenanced]) -> str:
    """Format all versions of the software: ``Python 3.12.4 · torch 2.14.1 · Ultralytics 8.4.100 · yolopace 0.1.0``."""
    parts = (
        ("Python", _list(record.environment.python for record in records)),
        ("torch", _list(record.environment.label("torch") for record in records)),
        ("Ultralytics", _list(record.environment.label("ultralytics") for record in records)),
        ("yolopace", _list(record.environment.yolopace for record in records)),
    )
    return " · ".join(f"{name} {versions}" for name, versions in parts if versions)


def _list(values: Iterable[str]) -> str:
    return ", ".join(labels.to_one_line(value) for value in dict.fromkeys(values) if value)


def _packages(record: Provenanced) -> str:
    known = ("torch", "ultralytics")
    return " · ".join(
        f"{name} {record.environment.label(name)}" for name in record.environment.packages if name not in known
    )


def _threads(record: Provenanced) -> str:
    threads = record.effective.get("threads")
    return "" if threads is None else f"{labels.setting(threads)} of {labels.count(record.machine.cores, 'core')}"


def _days(records: Sequence[Record]) -> str:
    days = sorted({record.started[:10] for record in records})
    return days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"


def _devices(records: Sequence[Record]) -> Facts:
    """Return the recorded facts of each device."""
    by_device: dict[str, dict[str, None]] = {}
    for record in records:
        if record.device:
            text = " · ".join(f"{key.replace('_', ' ')} {_fact(key, value)}" for key, value in record.device.items())
            by_device.setdefault(labels.device(record.case.device), {})[text] = None
    return [(f"Device {device}", "; ".join(texts)) for device, texts in by_device.items()]


def _fact(key: str, value: Any) -> str:
    if "memory" in key and isinstance(value, int):
        return format_bytes(value)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else labels.setting(value)


class Provenance(msgspec.Struct, frozen=True):
    """Facts of a machine that are visible, and details that are collapsed."""

    facts: Facts
    details: Facts


def build(machine: MachineInputs) -> Provenance:
    """Return the facts of a machine."""
    records: list[Provenanced] = [*machine.records, *machine.ceilings]
    if records:
        unavailable = [("Unavailable", text) for text in machine.unavailable]
        return Provenance([*machine_facts(records), *unavailable], details(records))
    return Provenance([("Machine", machine.machine.title)], identity(machine.machine))


SECTION = Section("provenance", "", build, template="provenance", question="")
