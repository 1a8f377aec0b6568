"""How a worker comes to be: forked from a preloaded parent (Linux), or started afresh (everywhere else)."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Callable
from typing import IO, Any, Protocol

import psutil

from bench.environments import bytecode_cache, failure_causes
from bench.environments.interpreter import ENTRY, Interpreter, to_workers, variables
from bench.environments.package_origins import replaced
from bench.errors import UsageError
from bench.machine.paths import cache_folder
from bench.runner.launchers.torchrun import is_distributed, launch_ranks
from bench.runner.worker_process import Worker

START_LIMIT = 300.0
"""Seconds that importing torch and Ultralytics may take: a minute on a cold disk, and five on a slow share."""


KEPT = 64 * 2**10
"""Bytes of a parent's output that are looked at when it has ended."""


class Launcher(Protocol):
    """Starts workers in one environment."""

    interpreter: Interpreter

    def prepare(self) -> None:
        """Do ahead of time what can be done, without waiting for it."""

    def wait(self) -> None:
        """Wait until :meth:`start` would not be held up; raises :class:`UsageError` where the environment is broken."""

    def start(self, job: dict[str, Any]) -> Worker:
        """Start one job in a process of its own."""

    def close(self) -> None:
        """End everything that was started."""


def open_launcher(interpreter: Interpreter, network: bool = False) -> Launcher:
    """The launcher for this system."""
    return (
        ForkServerLauncher(interpreter, network)
        if platform.system() == "Linux"
        else SpawnLauncher(interpreter, network)
    )


def log_file() -> IO[bytes]:
    """An unnamed file for what a worker prints; it disappears when it is closed."""
    return tempfile.TemporaryFile(prefix="yolopace-")


class SpawnLauncher:
    """Starts a Python for every worker: three to four seconds of importing each."""

    def __init__(
        self,
        interpreter: Interpreter,
        network: bool = False,
        started: Callable[[int], None] = lambda pid: None,
        alike: bool = False,
    ) -> None:
        """Start nothing.

        Args:
            interpreter: that is measured.
            network: whether something was named that may have to be fetched.
            started: hears of each worker's number before the worker has done anything.
            alike: whether workers that do the same are to lay out their memory alike, for what is said of it.
        """
        self.interpreter = interpreter
        self._network = network
        self._started = started
        self._first = ["alike"] if alike else []

    def prepare(self) -> None:
        """Nothing can be done ahead."""

    def wait(self) -> None:
        """Nothing is under way."""

    def close(self) -> None:
        """Every worker ends with its own case."""

    @failure_causes.told("no worker can be started")
    def start(self, job: dict[str, Any]) -> Worker:
        """Start one job; its line is the first of the worker's standard input, which stays open as a sign of life."""
        if is_distributed(job):
            return launch_ranks(
                self.interpreter, job, self._network, self._started, LocalExitCode, log_file(), first=self._first
            )
        requested = time.monotonic()
        log = log_file()
        read, write = os.pipe()
        told, tell = os.pipe()
        try:
            process = subprocess.Popen(
                [self.interpreter.path, str(ENTRY), *self._first, "case", str(write), str(told)],
                pass_fds=[write, told],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=variables(),
            )
        finally:
            os.close(write)
            os.close(told)
        try:
            self._started(process.pid)
        except OSError:  # it could not be put where it belongs: it may not run anywhere else
            process.kill()
            process.wait()
            raise
        job = {**job, **to_workers(self.interpreter), "network": self._network}
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended already, which its channel tells
            process.stdin.write(json.dumps(job).encode() + b"\n")
            process.stdin.flush()
        return Worker(process.pid, read, tell, log, requested, exit_code=LocalExitCode(process))


class LocalExitCode:
    """The exit code of a process that was started here."""

    descriptor: int | None = None

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def poll(self) -> int | None:
        code = self._process.poll()
        if code is not None and self._process.stdin is not None:
            self._process.stdin.close()
        return code

    def wait(self, seconds: float) -> int | None:
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        return self.poll()


def _line(message: dict[str, Any]) -> bytes:
    return json.dumps(message).encode() + b"\n"


def _send(line: socket.socket, message: dict[str, Any], descriptors: list[int]) -> None:
    """Send a message whole: the descriptors go with its first part, which may be all that fits into the socket.

    Raises:
        OSError: where the other end is closed, or takes nothing for :data:`START_LIMIT`.
    """
    content = _line(message)
    line.settimeout(START_LIMIT)
    try:
        sent = socket.send_fds(line, [content], descriptors)
        line.sendall(content[sent:])
    finally:
        line.settimeout(None)


class ForkServerGone(Exception):
    """The preloaded parent ended, or does not answer."""


class ForkServerLauncher:
    """Forks workers from a parent that has imported everything already; a case starts in milliseconds."""

    def __init__(self, interpreter: Interpreter, network: bool = False) -> None:
        self.interpreter = interpreter
        self._network = network
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._log: IO[bytes] | None = None
        self._pending = b""
        self._messages: deque[dict[str, Any]] = deque()
        self._ready = False
        self.exits: dict[int, int] = {}

    @failure_causes.told("the parent of the workers cannot be started")
    def prepare(self) -> None:
        """Start the parent; it imports while the caller goes on."""
        if self._process is not None and self._process.poll() is None:
            return
        self.close()
        told = {**to_workers(self.interpreter), "network": self._network}
        ours, theirs = socket.socketpair()
        self._log = log_file()
        self._process = subprocess.Popen(
            [self.interpreter.path, str(ENTRY), "parent", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
            env=variables(),
        )
        theirs.close()
        self._socket = ours
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it has ended, which wait() tells
            ours.sendall(_line(told))

    def wait(self) -> None:
        """Wait until the parent has imported everything; broken compiled files in the cache are made again once."""
        self.prepare()
        trouble = self._trouble()
        if trouble and bytecode_cache.forget(f"{trouble}\n{self._printed()}", self.interpreter.path):
            self.close()
            self.prepare()
            trouble = self._trouble()
        if trouble:
            self.close()
            raise UsageError(trouble)

    def _trouble(self) -> str:
        """Wait for the parent: why it cannot fork workers; empty once it can."""
        deadline = time.monotonic() + START_LIMIT
        while not self._ready:
            message = self._next_message(deadline)
            if message is None:
                return f"the parent of the workers, {self.interpreter.path}, could not start: {self._how_it_ended()}"
            if message["event"] == "unusable":
                reason, printed = str(message["reason"]), self._printed()
                if message.get("differs"):
                    return f"{self.interpreter.path}: {reason}"
                why = failure_causes.recognised(reason) or failure_causes.recognised(printed)
                why = why or f"{failure_causes.unknown(printed)} {replaced(self.interpreter.imported)}".strip()
                return f"{self.interpreter.path} cannot import torch and ultralytics: {reason.rstrip('.')}. {why}"
            self._ready = message["event"] == "ready"
        return ""

    @failure_causes.told("no worker can be started")
    def start(self, job: dict[str, Any]) -> Worker:
        """Fork one worker; a parent that died is started anew, once. Ranks of several devices are started afresh."""
        if is_distributed(job):
            return launch_ranks(self.interpreter, job, self._network, lambda pid: None, LocalExitCode, log_file())
        try:
            return self._start(job)
        except ForkServerGone:
            self.close()
        try:
            return self._start(job)
        except ForkServerGone:
            words = self._how_it_ended()
            self.close()
            raise UsageError(f"the parent of the workers ended twice: {words}") from None

    def _start(self, job: dict[str, Any]) -> Worker:
        self.wait()
        requested = time.monotonic()
        log = log_file()
        read, write = os.pipe()
        told, tell = os.pipe()
        assert self._socket is not None
        try:
            _send(self._socket, job, [write, log.fileno(), told])
            message = self._next_message(time.monotonic() + START_LIMIT)
        except OSError:
            message = None
        finally:
            os.close(write)
            os.close(told)
        if message is None or message["event"] != "forked":
            os.close(read)
            os.close(tell)
            log.close()
            raise ForkServerGone
        pid = int(message["pid"])
        return Worker(pid, read, tell, log, requested, exit_code=RemoteExitCode(self, pid))

    def close(self) -> None:
        """End the parent, which ends its workers; their deaths are bound to its own besides."""
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
        """The end of what the parent printed."""
        if self._log is None:
            return ""
        end = os.fstat(self._log.fileno()).st_size
        kept = os.pread(self._log.fileno(), KEPT, max(end - KEPT, 0))
        return kept.decode(errors="replace")

    def _how_it_ended(self) -> str:
        """Why the parent ended, as the end of a sentence."""
        if self._process is None or self._log is None:
            return "it was ended"
        try:
            code = self._process.wait(5)
        except subprocess.TimeoutExpired:
            return f"it sent nothing for {START_LIMIT:g} s. {failure_causes.unknown(self._printed())}"
        printed = self._printed()
        cause = failure_causes.of_end(code, printed) or failure_causes.unknown(printed)
        return f"it {failure_causes.describe_exit(code)}. {cause}"

    def drain(self, seconds: float) -> bool:
        """Take in what the parent has to say, waiting at most so long; False once it has ended."""
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
            message = json.loads(line)
            if message["event"] == "exited":
                self.exits[message["pid"]] = message["code"]
                continue
            if message["event"] == "forked":
                self.exits.pop(message["pid"], None)  # of an earlier worker: numbers come again
            self._messages.append(message)
        return True

    def _next_message(self, deadline: float) -> dict[str, Any] | None:
        """The parent's next message other than exits; None if it ended or says nothing until the deadline."""
        while not self._messages:
            if time.monotonic() >= deadline or not self.drain(deadline - time.monotonic()):
                return None
        return self._messages.popleft()

    @property
    def descriptor(self) -> int | None:
        """What to wait on for news from the parent."""
        return self._socket.fileno() if self._socket is not None else None


class RemoteExitCode:
    """The exit code of a worker, as its parent tells it."""

    def __init__(self, launcher: ForkServerLauncher, pid: int) -> None:
        self._launcher = launcher
        self._pid = pid

    @property
    def descriptor(self) -> int | None:
        return self._launcher.descriptor

    def poll(self) -> int | None:
        if self._pid not in self._launcher.exits and not self._launcher.drain(0):
            return -signal.SIGKILL  # the parent is gone, and its workers die with it
        return self._launcher.exits.get(self._pid)

    def wait(self, seconds: float) -> int | None:
        deadline = time.monotonic() + seconds
        while self._pid not in self._launcher.exits and time.monotonic() < deadline:
            if not self._launcher.drain(deadline - time.monotonic()):
                return -signal.SIGKILL
        return self._launcher.exits.get(self._pid)


def scratch_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder for what one worker writes; what a runner that was killed left there is swept out."""
    place = cache_folder() / "scratch"
    place.mkdir(parents=True, exist_ok=True)
    for left in place.iterdir():
        owner = left.name.partition("-")[0]
        if owner.isdigit() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(left, ignore_errors=True)
    return tempfile.TemporaryDirectory(prefix=f"{os.getpid()}-", dir=place, ignore_cleanup_errors=True)
