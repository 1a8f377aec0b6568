"""What can be measured on this machine, and what would have to be done: a row for each backend and each meter.

Judges what was asked elsewhere (``bench/machine/info.py`` and ``software.py``), so that any machine can be played
to it.
"""

from __future__ import annotations

from bench.machine.doctor.backends import backends
from bench.machine.doctor.check import Check, State
from bench.machine.doctor.meters import meters
from bench.machine.info import SystemInfo
from bench.machine.interpreter_info import Software

__all__ = ["Check", "State", "examine"]


def examine(machine: SystemInfo, software: Software) -> list[Check]:
    """All rows: the interpreter, backends, then meters and conditions."""
    return [*backends(machine, software), *meters(machine, software)]
