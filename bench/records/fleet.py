"""The machines of a fleet's run and what each is to measure, in the folder of the run, for status and ``--resume``."""

from __future__ import annotations

from typing import Any

import msgspec

FILE_NAME = ".fleet.json"
"""Name of the file in the folder of the run, whose folders are those of the machines."""

SCHEMA = 1


class FleetMachine(msgspec.Struct, kw_only=True):
    """One machine of a fleet.

    Attributes:
        address: ``here``, or its address for ssh.
        python: interpreter there; empty for the usual one.
        options: options of a run for this machine alone.
        lock: lock that is held while measuring.
        planned: names of its processes of cases and of its ceilings; of all machines together where they share cases.
        left: names of those that are not measured yet.
        running: what it measures now; empty for nothing.
        state: such as ``measuring`` or ``lost``.
        note: a sentence on the state.
    """

    address: str
    python: str = ""
    options: dict[str, Any] = {}
    lock: str = "machine"
    planned: list[str] = []
    left: list[str] = []
    running: str = ""
    state: str = ""
    note: str = ""


class FleetRun(msgspec.Struct, kw_only=True):
    """One run on several machines.

    Attributes:
        schema: number of this format.
        started: when, in UTC.
        spread: whether the machines share the cases.
        options: options of the run, by name.
        extensions: digests of the user's extensions, by name.
        machines: by name, which is that of the folder of their records.
    """

    schema: int = SCHEMA
    started: str
    spread: bool = False
    options: dict[str, Any] = {}
    extensions: dict[str, str] = {}
    machines: dict[str, FleetMachine] = {}

    @property
    def file_name(self) -> str:
        """Name of the file in the folder of the run."""
        return FILE_NAME
