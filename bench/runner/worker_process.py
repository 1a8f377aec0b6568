"""The runner's end of one worker process."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import time
from typing import IO, Protocol

from bench.environments.failure_causes import describe_exit
from bench.text import cleaned, last_shown
from bench.worker.message_json import ProtocolError, event_from_dict
from bench.worker.protocol import FREE, GRANT, Event

LOG_TAIL = 12_000
"""Characters of a worker's output that are kept for the record of a failure."""

LOG_LIMIT = 64 * 2**20
"""Maximum output of a worker in bytes; a worker that prints more is ended."""

LAST = 10.0
"""Seconds that ranks may take to end after their socket is shut down."""

GLANCE = 5.0
"""Seconds between checks of the size of a worker's output; in between the runner sleeps."""


class ExitCode(Protocol):
    """Exit code of a process: read by its parent, or reported by the fork server."""

    @property
    def descriptor(self) -> int | None:
        """Descriptor that becomes readable when the process may have ended; None if only the channel's end shows it."""

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal; None while the process runs."""

    def wait(self, seconds: float) -> int | None:
        """Wait at most ``seconds`` for the exit code; return None if the process still runs."""


class WorkerTimeout(Exception):
    """The worker sent no event within the time limit of its phase."""


class WorkerOutputOverflow(Exception):
    """The worker printed more than :data:`LOG_LIMIT`."""


class WorkerExited(Exception):
    """The worker ended before its job did; ``code`` is negative for a signal."""

    def __init__(self, code: int) -> None:
        super().__init__(describe_exit(code))
        self.code = code


class Worker:
    """A running worker: its events, its output, its end.

    Attributes:
        pid: process ID and process group ID.
        requested: time of the request, in seconds of ``time.monotonic``.
    """

    def __init__(
        self,
        pid: int,
        channel: int,
        control: int,
        log: IO[bytes],
        requested: float,
        exit_code: ExitCode,
        shared: bool = False,
    ) -> None:
        """Take over a process that was started.

        Args:
            pid: process ID and process group ID.
            channel: descriptor that its events are read from.
            control: descriptor that grants of turns are written to.
            log: file of its output.
            requested: time of the request, in seconds of ``time.monotonic``.
            exit_code: reader of its exit code.
            shared: whether the channel is a socket that ranks in other process groups hold too; they end when it is
                shut down.
        """
        self.pid = pid
        self.requested = requested
        self._channel = channel
        self._control = control
        self._log = log
        self._exit = exit_code
        self._shared = shared
        self._pending = b""
        self._lines: list[bytes] = []

    def next_event(self, limit: float) -> Event:
        """Return the next event; sleeps until there is one.

        Args:
            limit: seconds to wait at most.

        Raises:
            WorkerTimeout: after the limit.
            WorkerExited: when the worker has ended.
            WorkerOutputOverflow: when it has printed more than :data:`LOG_LIMIT`.
            ProtocolError: for an event that cannot be read.
        """
        left = limit
        with selectors.DefaultSelector() as selector:
            selector.register(self._channel, selectors.EVENT_READ)
            if self._exit.descriptor is not None:
                selector.register(self._exit.descriptor, selectors.EVENT_READ)
            while not self._lines:
                if left <= 0:
                    raise WorkerTimeout
                began = time.monotonic()
                ready = [key.fd for key, _ in selector.select(min(left, GLANCE))]
                left -= min(time.monotonic() - began, 2 * GLANCE)  # a stop of the whole run is no silence of the worker
                if self._channel in ready:
                    if not self._read():
                        code = self._exit.wait(10)
                        raise WorkerExited(code if code is not None else -signal.SIGKILL)
                else:  # a worker's end may show in no other way: what it started can hold the channel open
                    code = self._exit.poll()
                    if code is not None and not self._read_rest():
                        raise WorkerExited(code)
                if not self._lines and os.fstat(self._log.fileno()).st_size > LOG_LIMIT:
                    raise WorkerOutputOverflow
        line = self._lines.pop(0)
        try:
            return event_from_dict(cleaned(json.loads(line)))
        except json.JSONDecodeError as error:
            raise ProtocolError(f"{line[:80]!r} is no JSON: {error}") from None

    def _read(self) -> bool:
        """Read what is in the channel; return False at its end."""
        received = os.read(self._channel, 1 << 16)
        *lines, self._pending = (self._pending + received).split(b"\n")
        self._lines += lines
        return bool(received)

    def _read_rest(self) -> bool:
        """Read the last events of a worker that has ended; return whether there are any.

        The end of the channel may never come, because data loader processes hold it too.
        """
        os.set_blocking(self._channel, False)
        try:
            while self._read():
                pass
        except BlockingIOError:
            pass
        finally:
            os.set_blocking(self._channel, True)
        return bool(self._lines)

    def take_turn(self, until: int = FREE) -> None:
        """Grant an interleaved worker a turn: to a point within its step, to the end of its time slice, or without end.

        Args:
            until: number of a point, from 1; ``FREE``, ``WITH_STEP``, or ``ALONE`` where its peer has ended.
        """
        with contextlib.suppress(BrokenPipeError):  # it has ended, which its channel shows
            os.write(self._control, GRANT.pack(until))

    def output(self) -> str:
        """Return the end of the worker's output."""
        size = os.fstat(self._log.fileno()).st_size
        kept = os.pread(self._log.fileno(), 4 * LOG_TAIL, max(size - 4 * LOG_TAIL, 0))
        text = last_shown(kept.decode(errors="replace"))
        whole = text if len(text) <= LOG_TAIL else text[-LOG_TAIL:].partition("\n")[2] or text[-LOG_TAIL:]
        return whole.strip()

    def end(self, patience: float = 5.0) -> None:
        """End the worker and all its processes, by force after ``patience`` seconds.

        Call it again after Ctrl-C interrupted it.
        """
        if self._exit.wait(patience) is None:
            self.kill()
            self._exit.wait(10)
        self.kill()  # what it started itself, such as data loader processes
        if self._shared and not self._log.closed:
            self._end_ranks()
        if not self._log.closed:
            self._log.close()
            os.close(self._channel)
            os.close(self._control)

    def _end_ranks(self) -> None:
        """Shut the socket down, and wait until every rank has closed its end: none may survive into the next case."""
        with socket.socket(fileno=os.dup(self._channel)) as line, contextlib.suppress(OSError):
            line.shutdown(socket.SHUT_WR)
            line.settimeout(LAST)
            while line.recv(1 << 16):
                pass

    def kill(self) -> None:
        """Kill the worker's whole process group."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
