"""A machine, its limits and its conditions, as records have them."""

from __future__ import annotations

import re

import msgspec

from bench.cases.fingerprints import digest

SHORT_ID = 6
"""Number of digits of an ID, or of a fingerprint, that names show."""


class Machine(msgspec.Struct, frozen=True):
    """Stable identity of a machine; what changes from hour to hour is in :class:`Conditions`.

    Attributes:
        fingerprint: twelve hexadecimal digits over the facts below, which machines of one type share.
        system: operating system and architecture, such as ``Linux x86_64``.
        cpu: name of the CPU.
        cores: logical processors.
        memory_gib: RAM, in whole GiB.
        gpus: names of the GPUs with their memory, such as ``NVIDIA H200 (139 GiB)``.
        id: random ID of this one machine; empty in older records, and where it could not be stored.
    """

    fingerprint: str
    system: str
    cpu: str
    cores: int
    memory_gib: int
    gpus: list[str] = []
    id: str = ""

    @property
    def key(self) -> str:
        """Identity of the machine among others: its ID, or its fingerprint where the ID is missing."""
        return self.id or self.fingerprint

    def is_same(self, other: Machine) -> bool:
        """Whether both are one machine: by their IDs, or by their fingerprints where an ID is missing."""
        return self.id == other.id if self.id and other.id else self.fingerprint == other.fingerprint

    @property
    def digest(self) -> str:
        """The fingerprint that belongs to the facts of this machine."""
        facts = {
            "fingerprint": "",
            "system": self.system,
            "cpu": self.cpu,
            "cores": self.cores,
            "memory_gib": self.memory_gib,
            "gpus": self.gpus,
        }
        return digest(facts)

    @property
    def cpu_name(self) -> str:
        """Name of the CPU for readers, without trademark signs: ``Intel Xeon Processor``."""
        return re.sub(r" *\((?:R|TM)\)", "", self.cpu, flags=re.IGNORECASE)

    @property
    def system_name(self) -> str:
        """Name of the system for readers: ``macOS arm64``."""
        return re.sub(r"^Darwin\b", "macOS", self.system)

    @property
    def title(self) -> str:
        """One line for headings."""
        parts = [*self.gpus, f"{self.cpu_name}, {self.cores} cores", f"{self.memory_gib} GiB", self.system_name]
        return " · ".join(parts)


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of a process; None for no limit.

    Attributes:
        cpu_quota: processors that its control groups let it use together.
        processors: numbers of those that it may run on (``taskset``, cpuset).
        memory_nodes: numbers of the NUMA nodes that it may take memory from.
        memory_bytes: that its control groups let it take.
        address_space_bytes, data_bytes: ``RLIMIT_AS`` and ``RLIMIT_DATA``.
    """

    cpu_quota: float | None = None
    processors: list[int] | None = None
    memory_nodes: list[int] | None = None
    memory_bytes: int | None = None
    address_space_bytes: int | None = None
    data_bytes: int | None = None


class Conditions(msgspec.Struct, frozen=True):
    """Conditions of a machine at one moment; None for unknown facts.

    Attributes:
        limits: of the process that starts workers, which have the same; None in older records, which do not say.
        variables: of the environment that change speed, as a worker finds them; None likewise.
    """

    load: float | None = None
    memory_available_bytes: int | None = None
    swap_used_bytes: int | None = None
    on_battery: bool | None = None
    governor: str | None = None
    limits: Limits | None = None
    variables: dict[str, str] | None = None

    def limited_alike(self, other: Conditions) -> bool:
        """Whether both have the same limits and variables; unknown ones of older records count as the same."""
        if (self.limits or Limits()) != (other.limits or Limits()):
            return False
        return None in (self.variables, other.variables) or self.variables == other.variables
