"""The coordinator of a fleet: hands out cases, stores records, and goes on when a machine leaves and returns."""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from bench.errors import ExitCode
from bench.fleet import messages
from bench.fleet.incoming import Untrusted, checked
from bench.fleet.links import Connect, Unreachable
from bench.fleet.machine_state import Machine, State
from bench.fleet.machines import MachineSpec, parse_address
from bench.fleet.package import extension_files
from bench.records import store
from bench.records.ceiling import Ceiling
from bench.records.fleet import FleetMachine, FleetRun
from bench.records.outcome import Status
from bench.records.record import Record
from bench.text import one_line

RETRY_SECONDS = (1.0, 3.0, 10.0, 30.0)
"""Seconds until a lost machine is tried again: for the first, second, ... time, then always the last."""

ATTEMPTS = 2
"""A case during which its agent is lost so often is recorded as failed."""

STARTS = 3
"""A member that ends so often without a plan is not started again."""

CLOSING_SECONDS = 30.0
"""Seconds that a member has to end after its last case."""

STATE_SECONDS = 2.0
"""Least seconds between two writes of the file that ``fleet status`` reads."""


class Coordinator:
    """Runs a plan on all machines.

    Attributes:
        machines: by name.
        stopping: whether running cases end and no further one begins.
    """

    def __init__(
        self,
        run: str,
        results: Path,
        specs: Sequence[MachineSpec],
        options: dict[str, Any],
        connect: Connect,
        *,
        started: str,
        spread: bool = False,
        patience: float = 300.0,
        say: Callable[[str], None] = lambda text: None,
        show: Callable[[Machine, Record | Ceiling], None] = lambda machine, item: None,
        retry_seconds: Sequence[float] = RETRY_SECONDS,
    ) -> None:
        """Open the folders of all machines, and start nothing.

        Args:
            run: name of the run of the fleet.
            results: folder of all runs.
            specs: the machines.
            options: options of the run, by name.
            connect: connects to a machine.
            started: when the run began, in UTC.
            spread: whether the machines share the cases.
            patience: seconds that a machine may be away.
            say: receives sentences.
            show: called with each record that is new.
            retry_seconds: as :data:`RETRY_SECONDS`.
        """
        self._state_store = store.Store(results, run)
        self.folder = self._state_store.folder
        self.machines = {spec.name: Machine(spec, self.folder, run) for spec in specs}
        self.stopping = False
        self._options = options
        self._extensions = extension_files()
        self._connect = connect
        self._started = started
        self._spread = spread
        self._patience = patience
        self._say = say
        self._show = show
        self._retry = retry_seconds
        self._queue: queue.Queue[tuple[Machine, int, str, Any]] = queue.Queue()
        self._owners = {_case(name): machine.name for machine in self.machines.values() for name in machine.over}
        self._state_due = 0.0
        self._full: set[str] = set()

    def run(self) -> None:
        """Measure until every machine is over.

        Raises:
            KeyboardInterrupt: at the second Ctrl-C; :meth:`stop_now` comes next.
        """
        for machine in self.machines.values():
            self._start(machine)
        while not all(machine.state.over for machine in self.machines.values()):
            self._take(self._seconds_until_due())
            self._look_at_clock()
            self._write_state()
        self._write_state(now=True)

    def stop_now(self, seconds: float = 8.0) -> None:
        """End all members, take what they still send, and close."""
        waiting = [machine for machine in self.machines.values() if machine.link is not None]
        for machine in waiting:
            assert machine.link is not None
            machine.link.end()
        deadline = time.monotonic() + seconds
        self.stopping = True
        while any(machine.link is not None for machine in waiting) and time.monotonic() < deadline:
            self._take(0.2)
        for machine in self.machines.values():
            if not machine.state.over:
                self._close(machine, State.STOPPED, machine.note)
        self._write_state(now=True)

    def rescue(self) -> list[str]:
        """Write what a full disk refused wherever there is room, and remove folders without a record."""
        sentences = [machine.store.rescue() for machine in self.machines.values()]
        for machine in self.machines.values():
            machine.store.discard()
        self._state_store.discard()
        return [sentence for sentence in sentences if sentence]

    def _start(self, machine: Machine) -> None:
        """Connect in a thread: a machine may take minutes to answer."""
        machine.state = State.CONNECTING
        machine.generation += 1
        generation = machine.generation

        def post(kind: str, content: Any) -> None:
            self._queue.put((machine, generation, kind, content))

        def connect() -> None:
            try:
                post("connected", self._connect(machine.spec, post))
            except Unreachable as error:
                post("unreachable", error)
            except Exception as error:  # of a library: the other machines go on
                post("unreachable", Unreachable(f"{type(error).__name__}: {one_line(str(error), 200)}."))

        threading.Thread(target=connect, daemon=True).start()

    def _seconds_until_due(self) -> float:
        """Return how long a message is waited for: until a machine is tried again, at most half a second."""
        due = [machine.due for machine in self.machines.values() if machine.state in (State.LOST, State.CLOSING)]
        return min(max(min(due, default=math.inf) - time.monotonic(), 0.01), 0.5)

    def _take(self, seconds: float) -> None:
        """Handle what came, waiting at most so long for the first message."""
        try:
            message = self._queue.get(timeout=seconds)
            while True:
                self._handle(*message)
                message = self._queue.get_nowait()
        except queue.Empty:
            pass

    def _handle(self, machine: Machine, generation: int, kind: str, content: Any) -> None:
        if kind == "connected" and (generation != machine.generation or machine.state is not State.CONNECTING):
            content.close()
            return
        if generation != machine.generation or machine.state.over:
            return
        match kind:
            case "connected":
                machine.link = content
                machine.starts += 1
                records = machine.contents()
                options = {**self._options, **machine.spec.options}
                start = messages.Start(
                    run=machine.run,
                    lock=machine.spec.lock,
                    options=options,
                    records=records,
                    extensions=self._extensions,
                )
                content.send(messages.encode(start))
            case "unreachable":
                self._lose(machine, str(content), final=content.final)
            case "line":
                try:
                    event = messages.event(content)
                except (ValueError, RecursionError):
                    self._refuse(machine, "it sent something that is no message of this version.")
                else:
                    self._handle_event(machine, event)
            case _:
                self._handle_end(machine, str(content))

    def _handle_event(self, machine: Machine, event: messages.Event) -> None:
        match event:
            case messages.Planned():
                self._plan(machine, event)
            case messages.Recorded(name, content):
                self._record(machine, name, content)
            case messages.Added():
                self._add(machine, event)
            case messages.Skipped(name, _):
                machine.over.add(name)
                self._next(machine, name)
            case messages.Refused(reason, code):
                machine.code = code
                self._refuse(machine, reason)
            case messages.Finished():
                self._close(machine, self._end_state(machine))

    def _plan(self, machine: Machine, planned: messages.Planned) -> None:
        names = [*planned.names, *planned.added]
        if len(set(names)) < len(names):
            return self._refuse(machine, "its plan names a case twice.")
        if self._spread and (why := self._why_different(planned)):
            return self._refuse(machine, f"with --spread, machines are alike: {why}.")
        first = machine.planned is None
        machine.planned, machine.names = planned, names
        machine.lost_since, machine.tries, machine.note, machine.starts = None, 0, "", 0
        machine.state = State.READY
        machine.refining = machine.refined = False
        for name in names:
            if name in planned.finished:
                machine.over.add(name)
            elif name not in machine.new:  # what is here is of another recipe or environment
                machine.over.discard(name)
        if first:
            for note in planned.notes:
                self._say(f"{machine.name}: {note}.")
            count = len(machine.left)
            self._say(f"{machine.name}: {count} of {len(names)} to measure, torch {planned.torch}")
        self._next(machine)

    def _why_different(self, planned: messages.Planned) -> str:
        """Return why a machine cannot share cases with the others; empty where it can."""
        for other in self.machines.values():
            if other.planned is None:
                continue
            if other.planned.machine.fingerprint != planned.machine.fingerprint:
                return f"{other.name} is {other.planned.machine.title}, this one is {planned.machine.title}"
            if other.planned.environment != planned.environment:
                return f"the packages of its environment differ from those of {other.name}"
            if other.planned.names != planned.names:
                return f"its plan differs from that of {other.name}"
        return ""

    def _add(self, machine: Machine, added: messages.Added) -> None:
        """Add the process that a machine names for ``--target-ci`` to its plan, or note that it needs none."""
        planned = {_case(name) for name in machine.names}
        if not machine.refining or (added.name and (added.name in machine.names or _case(added.name) not in planned)):
            return self._refuse(machine, f"it wants to measure {added.name!r}, which is not in its plan.")
        machine.refining, machine.state = False, State.READY
        if added.name:
            machine.names.append(added.name)
        else:
            machine.refined = True
            if added.note:
                self._say(f"{machine.name}: {added.note}")
        self._next(machine)

    def _record(self, machine: Machine, name: str, content: str) -> None:
        try:
            item = checked(content, name, machine.run)
        except Untrusted as error:
            return self._refuse(machine, f"it sent a record that is refused: {error}.")
        if machine.planned is not None and name not in machine.names:
            return self._refuse(machine, f"it sent a record that is refused: {name!r} is not in its plan.")
        owner = self._owners.get(_case(name), machine.name) if self._spread else machine.name
        if owner == machine.name and name not in machine.new:
            self._owners[_case(name)] = machine.name
            problem = machine.store.save(store.Received(item.file_name, content.encode()))
            if problem and machine.name not in self._full:
                self._full.add(machine.name)
                self._say(problem)
            if item.outcome.status is Status.INTERRUPTED:
                machine.interrupted.add(name)
            else:
                machine.new[name] = item.outcome.status
                machine.over.add(name)
                machine.refined = False
            self._show(machine, item)
        self._next(machine, name)

    def _next(self, machine: Machine, ended: str = "") -> None:
        """Hand out the next case; ``ended`` is the one that is over."""
        if ended and ended == machine.running:
            machine.running = ""
            machine.state = State.READY
        if machine.state is not State.READY or machine.link is None:
            return
        name = "" if self.stopping else self._choose(machine)
        if name and machine.lost_while[name] >= ATTEMPTS and name not in machine.failing:
            machine.failing.add(name)
            reason = f"Its agent was lost {ATTEMPTS} times while this case ran, so it was not started again."
            machine.running, machine.state = name, State.MEASURING
            machine.link.send(messages.encode(messages.GiveUp(name, reason)))
        elif name:
            machine.running, machine.state = name, State.MEASURING
            machine.link.send(messages.encode(messages.Measure(name)))
        elif self.stopping or not self._may_get_more(machine):
            if self.stopping or machine.refined or not self._has_target(machine):
                self._finish(machine)
            else:
                machine.refining, machine.state = True, State.MEASURING
                machine.link.send(messages.encode(messages.Refine()))

    def _choose(self, machine: Machine) -> str:
        """Return what a machine measures next; empty for nothing."""
        for name in machine.left:
            if name in machine.interrupted:
                continue
            if not self._spread:
                return name
            owner = self._owners.setdefault(_case(name), machine.name)
            if owner == machine.name:
                return name
        return ""

    def _has_target(self, machine: Machine) -> bool:
        """Whether a machine adds processes until its intervals are as narrow as ``--target-ci``."""
        return bool({**self._options, **machine.spec.options}.get("target_ci"))

    def _may_get_more(self, machine: Machine) -> bool:
        """Whether another machine may still leave cases to this one."""
        return self._spread and any(
            other is not machine and other.left and not other.state.over and self._owned(other)
            for other in self.machines.values()
        )

    def _owned(self, machine: Machine) -> list[str]:
        """Names of what is left to a machine: with shared cases, what no other machine takes."""
        if not self._spread:
            return machine.left
        return [name for name in machine.left if self._owners.get(_case(name)) == machine.name]

    def _end_state(self, machine: Machine) -> State:
        """Return the state of a machine that has ended."""
        return State.STOPPED if self._owned(machine) else State.FINISHED

    def _finish(self, machine: Machine) -> None:
        """End a member; it keeps its records unless all are here."""
        assert machine.link is not None
        complete = not self._owned(machine) and not machine.store.unsaved
        machine.link.send(messages.encode(messages.Finish(complete)))
        machine.state, machine.due = State.CLOSING, time.monotonic() + CLOSING_SECONDS

    def _handle_end(self, machine: Machine, why: str) -> None:
        """Handle the end of a member or of a connection."""
        if machine.state is State.CLOSING or self.stopping:
            return self._close(machine, self._end_state(machine))
        if machine.running:
            machine.lost_while[machine.running] += 1
        if machine.planned is None and machine.starts >= STARTS:
            return self._refuse(machine, f"{why}.")
        self._lose(machine, f"{why}.")

    def _lose(self, machine: Machine, why: str, final: bool = False) -> None:
        """Note that a machine is away, and when it is tried again."""
        now = time.monotonic()
        if machine.lost_since is None:
            machine.lost_since = now
        self._drop(machine)
        never = machine.planned is None and machine.starts == 0  # it was never there
        if self.stopping or final or never or now - machine.lost_since > self._patience:
            machine.code = machine.code or int(ExitCode.NOTHING_MEASURED)
            return self._close(machine, State.GONE, why)
        if machine.state is not State.LOST and machine.note != why:
            self._say(f"{machine.name}: {why} It is tried again.")
        machine.state, machine.note = State.LOST, why
        machine.due = now + self._retry[min(machine.tries, len(self._retry) - 1)]
        machine.tries += 1

    def _refuse(self, machine: Machine, why: str) -> None:
        machine.code = machine.code or int(ExitCode.NOTHING_MEASURED)
        self._close(machine, State.REFUSED, why)

    def _drop(self, machine: Machine) -> None:
        """Close the connection of a machine, and take back what it measures."""
        machine.running = ""
        machine.refining = False
        machine.generation += 1
        link, machine.link = machine.link, None
        if link is not None:
            link.close()

    def _close(self, machine: Machine, state: State, note: str = "") -> None:
        """Let a machine be over; what it leaves is handed out to others where cases are shared."""
        self._drop(machine)
        machine.state, machine.note = state, note
        if note:
            self._say(f"{machine.name}: {note}")
        if self._spread:
            for name in self._owned(machine):
                if not any(_case(over) == _case(name) for over in machine.over):  # else its other processes are there
                    self._owners.pop(_case(name), None)
            for other in self.machines.values():
                if other is not machine:
                    self._next(other)

    def _look_at_clock(self) -> None:
        """Try lost machines again, and end what does not end."""
        now = time.monotonic()
        for machine in self.machines.values():
            if machine.state is State.LOST and self.stopping:
                self._close(machine, State.STOPPED, machine.note)
            elif machine.state is State.LOST and now >= machine.due:
                self._start(machine)
            elif machine.state is State.CLOSING and now >= machine.due:
                self._close(machine, self._end_state(machine))
            elif machine.state is State.CONNECTING and self.stopping:
                self._close(machine, State.STOPPED, machine.note)
            elif self.stopping and machine.state is State.READY:
                self._next(machine)

    def _write_state(self, now: bool = False) -> None:
        """Write the file that ``fleet status`` and ``--resume`` read, now or where it is due."""
        if not now and time.monotonic() < self._state_due:
            return
        machines = {machine.name: self._state_of(machine) for machine in self.machines.values()}
        state = FleetRun(
            started=self._started,
            spread=self._spread,
            options=self._options,
            extensions={file.name: file.digest for file in self._extensions},
            machines=machines,
        )
        self._state_store.save(state)
        self._state_store.unsaved.clear()  # a full disk: the next state counts
        self._state_due = time.monotonic() + STATE_SECONDS

    def _state_of(self, machine: Machine) -> FleetMachine:
        spec = machine.spec
        return FleetMachine(
            address=spec.address,
            python=spec.python,
            options=spec.options,
            lock=spec.lock,
            planned=machine.names,
            left=self.left_of(machine),
            running=machine.running,
            state=str(machine.state),
            note=machine.note,
        )

    def left_of(self, machine: Machine) -> list[str]:
        """Names of what a machine has not measured; with shared cases, without what others have or measured."""
        if not self._spread:
            return machine.left
        return [name for name in machine.left if self._owners.get(_case(name), machine.name) == machine.name]


def specs_of(fleet: FleetRun) -> list[MachineSpec]:
    """Return the machines of a run that goes on."""
    return [
        msgspec.structs.replace(
            parse_address(name, machine.address, machine.python, machine.options), lock=machine.lock
        )
        for name, machine in fleet.machines.items()
    ]


def _case(name: str) -> str:
    """Return the case of a process by its name: its processes share a machine."""
    head, mark, number = name.rpartition("--p")
    return head if mark and number.isdigit() else name
