"""Several ranks for one case, started by ``torch.distributed.run`` in the measured environment."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import psutil

from bench.cases.device_kinds import device_names, kind_of, machines, named_twice, ranks
from bench.environments.interpreter import ENTRY, Interpreter, process_setup, variables
from bench.errors import UsageError
from bench.records.outcome import Outcome, Status
from bench.runner.worker_process import ExitCode, Worker
from bench.worker.message_json import to_json
from bench.worker.protocol import JOB_VARIABLE, Assignment, CaseJob, Job


class Rendezvous(msgspec.Struct, frozen=True):
    """Rendezvous of the ranks of several nodes.

    Attributes:
        host: host name or address of node 0.
        port: port that node 0 listens on.
        machine: rank of this node.
    """

    host: str
    port: int
    machine: int

    @classmethod
    def parse(cls, text: str, machine: int, count: int) -> Rendezvous:
        """Parse ``HOST:PORT``; on node 0 the port has to be free.

        Raises:
            UsageError: for another format, an impossible node rank, or a port in use.
        """
        host, _, port = text.rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise UsageError(f"rdzv-endpoint {text!r} is not allowed: write HOST:PORT, with a port from 1 to 65535.")
        if not 0 <= machine < count:
            raise UsageError(f"node-rank '{machine}' is not allowed: use a whole number from 0 to {count - 1}.")
        if machine == 0:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("", int(port)))
                except OSError as error:
                    why = error.strerror or str(error)
                    raise UsageError(
                        f"port {port} cannot be taken on this machine ({why}): name another one."
                    ) from error
        return cls(host, int(port), machine)


def is_distributed(job: Job) -> bool:
    """Return whether a job is a case that more than one process runs.

    DataParallel takes all devices of a case in one process. Several devices of a kind without a backend are a single
    process's too, which asks torch why it cannot take them.
    """
    if not isinstance(job, CaseJob) or job.single_process:
        return False
    return ranks(job.case["device"]) > 1 and bool(kind_of(job.case["device"]).backend)


def unsupported_reason(case: dict[str, Any], met: bool = False, single_process: bool = False) -> Outcome | None:
    """Return why a case cannot run on several devices, before any process is started; None if it can.

    Args:
        case: values by axis.
        met: whether there is a rendezvous with other nodes.
        single_process: whether one process takes all devices.
    """
    device, count = case["device"], ranks(case["device"])
    if case["mode"] != "train":
        reason = f"device {device}: prediction runs on one device; name one."
        return Outcome(Status.UNSUPPORTED, reason, ("mode", "device"))
    if not (kind := kind_of(device)).backend:
        reason = f"device {device}: torch has no distributed backend that takes tensors of {kind.name}: name one."
        return Outcome(Status.UNSUPPORTED, reason, ("device",))
    if reason := named_twice(device):
        return Outcome(Status.UNSUPPORTED, reason, ("device",))
    if machines(device) > 1 and single_process:
        reason = f"device {device}: DataParallel takes the devices of one machine; name those of one."
        return Outcome(Status.UNSUPPORTED, reason, ("device", "parallel"))
    if machines(device) > 1 and not met:
        reason = f"device {device}: it takes {machines(device)} machines; start it on each by `python -m bench node`."
        return Outcome(Status.UNSUPPORTED, reason, ("device",))
    if case["batch"] < count:
        reason = f"batch {case['batch']} has no image for each of {count} devices: use {count} or more."
        return Outcome(Status.UNSUPPORTED, reason, ("device", "batch"))
    return None


def options(device: str, meeting: Rendezvous | None, logs: str) -> list[str]:
    """Return the options of ``torch.distributed.run``, which chooses a free port itself on a single node.

    Args:
        device: device of the case.
        meeting: rendezvous with other nodes.
        logs: folder for files that would otherwise stay in the system's temporary folder.
    """
    each = [f"--nproc_per_node={len(device_names(device))}", f"--log_dir={logs}"]
    if meeting is None:
        return ["--standalone", "--local_addr=127.0.0.1", *each]
    return [
        f"--nnodes={machines(device)}",
        f"--node_rank={meeting.machine}",
        f"--master_addr={meeting.host}",
        f"--master_port={meeting.port}",
        *each,
    ]


def interface(meeting: Rendezvous) -> dict[str, str]:
    """Return gloo's environment variable for the network interface that leads to the other nodes.

    By default gloo takes the interface of the host's own name, which many systems map to a loopback address.
    """
    name = "GLOO_SOCKET_IFNAME"
    if name in os.environ:
        return {}
    with contextlib.suppress(OSError, psutil.Error):
        own = _leaving_by(meeting.host, meeting.port)
        if own.startswith("127.") and not (meeting.host.startswith("127.") or meeting.host == "localhost"):
            own = _leaving_by(*ELSEWHERE)  # the host's own name: the others come by the way that leads out
        for interface_name, addresses in psutil.net_if_addrs().items():
            if any(address.address == own for address in addresses):
                return {name: interface_name}
    return {}


ELSEWHERE = ("192.0.2.1", 9)
"""A reserved address (RFC 5737), used to find the interface of the default route."""


def _leaving_by(host: str, port: int) -> str:
    """Return this machine's address on the route to a host; sends nothing."""
    with socket.socket(type=socket.SOCK_DGRAM) as probe:
        probe.connect((host, port))
        return str(probe.getsockname()[0])


def launch_ranks(
    interpreter: Interpreter,
    job: CaseJob,
    network: bool,
    started: Callable[[int], None],
    reaped: Callable[[subprocess.Popen[bytes]], ExitCode],
    log: Any,
    first: Sequence[str] = (),
) -> Worker:
    """Start the ranks of this machine; one worker returns the events of all of them.

    Args:
        interpreter: measured interpreter.
        job: job of a case; its ``rendezvous`` is where the ranks of several nodes meet.
        network: whether the case may have to download something.
        started: called with the process ID of the agent, whose children are the ranks.
        reaped: returns the exit code of the agent.
        log: file for the output of all ranks.
        first: first arguments of the worker's entry point.
    """
    requested = time.monotonic()
    meeting = msgspec.convert(job.rendezvous, Rendezvous) if job.rendezvous else None
    assignment = Assignment(process_setup(interpreter, job.workload, network), job)
    ours, theirs = socket.socketpair()
    try:
        process = subprocess.Popen(
            [interpreter.path, str(ENTRY), *first, "launch", *options(job.case["device"], meeting, job.scratch)],
            stdin=theirs.fileno(),
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**variables(), **(interface(meeting) if meeting else {}), JOB_VARIABLE: to_json(assignment)},
        )
    finally:
        theirs.close()
    try:
        started(process.pid)
    except OSError:
        process.kill()
        process.wait()
        raise
    control = os.open(os.devnull, os.O_WRONLY)
    return Worker(process.pid, ours.detach(), control, log, requested, reaped(process), shared=True)
