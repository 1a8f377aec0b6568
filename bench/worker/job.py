"""Runs one job, whatever its kind, and tells the runner how it ended."""

from __future__ import annotations

import importlib
import json
import os
import sys
import threading
import traceback
from typing import Any

from . import isolation, refusal
from .channel import Channel
from .devices import open_device
from .refusal import Refused
from .session import Session, WindowComplete

WORKLOADS = {
    "train": "ultralytics_train",
    "predict": "ultralytics_predict",
}
"""Which file of ``workloads/`` measures a mode."""


def measure(job: dict[str, Any], channel: Channel) -> None:
    """Measure the job's case; raises :class:`Refused` where that cannot be done."""
    case = job["case"]
    device = open_device(case["device"])
    why = device.why_unusable()
    if why:
        raise Refused("unsupported", why, axes=("device",))
    session = Session(job, channel, device)
    workload = importlib.import_module(f"{__package__}.workloads.{WORKLOADS[case['mode']]}")
    try:
        workload.run(session)
    except WindowComplete:
        pass
    workload.check(session)
    session.report()


def find_data(job: dict[str, Any], channel: Channel) -> None:
    """Make the data set that the job describes if it is not there yet, or look at the user's own."""
    from . import data

    wanted = job["data"]
    channel.send("data", **(data.inspect(wanted["yaml"]) if "yaml" in wanted else data.provide(wanted)))


def run(job: dict[str, Any], channel: Channel) -> None:
    """Run one job; whatever happens, one event ``ended`` says how."""
    channel.send("phase", name="setup")
    try:
        {"case": measure, "data": find_data}[job["kind"]](job, channel)
    except BaseException as error:
        if not isinstance(error, Refused):
            traceback.print_exc()
        refused = refusal.from_exception(error)
        channel.send("ended", status=refused.status, reason=refused.reason, axes=list(refused.axes))
    else:
        channel.send("ended", status="measured", reason="", axes=[])


def leave() -> None:
    """End this process at once: what torch and Ultralytics would still tidy up dies with it."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _die_with_runner() -> None:
    """End when the runner does: it holds the other end of standard input and never writes to it again."""
    sys.stdin.read()
    os._exit(1)


def run_spawned(descriptor: int) -> None:
    """Run the job that stands on the first line of standard input, in a process started for it alone."""
    job = json.loads(sys.stdin.readline())
    threading.Thread(target=_die_with_runner, daemon=True).start()
    isolation.before_import(job["config"], job["network"])
    isolation.after_import()
    run(job, Channel(descriptor))
    leave()
