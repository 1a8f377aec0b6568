"""How a case ended."""

from __future__ import annotations

from enum import Enum

import msgspec


class Status(Enum):
    """The ways in which a case can end."""

    MEASURED = "measured"
    SUBSTITUTED = "substituted"
    OUT_OF_MEMORY = "out_of_memory"
    UNSUPPORTED = "unsupported"
    INVALID = "invalid"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    INTERRUPTED = "interrupted"

    @property
    def final(self) -> bool:
        """Whether another measurement of the case is expected to end the same way."""
        return self in (Status.MEASURED, Status.SUBSTITUTED, Status.OUT_OF_MEMORY, Status.UNSUPPORTED)

    @property
    def broken(self) -> bool:
        """Whether the status is an error that the user should look into."""
        return self in (Status.INVALID, Status.FAILED, Status.TIMED_OUT)


class Outcome(msgspec.Struct, frozen=True):
    """How a case ended; all but ``measured`` have a reason.

    Attributes:
        status: one of :class:`Status`.
        reason: one sentence for the user.
        scope: fields of the case that decided it; every case that agrees on them ends the same way. Empty: this case.
    """

    status: Status
    reason: str = ""
    scope: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (self.status is Status.MEASURED) == bool(self.reason):
            raise ValueError(f"{self.status.value}: every status but 'measured' needs a reason, and only those")
