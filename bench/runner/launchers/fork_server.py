"""Fork server, seen from the runner: starts it, has it fork workers, and learns of their exits."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections import deque
from typing import IO, Any

from bench.environments import bytecode_cache, failure_causes
from bench.environments.interpreter import ENTRY, Interpreter, process_setup, variables
from bench.environments.package_origins import replaced
from bench.errors import UsageError
from bench.runner.launchers.base import START_LIMIT, log_file
from bench.runner.worker_process import Worker
from bench.worker.message_json import event_from_json, to_json
from bench.worker.protocol import Event, Job, ServerReady, ServerUnusable, WorkerForked, WorkerReaped
from bench.worker.workloads.base import find, workloads

KEPT = 64 * 2**10
"""Bytes of a fork server's output that are looked at when it has ended."""


def send_line(line: socket.socket, message: Any, descriptors: list[int]) -> None:
    """Send a message whole: the descriptors go with its first part, which may be all that fits into the socket.

    Raises:
        OSError: where the other end is closed, or takes nothing for :data:`START_LIMIT`.
    """
    content = to_json(message).encode() + b"\n"
    line.settimeout(START_LIMIT)
    try:
        sent = socket.send_fds(line, [content], descriptors)
        line.sendall(content[sent:])
    finally:
        line.settimeout(None)


class ForkServerGone(Exception):
    """The fork server ended, or does not answer."""


class ForkServer:
    """Process that has imported the libraries of one workload, and forks its workers; a case starts in milliseconds.

    Args:
        interpreter: measured interpreter.
        workload: family whose libraries it imports; empty for the first one.
        network: whether a case may have to download something.
    """

    def __init__(self, interpreter: Interpreter, workload: str = "", network: bool = False) -> None:
        self.interpreter = interpreter
        self.workload = workload
        self._network = network
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._log: IO[bytes] | None = None
        self._pending = b""
        self._messages: deque[Event] = deque()
        self._ready = False
        self.exits: dict[int, int] = {}

    @property
    def pid(self) -> int | None:
        """ID of its process; None before it is started."""
        return self._process.pid if self._process is not None else None

    @failure_causes.as_usage_error("the parent of the workers cannot be started")
    def prepare(self) -> None:
        """Start the process; it imports while the caller goes on."""
        if self._process is not None and self._process.poll() is None:
            return
        self.close()
        setup = process_setup(self.interpreter, self.workload, self._network)
        ours, theirs = socket.socketpair()
        self._log = log_file()
        self._process = subprocess.Popen(
            [self.interpreter.path, str(ENTRY), "fork-server", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
            env=variables(),
        )
        theirs.close()
        self._socket = ours
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it has ended, which wait() reports
            ours.sendall(to_json(setup).encode() + b"\n")

    def wait(self) -> None:
        """Wait until it has imported everything; broken compiled files in the cache are made again once.

        Raises:
            UsageError: where it cannot fork workers.
        """
        self.prepare()
        trouble = self._trouble()
        if trouble and bytecode_cache.remove_broken_bytecode(f"{trouble}\n{self._printed()}", self.interpreter.path):
            self.close()
            self.prepare()
            trouble = self._trouble()
        if trouble:
            self.close()
            raise UsageError(trouble)

    def _trouble(self) -> str:
        """Wait until it is ready; return why it cannot fork workers, or an empty string."""
        deadline = time.monotonic() + START_LIMIT
        while not self._ready:
            message = self._next_message(deadline)
            if message is None:
                return f"the parent of the workers, {self.interpreter.path}, could not start: {self._how_it_ended()}"
            if isinstance(message, ServerUnusable):
                return self._unusable(message)
            self._ready = isinstance(message, ServerReady)
        return ""

    def _unusable(self, message: ServerUnusable) -> str:
        """Return why it could not import its libraries."""
        reason, printed = message.reason, self._printed()
        if message.differs:
            return f"{self.interpreter.path}: {reason}"
        why = failure_causes.recognised(reason) or failure_causes.recognised(printed)
        why = why or f"{failure_causes.unknown(printed)} {replaced(self.interpreter.imported)}".strip()
        workload = find(self.workload) or next(iter(workloads().values()))
        libraries = f"torch and {workload.library}" if workload.library else "torch"
        return f"{self.interpreter.path} cannot import {libraries}: {reason.rstrip('.')}. {why}"

    @failure_causes.as_usage_error("no worker can be started")
    def start(self, job: Job) -> Worker:
        """Fork one worker; a server that died is started again, once."""
        try:
            return self._start(job)
        except ForkServerGone:
            self.close()
        try:
            return self._start(job)
        except ForkServerGone:
            ending = self._how_it_ended()
            self.close()
            raise UsageError(f"the parent of the workers ended twice: {ending}") from None

    def _start(self, job: Job) -> Worker:
        self.wait()
        requested = time.monotonic()
        log = log_file()
        read, write = os.pipe()
        control_read, control = os.pipe()
        assert self._socket is not None
        try:
            send_line(self._socket, job, [write, log.fileno(), control_read])
            message = self._next_message(time.monotonic() + START_LIMIT)
        except OSError:
            message = None
        finally:
            os.close(write)
            os.close(control_read)
        if not isinstance(message, WorkerForked):
            os.close(read)
            os.close(control)
            log.close()
            raise ForkServerGone
        return Worker(message.pid, read, control, log, requested, exit_code=RemoteExitCode(self, message.pid))

    def close(self) -> None:
        """End the process, and with it its workers."""
        if self._socket is not None:
            self._socket.close()
        if self._process is not None:
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
        if self._log is not None:
            self._log.close()
        self._socket = self._process = self._log = None
        self._pending, self._ready = b"", False
        self._messages.clear()

    def _printed(self) -> str:
        """Return the end of what it printed."""
        if self._log is None:
            return ""
        end = os.fstat(self._log.fileno()).st_size
        kept = os.pread(self._log.fileno(), KEPT, max(end - KEPT, 0))
        return kept.decode(errors="replace")

    def _how_it_ended(self) -> str:
        """Return why it ended, as the end of a sentence."""
        if self._process is None or self._log is None:
            return "it was ended"
        try:
            code = self._process.wait(5)
        except subprocess.TimeoutExpired:
            return f"it sent nothing for {START_LIMIT:g} s. {failure_causes.unknown(self._printed())}"
        printed = self._printed()
        cause = failure_causes.describe_early_exit(code, printed) or failure_causes.unknown(printed)
        return f"it {failure_causes.describe_exit(code)}. {cause}"

    def drain(self, seconds: float) -> bool:
        """Read its messages, waiting at most ``seconds``; return False once it has ended."""
        if self._socket is None:
            return False
        self._socket.settimeout(max(seconds, 0.0) or 1e-6)
        try:
            received = self._socket.recv(1 << 16)
        except (TimeoutError, BlockingIOError):
            return True
        except OSError:
            return False
        finally:
            self._socket.settimeout(None)
        if not received:
            return False
        *lines, self._pending = (self._pending + received).split(b"\n")
        for line in lines:
            message = event_from_json(line)
            if isinstance(message, WorkerReaped):
                self.exits[message.pid] = message.code
                continue
            if isinstance(message, WorkerForked):
                self.exits.pop(message.pid, None)  # of an earlier worker: process IDs are reused
            self._messages.append(message)
        return True

    def _next_message(self, deadline: float) -> Event | None:
        """Return the next message other than exits; None if it ended or sends nothing until the deadline."""
        while not self._messages:
            if time.monotonic() >= deadline or not self.drain(deadline - time.monotonic()):
                return None
        return self._messages.popleft()

    @property
    def descriptor(self) -> int | None:
        """Descriptor that becomes readable when it sends a message; None before it is started."""
        return self._socket.fileno() if self._socket is not None else None


class RemoteExitCode:
    """Exit code of a worker, as its fork server reports it."""

    def __init__(self, server: ForkServer, pid: int) -> None:
        self._server = server
        self._pid = pid

    @property
    def descriptor(self) -> int | None:
        return self._server.descriptor

    def poll(self) -> int | None:
        if self._pid not in self._server.exits and not self._server.drain(0):
            return -signal.SIGKILL  # it is gone, and its workers die with it
        return self._server.exits.get(self._pid)

    def wait(self, seconds: float) -> int | None:
        deadline = time.monotonic() + seconds
        while self._pid not in self._server.exits and time.monotonic() < deadline:
            if not self._server.drain(deadline - time.monotonic()):
                return -signal.SIGKILL
        return self._server.exits.get(self._pid)
