"""The preloaded parent: imports torch and ultralytics once, then forks a worker for every request (Linux).

Nothing is initialised here: no tensor is made and no device is asked, so that a child starts as a fresh process would,
less the seconds of importing.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import traceback
from typing import Any

from . import tasks
from .channel import Channel
from .devices import base
from .interpreter import identity
from .text import one_line
from .workloads.ultralytics import isolation

PRELOAD = (
    "torch",
    "torch._inductor.config",
    "torch._inductor.utils",
    "torch.optim.lr_scheduler",
    "ultralytics",
    "ultralytics.engine.trainer",
    "ultralytics.engine.predictor",
    "ultralytics.models.yolo.detect",
    "ultralytics.data.build",
    "ultralytics.utils.callbacks.platform",
    "ultralytics.utils.callbacks.clearml",
    "ultralytics.utils.callbacks.comet",
    "ultralytics.utils.events",
    "matplotlib.font_manager",
    "requests",
)
"""What a training case would import; ``torch._inductor`` comes in through ``init_seeds`` (1.2 s)."""

DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)


def preload() -> None:
    """Import everything that is the same for every case; what an older version lacks is left out."""
    gc.disable()  # importing makes hardly any garbage, and to look for it took a fifth of the time
    try:
        for name in PRELOAD:
            try:
                importlib.import_module(name)
            except ModuleNotFoundError:
                if name in ("torch", "ultralytics"):
                    raise
    finally:
        gc.enable()


def serve(descriptor: int) -> None:
    """Answer requests on a socket until its other end closes; then end every worker that still runs.

    A request is a line that holds one JSON object, with three descriptors: the worker's channel, the file for its
    output, and the pipe by which it is told to take its turn.
    The next one comes after the answer to this one, so no two of them meet in the socket.
    """
    server = socket.socket(fileno=descriptor)
    channel = Channel(descriptor)
    first = _receive(server)
    if first is None:
        return
    isolation.before_import(first[0]["config"], first[0]["network"])
    try:
        preload()
        isolation.after_import()
        gc.collect()
        gc.freeze()  # else the first collection in a child would touch, and so copy, every page of the heap
    except BaseException as error:
        traceback.print_exc()  # into the parent's log, in which the runner looks for the cause
        channel.send("unusable", reason=f"{type(error).__name__}: {one_line(str(error))}")
        return
    if why := identity.differs(first[0].get("imported", {})):
        channel.send("unusable", reason=why, differs=True)
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
    channel.send("ready")
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
            child = _fork(request[0], request[1], keep_from=(selector, wake_read, wake_write, server))
            children.add(child)
            channel.send("forked", pid=child)


def _receive(server: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """The next request and its descriptors; None once the other end is closed.

    A stream socket gives what has arrived, which may be a part of a line.
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
    return json.loads(line), descriptors


def _reap(children: set[int], channel: Channel) -> None:
    for child in list(children):
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            children.discard(pid)
            channel.send("exited", pid=pid, code=os.waitstatus_to_exitcode(status))


def _fork(request: dict[str, Any], descriptors: list[int], keep_from: tuple[Any, ...]) -> int:
    """Fork one worker in a process group of its own; its number."""
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
        tasks.run(request, Channel(report), control)
    finally:
        tasks.leave()
    return 0
