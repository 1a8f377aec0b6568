"""What can be measured on this machine, and what would have to be done: a row for each backend and each meter.

Judges what was asked elsewhere (``bench/machine/survey.py`` and ``software.py``), so that any machine can be played
to it.
"""

from __future__ import annotations

from bench.machine.doctor.backends import backends
from bench.machine.doctor.meters import meters
from bench.machine.doctor.row import Row, State
from bench.machine.software import Software
from bench.machine.survey import Survey

__all__ = ["Row", "State", "examine"]


def examine(machine: Survey, software: Software) -> list[Row]:
    """All rows: the interpreter, backends, then meters and conditions."""
    return [*backends(machine, software), *meters(machine, software)]
