"""Runs one job, whatever its kind, and tells the runner how it ended."""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
import threading
import traceback
from typing import Any

from . import rejection
from .channel import Channel
from .devices import open_device
from .distributed.process_group import ProcessGroup, SingleProcess
from .interpreter import identity
from .rejection import CaseRejected
from .timing.lockstep import LockstepClient
from .timing.session import Session, WindowComplete
from .workloads.ultralytics import isolation

WORKLOADS = {
    "train": "ultralytics.train",
    "predict": "ultralytics.predict",
}
"""Which file of ``workloads/`` measures a mode."""


def measure(job: dict[str, Any], channel: Channel, turns: LockstepClient | None, team: ProcessGroup) -> None:
    """Measure the job's case; raises :class:`CaseRejected` where that cannot be done."""
    case = job["case"]
    device = open_device(case["device"], int(os.environ.get("LOCAL_RANK", "0")) if team.size > 1 else None)
    why = device.why_unusable()
    if why:
        raise CaseRejected("unsupported", why, scope=("device",))
    if "memory_limit" in job or not device.own_memory:  # which would swap rather than fail
        device.limit_memory(job.get("memory_limit", 0))
    session = Session(job, channel, device, turns, team)
    workload = importlib.import_module(f"{__package__}.workloads.{WORKLOADS[case['mode']]}")
    try:
        workload.run(session)
    except WindowComplete:
        return
    raise CaseRejected("failed", "The workload ended by itself before its window was complete.")


def train_plainly(job: dict[str, Any], channel: Channel, turns: LockstepClient | None, team: ProcessGroup) -> None:
    """Train as a user would, for comparison."""
    from .workloads.ultralytics import plain_train

    plain_train.run(job, channel, turns)


def find_data(job: dict[str, Any], channel: Channel, turns: LockstepClient | None, team: ProcessGroup) -> None:
    """Make the data set that the job describes if it is not there yet, or look at the user's own."""
    from .workloads.ultralytics import made_data, user_data

    wanted = job["data"]
    channel.send("data", **(user_data.inspect(wanted) if "yaml" in wanted else made_data.provide(wanted)))


def tell_marks(job: dict[str, Any], channel: Channel, turns: LockstepClient | None, team: ProcessGroup) -> None:
    """Tell what the marks of a step cost."""
    from .timing import instrumentation_overhead

    instrumentation_overhead.tell(channel)


KINDS = {"case": measure, "data": find_data, "plain": train_plainly, "marks": tell_marks}


def run(job: dict[str, Any], channel: Channel, control: int, team: ProcessGroup | None = None) -> None:
    """Run one job; whatever happens, one event ``ended`` says how.

    Args:
        job: its ``kind`` is one of :data:`KINDS`; ``block`` says how many steps a turn has, 0 or nothing that this
            worker need not take turns, and ``within`` whether turns end within a step too.
        channel: where events go.
        control: descriptor by which the runner says whose turn it is.
        team: the processes that do it together; None for this one alone.
    """
    channel.send("phase", name="setup")
    turns = LockstepClient(control, job["block"], channel, job.get("within", False)) if job.get("block") else None
    try:
        if why := identity.differs(job.get("imported", {})):  # of a forked worker its parent was asked
            raise CaseRejected("substituted", why)
        KINDS[job["kind"]](job, channel, turns, team or SingleProcess())
    except BaseException as error:
        if not isinstance(error, CaseRejected) or error.__cause__ is not None:
            traceback.print_exc()  # the log has the whole of it; the reason is one sentence
        refused = rejection.from_exception(error)
        channel.send("ended", status=refused.status, reason=refused.reason, scope=list(refused.scope))
    else:
        channel.send("ended", status="measured", reason="", scope=[])


def leave() -> None:
    """End this process at once: what torch and Ultralytics would still tidy up dies with it."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _die_with_runner() -> None:
    """End when the runner does: it holds the other end of standard input and never writes to it again."""
    sys.stdin.read()
    os._exit(1)


def run_spawned(descriptor: int, control: int) -> None:
    """Run the job that stands on the first line of standard input, in a process started for it alone."""
    job = json.loads(sys.stdin.readline())
    if limit := job.get("data_limit"):  # before anything is imported, so that nothing is spared
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    threading.Thread(target=_die_with_runner, daemon=True).start()
    isolation.before_import(job["config"], job["network"])
    isolation.after_import()
    run(job, Channel(descriptor), control)
    leave()
