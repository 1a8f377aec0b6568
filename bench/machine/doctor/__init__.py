"""Checks of what this machine can measure, with remedies: a row for each backend and each meter.

It judges the facts of ``bench/machine/system_info.py`` and ``interpreter_info.py``.
"""

from __future__ import annotations

from bench.machine.doctor.backends import backends
from bench.machine.doctor.check import Check, State
from bench.machine.doctor.meters import meters
from bench.machine.interpreter_info import Software
from bench.machine.system_info import SystemInfo

__all__ = ["Check", "State", "examine"]


def examine(machine: SystemInfo, software: Software) -> list[Check]:
    """Return all rows: the interpreter, backends, then meters and conditions."""
    return [*backends(machine, software), *meters(machine, software)]
