"""Results of pairs of processes, kept in a file as they come, so that a stopped check loses at most one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from bench.errors import UsageError
from bench.machine.fingerprint import machine
from bench.records.record import Environment


class KeptPair(msgspec.Struct, frozen=True):
    """One pair of processes.

    Attributes:
        settings: of the case, by name.
        machine: id of the machine.
        environment: fingerprint of the environment.
        number: of the pair, from 0.
        log: ``ln(case / plain loop)``.
    """

    settings: dict[str, Any]
    machine: str
    environment: str
    number: int
    log: float


class KeptPairs:
    """The pairs of one case on this machine, with these versions.

    Attributes:
        logs: ``ln(case / plain loop)`` by the number of the pair.
    """

    def __init__(self, folder: Path | None, name: str, case: msgspec.Struct, environment: Environment) -> None:
        """Read the pairs that are there; those of other settings, machines or versions do not count.

        Args:
            folder: where the file is or will be; None to keep nothing.
            name: of the case.
            case: its settings.
            environment: the measured one.

        Raises:
            UsageError: where the file cannot be read.
        """
        self.logs: dict[int, float] = {}
        self._file = folder / f"{name.replace(':', '-')}.jsonl" if folder else None
        if self._file is None:
            return
        here = machine()
        self._pair = KeptPair(msgspec.to_builtins(case), machine().key, environment.fingerprint, 0, 0.0)
        try:
            lines = self._file.read_text(encoding="utf-8").splitlines() if self._file.exists() else []
            pairs = [msgspec.json.decode(line, type=KeptPair) for line in lines if line]
        except (OSError, ValueError) as error:
            raise UsageError(f"{self._file} cannot be read: {error}. Remove it to measure again.") from error
        for pair in pairs:
            if msgspec.structs.replace(pair, number=0, log=0.0) == self._pair:
                self.logs[pair.number] = pair.log

    def add(self, number: int, log: float) -> None:
        """Add a pair, and keep it.

        Raises:
            UsageError: where the file cannot be written.
        """
        self.logs[number] = log
        if self._file is None:
            return
        line = msgspec.json.encode(msgspec.structs.replace(self._pair, number=number, log=log)).decode()
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with self._file.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as error:
            raise UsageError(f"{self._file} cannot be written: {error.strerror or error}.") from error
