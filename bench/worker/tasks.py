"""Run one job of any kind, and report how it ended."""

from __future__ import annotations

import os
import resource
import signal
import sys
import threading
import traceback

from . import extensions, rejection
from .channel import Channel
from .devices import device_class, on_one_machine, open_device
from .distributed import parallel
from .distributed.process_group import ProcessGroup, SingleProcess
from .interpreter import identity, info
from .message_json import assignment_from_json
from .protocol import (
    Assignment,
    CaseJob,
    DataJob,
    DataProvided,
    Exported,
    ExportJob,
    Job,
    JobEnded,
    OverheadJob,
    PhaseBegan,
    PlainJob,
    ProcessSetup,
)
from .rejection import CaseRejected
from .timing.lockstep import LockstepClient
from .timing.session import Session, WindowComplete
from .workloads import Workload, find, workloads
from .workloads.base import own_name


def workload_of(name: str, model: str = "") -> Workload:
    """Return a family; raise :class:`CaseRejected` where it is not registered here, or lacks a package for a model."""
    workload = find(name)
    if workload is None:
        reason = f"workload {name}: this worker has no such workload: it has {', '.join(workloads())}."
        raise CaseRejected("unsupported", reason, scope=("model",))
    if why := info.why_missing(workload, own_name(model)):
        raise CaseRejected("unsupported", why, scope=("model",))
    return workload


def measure(job: CaseJob, channel: Channel, turns: LockstepClient | None, process_group: ProcessGroup) -> None:
    """Measure a case; raise :class:`CaseRejected` where that cannot be done."""
    case = job.case
    workload = workload_of(job.workload, case["model"])
    if case["mode"] not in workload.modes:
        reason = f"workload {workload.name} has no mode {case['mode']}: use {' or '.join(workload.modes)}."
        raise CaseRejected("unsupported", reason, scope=("mode", "model"))
    if why := workload.why_no_precision(case["amp"]):
        raise CaseRejected("unsupported", why, scope=("model", "amp"))
    own = on_one_machine(case["device"])
    parallel.check(job, workload, own, device_class(own[0]).indexed)
    rank = int(os.environ.get("LOCAL_RANK", "0")) if process_group.size > 1 else None
    device = open_device(case["device"], rank, together=job.single_process)
    if why := device.why_unusable():
        raise CaseRejected("unsupported", why, scope=("device",))
    if job.memory_limit is not None or not device.own_memory:  # which would swap instead of failing
        device.limit_memory(job.memory_limit or 0)
    session = Session(job, workload, channel, device, turns, process_group)
    try:
        workload.run(session)
    except WindowComplete:
        return
    raise CaseRejected("failed", "The workload ended by itself before its window was complete.")


def train_plainly(job: PlainJob, channel: Channel, turns: LockstepClient | None, process_group: ProcessGroup) -> None:
    """Train as a user would, for comparison."""
    workload_of(job.workload).train_plainly(job, channel, turns)


def find_data(job: DataJob, channel: Channel, turns: LockstepClient | None, process_group: ProcessGroup) -> None:
    """Make a data set that is not there yet, or look at the user's own."""
    workload = workload_of(job.workload)
    channel.send(DataProvided(**(workload.provide_data(job) if job.made else workload.inspect_data(job))))


def export(job: ExportJob, channel: Channel, turns: LockstepClient | None, process_group: ProcessGroup) -> None:
    """Export the model of a case, or find an earlier export."""
    channel.send(Exported(workload_of(job.workload, job.case["model"]).export(job)))


def measure_overhead(
    job: OverheadJob, channel: Channel, turns: LockstepClient | None, process_group: ProcessGroup
) -> None:
    """Measure the cost of the marks of a step."""
    from .timing import instrumentation_overhead

    instrumentation_overhead.report(channel)


TASKS = {
    CaseJob: measure,
    DataJob: find_data,
    ExportJob: export,
    PlainJob: train_plainly,
    OverheadJob: measure_overhead,
}


def run(
    job: Job,
    channel: Channel,
    control: int,
    process_group: ProcessGroup | None = None,
    setup: ProcessSetup | None = None,
) -> None:
    """Run one job; whatever happens, one :class:`JobEnded` reports how.

    Args:
        job: what to do.
        channel: where events go.
        control: descriptor by which the runner grants turns.
        process_group: process group of the case; None for this process alone.
        setup: setup of a process that was started for this job alone; None in a forked worker, since the fork server
            has checked it.
    """
    channel.send(PhaseBegan("setup"))
    block = getattr(job, "block", 0)
    turns = LockstepClient(control, block, channel, getattr(job, "within", False)) if block else None
    try:
        if extensions.trouble:
            raise CaseRejected("failed", extensions.trouble)
        if setup is not None and (why := identity.differs(setup.imported)):
            raise CaseRejected("substituted", why)
        TASKS[type(job)](job, channel, turns, process_group or SingleProcess())  # type: ignore[operator]
    except BaseException as error:
        if not isinstance(error, CaseRejected) or error.__cause__ is not None:
            traceback.print_exc()  # the output has the whole traceback; the reason is one sentence
        rejected = rejection.from_exception(error)
        channel.send(JobEnded(rejected.status, rejected.reason, list(rejected.scope)))
    else:
        channel.send(JobEnded("measured"))


def prepare_process(setup: ProcessSetup, alone: bool = True) -> None:
    """Load extensions, and import the workload's library with its own settings folder.

    A family that is unknown here or lacks its library is reported by the job itself.

    Args:
        setup: of the process.
        alone: False for a rank of several.
    """
    extensions.load(setup.extensions)
    workload = find(setup.workload)
    if workload is not None:
        workload.before_import(setup.config, setup.network, alone)
        if not info.why_missing(workload):
            workload.after_import()


def leave() -> None:
    """End this process at once, without the clean-up of libraries."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def die_with_runner(descriptor: int) -> None:
    """End this process, with its data loader processes, when the runner closes the other end of a pipe.

    The runner never writes to it. It is read by its descriptor, as a thread that waits in ``sys.stdin.read`` holds a
    lock: a forked data loader process has that lock and not the thread, and waits without end to close its input.
    """

    def watch() -> None:
        while os.read(descriptor, 4096):
            pass
        if os.getpgrp() == os.getpid():  # so it is where a runner or an agent gave this process a separate session
            os.killpg(os.getpgrp(), signal.SIGKILL)
        os._exit(1)

    threading.Thread(target=watch, name="die with runner", daemon=True).start()


def run_spawned(descriptor: int, control: int) -> None:
    """Run the assignment on the first line of standard input, in a process started for it alone."""
    assignment: Assignment = assignment_from_json(sys.stdin.readline())
    if limit := getattr(assignment.job, "data_limit", 0):  # before any import, so that the limit covers everything
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    die_with_runner(sys.stdin.fileno())
    prepare_process(assignment.setup)
    run(assignment.job, Channel(descriptor), control, setup=assignment.setup)
    leave()
