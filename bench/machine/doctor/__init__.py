"""Checks of what this machine can measure, with remedies: a row for each backend and each meter.

It judges the facts of ``bench/machine/system_info.py`` and ``interpreter_info.py``.
"""

from __future__ import annotations

from collections.abc import Sequence

from bench.cases.device_kinds import kinds
from bench.machine.doctor.backends import backends
from bench.machine.doctor.check import Check, State
from bench.machine.doctor.meters import meters
from bench.machine.interpreter_info import Software
from bench.machine.system_info import SystemInfo

__all__ = ["Check", "State", "devices_of", "examine"]


def devices_of(checks: Sequence[Check]) -> tuple[list[str], list[str]]:
    """Return the devices that can be measured, named as in cases, and those that cannot."""
    usable: list[str] = []
    missing: list[str] = []
    for check in checks:
        kind, _, number = check.name.partition(" ")
        if kind not in kinds() or (number and not number.isdigit()):
            continue
        if not number and any(other.name.startswith(f"{kind} ") for other in checks):
            continue  # its devices have rows of their own
        name = kinds()[kind].device(int(number)) if number else kind
        (missing if check.status is State.UNUSABLE else usable).append(name)
    return usable, missing


def examine(machine: SystemInfo, software: Software) -> list[Check]:
    """Return all rows: the interpreter, backends, then meters and conditions."""
    return [*backends(machine, software), *meters(machine, software)]
