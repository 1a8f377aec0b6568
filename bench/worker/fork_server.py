"""Fork server: imports the libraries of a workload once, then forks a worker for every request (Linux).

Nothing is initialised here: no tensor is made and no device is queried. So a forked worker starts as a fresh process
would, without the seconds of importing.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import os
import selectors
import signal
import socket
import traceback
from collections.abc import Collection, Sequence
from typing import Any

from . import extensions, tasks
from .channel import Channel
from .devices import base
from .interpreter import identity, info
from .message_json import job_from_json, setup_from_json
from .protocol import Job, ServerReady, ServerUnusable, WorkerForked, WorkerReaped
from .text import one_line
from .workloads import Workload, find

DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)


def preload(names: Sequence[str], required: Collection[str]) -> None:
    """Import modules; a module that an older version of the library lacks is left out.

    Args:
        names: names of the modules, in order.
        required: names of the modules that must exist.
    """
    gc.disable()  # importing makes hardly any garbage, and collecting it took a fifth of the time
    try:
        for name in names:
            try:
                importlib.import_module(name)
            except ModuleNotFoundError:
                if name in required:
                    raise
    finally:
        gc.enable()


def import_libraries(workload: Workload, config: str, network: bool) -> None:
    """Import what every worker of a family needs."""
    workload.before_import(config, network)
    preload(workload.preload, {"torch", workload.library})
    workload.after_import()
    gc.collect()
    gc.freeze()  # otherwise the first collection in a child would touch, and so copy, every page of the heap


def serve(descriptor: int) -> None:
    """Answer requests on a socket until its other end closes; then end every worker that still runs.

    The first line is a :class:`~.protocol.ProcessSetup`. Each request is a line that holds a job, with three
    descriptors: the worker's channel, the file for its output, and the pipe that grants its turns.
    The runner sends the next request after the answer to this one, so the socket never holds two of them.
    """
    server = socket.socket(fileno=descriptor)
    channel = Channel(descriptor)
    first = _receive(server)
    if first is None:
        return
    setup = setup_from_json(first[0])
    extensions.load(setup.extensions)
    workload = find(setup.workload)
    if workload is not None and not info.why_missing(workload):  # otherwise each job reports what is missing
        try:
            import_libraries(workload, setup.config, setup.network)
        except BaseException as error:
            traceback.print_exc()  # into the server's log, where the runner looks for the cause
            channel.send(ServerUnusable(f"{type(error).__name__}: {one_line(str(error))}"))
            return
    if why := identity.differs(setup.imported):
        channel.send(ServerUnusable(why, differs=True))
        return
    children: set[int] = set()
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    os.set_blocking(wake_read, False)
    signal.set_wakeup_fd(wake_write)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    selector = selectors.DefaultSelector()
    selector.register(server, selectors.EVENT_READ)
    selector.register(wake_read, selectors.EVENT_READ)
    channel.send(ServerReady())
    while True:
        for key, _ in selector.select():
            if key.fileobj == wake_read:
                os.read(wake_read, 4096)
                _reap(children, channel)
                continue
            request = _receive(server)
            if request is None:
                for child in children:
                    with contextlib.suppress(ProcessLookupError):  # not yet the leader of its group: it dies with us
                        os.killpg(child, signal.SIGKILL)
                return
            child = _fork(job_from_json(request[0]), request[1], keep_from=(selector, wake_read, wake_write, server))
            children.add(child)
            channel.send(WorkerForked(child))


def _receive(server: socket.socket) -> tuple[bytes, list[int]] | None:
    """Return the next line and its descriptors; None once the other end is closed.

    A stream socket may return only a part of a line.
    """
    line, descriptors = b"", []
    while not line.endswith(b"\n"):
        part, more, _, _ = socket.recv_fds(server, 1 << 16, 4)
        descriptors += more
        if not part:
            for descriptor in descriptors:
                os.close(descriptor)
            return None
        line += part
    return line, descriptors


def _reap(children: set[int], channel: Channel) -> None:
    for child in list(children):
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            children.discard(pid)
            channel.send(WorkerReaped(pid, os.waitstatus_to_exitcode(status)))


def _fork(job: Job, descriptors: list[int], keep_from: tuple[Any, ...]) -> int:
    """Fork one worker in a separate process group; return its process ID."""
    report, output, control = descriptors
    parent = os.getpid()
    child = os.fork()
    if child:
        for descriptor in descriptors:
            os.close(descriptor)
        return child
    try:
        os.setsid()
        ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        selector, *others = keep_from
        selector.close()
        for other in others:
            other.close() if isinstance(other, socket.socket) else os.close(other)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.close(null)
        os.close(output)
        base.forked_from = parent
        tasks.run(job, Channel(report), control)
    finally:
        tasks.leave()
    return 0
