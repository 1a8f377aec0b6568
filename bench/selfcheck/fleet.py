"""Cost of the coordinator of a fleet: records per second and memory, with simulated machines over execnet."""

from __future__ import annotations

import contextlib
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.cases import Case
from bench.cases.device_kinds import HOST
from bench.cases.fingerprints import digest
from bench.cases.recipe import Recipe
from bench.errors import UsageError
from bench.fleet import messages
from bench.fleet.coordinator import Coordinator
from bench.fleet.links import ExecnetLink, Post, check_installed
from bench.fleet.locks import run_name
from bench.fleet.machines import MachineSpec
from bench.machine.fingerprint import machine
from bench.records import store
from bench.records.outcome import Outcome, Status
from bench.records.record import Environment, Record
from bench.records.steps import Steps
from bench.selfcheck import simulated_agent
from bench.selfcheck.check import Check
from bench.selfcheck.simulated_agent import PLACE, RUN

GATEWAYS = 8
"""Processes in which the simulated machines are."""


def canned_case(batch: int) -> Case:
    """Return the case whose canned record a simulated machine sends."""
    return Case(mode="train", model="yolov8n", device=HOST, amp="off", batch=batch, imgsz=64)


def template(run: str = RUN, batch: int = PLACE) -> str:
    """Return a record as a member sends it; its figures are no measurements."""
    seconds = [0.25 + step / 1000 for step in range(100)]
    steps = Steps(warmup=4, seconds=seconds, data_wait=[0.0] * 100, images=16, optimizer=[99], accumulation_steps=1)
    record = Record(
        run=run,
        started="2000-01-01T00:00:00+00:00",
        case=canned_case(batch),
        recipe=Recipe(warmup_seconds=0.0, window_steps=1, window_seconds=0.0, overrides={}),
        outcome=Outcome(Status.MEASURED),
        machine=machine(),
        environment=Environment(python="3.11.0", packages={"torch": "0"}, yolopace="simulated"),
        steps=steps,
    )
    return store.encoded(record).decode()


class _Channels:
    """Simulated machines behind a few gateways of execnet."""

    def __init__(self, run: str, cases: int) -> None:
        import execnet

        self._group = execnet.Group()
        self._gateways = [self._group.makegateway(f"popen//python={sys.executable}") for _ in range(GATEWAYS)]
        self._run = run
        self._names = [canned_case(batch).id for batch in range(1, cases + 1)]
        self._template = template()
        planned = messages.Planned(
            names=self._names, finished=[], machine=machine(), environment=digest({"simulated": True})
        )
        self._planned = messages.encode(planned)

    def connect(self, spec: MachineSpec, post: Post) -> ExecnetLink:
        """Start one more simulated machine."""
        gateway = self._gateways[int(spec.name.removeprefix("m")) % GATEWAYS]
        channel = gateway.remote_exec(simulated_agent)
        channel.send((run_name(self._run, spec.name), self._planned, self._names, self._template))

        def receive(message: Any) -> None:
            kind, content = message or ("lost", "the connection ended")
            post(kind, content)

        channel.setcallback(receive, endmarker=None)
        return _Link(gateway, channel)

    def close(self) -> None:
        """End the gateways."""
        self._group.terminate(timeout=5)


class _Link(ExecnetLink):
    """A connection to one of several simulated machines behind a gateway."""

    def close(self) -> None:
        """Close the channel; the gateway has others."""
        with contextlib.suppress(OSError):
            self._channel.close()


def checks(machines: int, cases: int) -> Iterator[Check]:
    """Yield the throughput and the memory of a coordinator with so many simulated machines."""
    check_installed()
    how = f"{machines} simulated machines with {cases} canned records each, over execnet on this machine"
    with tempfile.TemporaryDirectory(prefix="yolopace-fleet-") as folder:
        channels = _Channels("simulated", cases)
        try:
            specs = [MachineSpec(f"m{number}") for number in range(machines)]
            started = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
            coordinator = Coordinator("simulated", Path(folder), specs, {}, channels.connect, started=started)
            began, cpu = time.monotonic(), time.process_time()
            coordinator.run()
            seconds, cpu = time.monotonic() - began, time.process_time() - cpu
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        finally:
            channels.close()
        records, complaints = store.read([Path(folder)])
    if len({record.id for record in records}) != machines * cases or complaints:
        raise UsageError(f"the coordinator stored {len(records):,} of {machines * cases:,} records: please report it.")
    yield Check("Records per second of a fleet", f"{len(records) / seconds:.0f}", "200 or more", how)
    per_record = f"{cpu / len(records) * 1000:.2g} ms"
    yield Check("CPU time of its coordinator per record", per_record, "5 ms or less", "user and system time")
    yield Check("Peak memory of its coordinator", f"{peak / 1e6:.0f} MB", "at most 500 MB", "resident set")
