"""A machine of a fleet as its coordinator knows it: its records, its connection, and what is left of its plan."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from pathlib import Path

from bench.fleet import messages
from bench.fleet.incoming import name_of
from bench.fleet.links import Link
from bench.fleet.locks import run_name
from bench.fleet.machines import MachineSpec
from bench.records import store
from bench.records.ceiling import Ceiling
from bench.records.outcome import Status
from bench.records.record import Record


class State(StrEnum):
    """What a machine does."""

    CONNECTING = "connecting"
    READY = "ready"
    MEASURING = "measuring"
    LOST = "lost"
    CLOSING = "closing"
    FINISHED = "finished"
    STOPPED = "stopped"
    REFUSED = "refused"
    GONE = "gone"

    @property
    def over(self) -> bool:
        """Whether nothing more comes from the machine."""
        return self in (State.FINISHED, State.STOPPED, State.REFUSED, State.GONE)


class Machine:
    """A machine as the coordinator sees it.

    Attributes:
        names: planned processes and ceilings, in their order.
        over: those that it has measured, or that gave no figure.
        interrupted: those that are left, and not handed out to it again by this coordinator.
        running: what it measures now; empty for nothing.
        refining: whether it was asked for a further process, for ``--target-ci``.
        refined: whether it needs none.
        note: a sentence on its state.
        code: exit status that its own run would have had, where it refused.
        held: statuses of what it measured before, by name.
        new: statuses of what it sent to this coordinator, by name.
    """

    def __init__(self, spec: MachineSpec, folder: Path, run: str) -> None:
        self.spec = spec
        self.run = run_name(run, spec.name)
        self.store = store.Store(folder, spec.name)
        self.held = {name_of(item): item.outcome.status for item in self.finished()}
        self.new: dict[str, Status] = {}
        self.names: list[str] = []
        self.over = set(self.held)
        self.interrupted: set[str] = set()
        self.running = ""
        self.refining = False
        self.refined = False
        self.state = State.CONNECTING
        self.note = ""
        self.code = 0
        self.link: Link | None = None
        self.generation = 0
        self.lost_since: float | None = None
        self.due = 0.0
        self.tries = 0
        self.starts = 0
        self.lost_while: Counter[str] = Counter()
        self.failing: set[str] = set()
        self.planned: messages.Planned | None = None

    @property
    def name(self) -> str:
        """Its name."""
        return self.spec.name

    def finished(self) -> list[Record | Ceiling]:
        """Return what is here and need not be measured again."""
        ceilings = store.read_ceilings([self.store.folder])[0]
        return [*self.store.finished(), *(item for item in ceilings if item.outcome.status.final)]

    def contents(self) -> list[str]:
        """Return the contents of the files of what is here."""
        items = self.finished()
        return [self.store.path(item).read_text(encoding="utf-8", errors="replace") for item in items]

    @property
    def left(self) -> list[str]:
        """Names of what is not measured yet."""
        return [name for name in self.names if name not in self.over]
