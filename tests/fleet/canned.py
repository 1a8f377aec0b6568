"""Machines that are played: they answer with canned records, in the way that their faults say."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import defaultdict
from pathlib import Path

import pytest

from bench.fleet import messages
from bench.fleet.coordinator import Coordinator
from bench.fleet.links import Unreachable
from bench.fleet.locks import run_name
from bench.fleet.machines import MachineSpec
from bench.records import store
from tests.builders import make_environment, make_machine, make_record

BATCHES = (1, 2, 4)
NAMES = [f"train-yolov8n-cpu-fp32-b{batch}-i160" for batch in BATCHES]


def canned_record(machine: str, name: str, run: str = "r", **changes):
    """The record of a machine for a case."""
    batch = int(name.partition("--p")[0].rpartition("-b")[2].partition("-")[0])
    process = int(name.rpartition("--p")[2]) if "--p" in name else 1
    return make_record(run=run_name(run, machine), batch=batch, process=process, **changes)


def content_of(item) -> str:
    return store.encoded(item).decode()


class Disk:
    """What a machine keeps, whatever happens to its processes: records, and how often each case was started."""

    def __init__(self):
        self.records: dict[str, str] = {}
        self.started: dict[str, int] = defaultdict(int)
        self.connected = 0
        self.forgotten = False


class CannedMember:
    """A link to a member that is played in a thread of this process.

    Args:
        world: all machines.
        spec: of this one.
        post: receives what it sends.
    """

    def __init__(self, world, spec, post):
        self.world, self.spec, self.post = world, spec, post
        self.disk = world.disks[spec.name]
        self.gone = False
        self.commands: list[bytes] = []
        self.ready = threading.Condition()
        threading.Thread(target=self.serve, daemon=True).start()

    def send(self, line):
        with self.ready:
            self.commands.append(line)
            self.ready.notify()

    def end(self):
        self.leave("its process was killed by SIGTERM")

    def close(self):
        with self.ready:
            self.gone = True
            self.ready.notify()

    def leave(self, why, kind="ended"):
        """End as a process does that was killed."""
        if not self.gone:
            self.gone = True
            self.post(kind, why)
        with self.ready:
            self.ready.notify()

    def receive(self):
        with self.ready:
            while not self.commands and not self.gone:
                self.ready.wait()
            return None if self.gone else messages.command(self.commands.pop(0))

    def say(self, event):
        if not self.gone:
            self.post("line", messages.encode(event) if not isinstance(event, bytes) else event)

    def serve(self):
        for command in iter(self.receive, None):
            match command:
                case messages.Start():
                    self.plan(command)
                case messages.Measure(name):
                    self.measure(name)
                case messages.GiveUp(name, reason):
                    record = canned_record(self.spec.name, name, self.world.run, status="failed", reason=reason)
                    self.say(messages.Recorded(name, content_of(record)))
                case messages.Refine():
                    added = self.world.added.get(self.spec.name, [])
                    self.say(messages.Added(added.pop(0)) if added else messages.Added("", "the target is reached"))
                case messages.Finish(complete):
                    if complete:
                        self.disk.records.clear()
                        self.disk.forgotten = True
                    self.say(messages.Finished())

    def plan(self, start):
        fault = self.world.fault(self.spec.name, "plan")
        if fault is not None:
            return fault(self, "")
        held = {store.decode_file(content.encode()).name: content for content in start.records}
        for name, content in self.disk.records.items():
            if name not in held:
                self.say(messages.Recorded(name, content))
        finished = [*held, *(name for name in self.disk.records if name not in held)]
        planned = messages.Planned(
            names=self.world.names,
            finished=finished,
            added=[name for name in finished if name not in self.world.names],
            machine=self.world.hardware.get(self.spec.name, make_machine()),
            environment=self.world.environments.get(self.spec.name, make_environment().fingerprint),
        )
        self.say(planned)

    def measure(self, name):
        self.disk.started[name] += 1
        fault = self.world.fault(self.spec.name, name)
        if fault is not None:
            return fault(self, name)
        self.finish(name)

    def finish(self, name, send=True):
        """Write the record, and send it."""
        self.disk.records[name] = content_of(canned_record(self.spec.name, name, self.world.run))
        if send:
            self.say(messages.Recorded(name, self.disk.records[name]))


class World:
    """Machines, their disks, and the faults that happen.

    Args:
        results: folder of all runs.
        machines: names.
        names: of the cases.
        added: by machine, the processes that it names for ``--target-ci``.
        faults: by machine and case (or ``plan``, ``connect``): functions that are called once each, in order.
    """

    def __init__(self, results: Path, machines=("a", "b"), names=NAMES, faults=None, run="r"):
        self.results, self.run, self.names = results, run, list(names)
        self.specs = [MachineSpec(name, host=name) for name in machines]
        self.disks = {name: Disk() for name in machines}
        self.faults = {key: list(given) for key, given in (faults or {}).items()}
        self.hardware: dict = {}
        self.environments: dict = {}
        self.added: dict[str, list[str]] = {}
        self.options: dict[str, str] = {}
        self.lines: list[str] = []
        self.shown: list[tuple[str, str]] = []
        self.coordinator: Coordinator | None = None

    def fault(self, machine, place):
        left = self.faults.get((machine, place))
        return left.pop(0) if left else None

    def connect(self, spec, post):
        self.disks[spec.name].connected += 1
        fault = self.fault(spec.name, "connect")
        if fault is not None:
            raise fault
        return CannedMember(self, spec, post)

    def start(self, **changes) -> Coordinator:
        """A coordinator of these machines."""
        self.coordinator = Coordinator(
            self.run,
            self.results,
            self.specs,
            self.options,
            self.connect,
            started="2026-11-22T18:45:12Z",
            say=self.lines.append,
            show=lambda machine, item: self.shown.append((machine.name, item.name)),
            **{"retry_seconds": (0.0,), "patience": 60.0, **changes},
        )
        return self.coordinator

    def run_all(self, **changes) -> Coordinator:
        coordinator = self.start(**changes)
        coordinator.run()
        return coordinator

    def stored(self) -> dict[str, list[str]]:
        """Names of the records in the folder of each machine."""
        folder = self.results / self.run
        return {spec.name: sorted(r.name for r in store.read([folder / spec.name])[0]) for spec in self.specs}

    def measured(self) -> list[tuple[str, str]]:
        """Machines and names of all measured records."""
        records = store.read([self.results / self.run])[0]
        return [(r.run.rpartition("-")[2], r.name) for r in records if r.outcome.status.value == "measured"]


def wait_for(condition, seconds=60):
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def run_and_interrupt(coordinator, condition):
    """Run until something is so, then interrupt as Ctrl-C does."""

    def interrupt():
        wait_for(condition)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        coordinator.run()


def die(member, name):
    """The process is killed while it measures."""
    member.leave("its process was killed by SIGKILL")


def lose(member, name):
    """The connection breaks, or the agent is killed."""
    member.leave("the connection ended", "lost")


def die_before_sending(member, name):
    """The record was written, and not sent."""
    member.finish(name, send=False)
    member.leave("its process was killed by SIGKILL")


def die_after_sending(member, name):
    member.finish(name)
    member.leave("its process was killed by SIGKILL")


def send_twice(member, name):
    member.finish(name)
    member.say(messages.Recorded(name, member.disk.records[name]))


def hang(member, name):
    """Measure without end."""


def sending(line):
    """A fault that sends something else."""
    return lambda member, name: member.say(line(member, name) if callable(line) else line)


def unreachable(final=False):
    return Unreachable("it cannot be reached.", final)
