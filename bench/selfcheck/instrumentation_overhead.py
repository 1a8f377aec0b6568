"""Time that the time stamps of a step take, against the shortest step that was measured."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from bench.cases.device_kinds import HOST
from bench.records.record import Record
from bench.runner.launchers.local import Launcher
from bench.runner.measure import SETUP_LIMIT
from bench.selfcheck.check import Check, heard


def cost(launcher: Launcher, records: Sequence[Record]) -> Check:
    """Measure the seconds of the time stamps of one training step, in a worker that does nothing else.

    Args:
        launcher: of the environment.
        records: whose shortest step of training on the CPU is the measure.
    """
    worker = launcher.start({"kind": "marks"})
    event: dict[str, Any] = {}
    try:
        while event.get("event") != "marks":
            event = heard(worker.next_event(SETUP_LIMIT))
    finally:
        worker.end()
    seconds = statistics.median(event["seconds"])
    trained = [
        record.steps for record in records if record.steps and (record.case.mode, record.case.device) == ("train", HOST)
    ]
    shortest = min((step for steps in trained for step in steps.window), default=0.0)
    share = f", {seconds / shortest * 100:.4f} % of the shortest step" if shortest else ""
    return Check(
        "Marks of a training step, by themselves",
        f"{seconds * 1e6:.1f} µs{share}",
        "<= 0.1 %",
        f"median of {len(event['seconds'])} times {event['steps']:,} steps; "
        f"shortest step {shortest * 1e3:.1f} ms, smoke profile",
    )
