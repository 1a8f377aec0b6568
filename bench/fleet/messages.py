"""What a coordinator and the members of a fleet say to each other: one JSON object a line, checked on reading."""

from __future__ import annotations

from typing import Any

import msgspec

from bench.machine.description import Machine

MOST_BYTES = 16 * 2**20
"""Largest line of a member; a record is a hundred times smaller."""


class ExtensionFile(msgspec.Struct, frozen=True):
    """An extension that a run is measured with.

    Attributes:
        name: of its file, without ``.py``.
        digest: as records keep it.
        content: of its file.
    """

    name: str
    digest: str
    content: bytes


class Start(msgspec.Struct, tag="start", frozen=True, kw_only=True):
    """The first line for a member.

    Attributes:
        run: name of the member's run.
        lock: name of the lock that is held while measuring.
        options: options of the run, by name.
        records: contents of the record files that the coordinator has, when a run goes on.
        examine: whether the machine is examined, as by ``doctor``, and nothing is measured.
        extensions: files of the user's that are loaded first.
    """

    run: str
    lock: str
    options: dict[str, Any] = {}
    records: list[str] = []
    examine: bool = False
    extensions: list[ExtensionFile] = []


class Measure(msgspec.Struct, tag="measure", frozen=True):
    """Measure a process of a case, or search for a ceiling, by its name."""

    name: str


class GiveUp(msgspec.Struct, tag="give_up", frozen=True):
    """Record a process of a case as failed, without measuring it."""

    name: str
    reason: str


class Refine(msgspec.Struct, tag="refine", frozen=True):
    """Name a further process for ``--target-ci``, once all planned ones are over."""


class Finish(msgspec.Struct, tag="finish", frozen=True):
    """End; ``complete`` says that the coordinator has everything, so that no copy is kept."""

    complete: bool


class Planned(msgspec.Struct, tag="planned", frozen=True, kw_only=True):
    """The plan of a machine.

    Attributes:
        names: of all processes of cases and of all ceilings, in their order.
        finished: those that need not be measured again.
        added: finished processes beyond the plan, of an earlier ``--target-ci``.
        machine: on which they run.
        environment: fingerprint of the measured environment.
        torch: version of torch.
        notes: sentences for the user.
    """

    names: list[str]
    finished: list[str]
    machine: Machine
    environment: str
    torch: str = ""
    notes: list[str] = []
    added: list[str] = []


class Added(msgspec.Struct, tag="added", frozen=True):
    """A further process of a planned case; an empty name asks for nothing, and ``note`` says why."""

    name: str
    note: str = ""


class Recorded(msgspec.Struct, tag="recorded", frozen=True):
    """The content of a file of the run: the record of a process, or a ceiling.

    Attributes:
        name: of the process or the ceiling.
        content: of the file.
    """

    name: str
    content: str


class Skipped(msgspec.Struct, tag="skipped", frozen=True):
    """A process was not started, and leaves no record."""

    name: str
    reason: str


class Refused(msgspec.Struct, tag="refused", frozen=True):
    """The machine cannot go on; ``code`` is the exit status that its own run would have had."""

    reason: str
    code: int


class Examined(msgspec.Struct, tag="examined", frozen=True):
    """What ``doctor`` says of the machine: one line, and the checks that are not ok, with their remedies."""

    summary: str
    checks: list[str]
    ready: bool


class Finished(msgspec.Struct, tag="finished", frozen=True):
    """The member ends."""


Command = Start | Measure | GiveUp | Refine | Finish
Event = Planned | Added | Recorded | Skipped | Refused | Examined | Finished

_commands: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Command)
_events: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Event)


def encode(message: Command | Event) -> bytes:
    """Return a message as one line without its end."""
    return msgspec.json.encode(message)


def command(line: bytes) -> Command:
    """Read a command."""
    read: Command = _commands.decode(line)
    return read


def event(line: bytes) -> Event:
    """Read an event of a member, which may be anything.

    Raises:
        ValueError: where it is too long, or no event.
    """
    if len(line) > MOST_BYTES:
        raise ValueError(f"a line of {len(line):,} bytes")
    read: Event = _events.decode(line)
    return read
