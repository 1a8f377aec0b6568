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
from bench.worker.protocol import FREE, GRANT, Event, ProtocolError, event_from_dict

LOG_TAIL = 12_000
"""Characters of a worker's output that are kept for the record of a failure."""

LOG_LIMIT = 64 * 2**20
"""Bytes of output at which a worker is taken to have run wild."""

LAST = 10.0
"""Seconds that ranks may take to end once their line is shut down."""

GLANCE = 5.0
"""Seconds between looks at the size of a worker's output; in between the runner sleeps."""


class ExitCode(Protocol):
    """How a process ended, for whoever may ask: its parent here, or the preloaded parent by its word."""

    @property
    def descriptor(self) -> int | None:
        """What becomes readable when there may be news; None if only the channel's end shows it."""

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""

    def wait(self, seconds: float) -> int | None:
        """Return the exit code, waiting at most so long."""


class WorkerTimeout(Exception):
    """The worker said nothing for as long as its phase may last."""


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
        pid: process, and its process group.
        requested: when it was asked for, in seconds of ``time.monotonic``.
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
            pid: its number, and that of its group.
            channel: where its events come from.
            control: by which it is granted its turns.
            log: what it prints.
            requested: when it was asked for.
            exit_code: how it ended.
            shared: whether the channel is a socket that processes in other groups hold too: ranks of several devices,
                which end when it is shut down.
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
            WorkerTimeout: when the limit is over.
            WorkerExited: when the worker has ended.
            WorkerOutputOverflow: when it prints without end.
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
        """Take in what stands in the channel; False at its end."""
        received = os.read(self._channel, 1 << 16)
        *lines, self._pending = (self._pending + received).split(b"\n")
        self._lines += lines
        return bool(received)

    def _read_rest(self) -> bool:
        """Take in what a worker that has ended left behind; whether that holds an event.

        The channel's end may not come: data loader processes hold it too.
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
        """Let a worker that takes turns go on: to a point within its step, to the end of its block, or as it likes.

        Args:
            until: a point, counted from 1, ``FREE``, ``WITH_STEP``, or ``ALONE`` where its peer has ended.
        """
        with contextlib.suppress(BrokenPipeError):  # it has ended, which its channel shows
            os.write(self._control, GRANT.pack(until))

    def output(self) -> str:
        """The end of what the worker printed."""
        size = os.fstat(self._log.fileno()).st_size
        kept = os.pread(self._log.fileno(), 4 * LOG_TAIL, max(size - 4 * LOG_TAIL, 0))
        text = last_shown(kept.decode(errors="replace"))
        whole = text if len(text) <= LOG_TAIL else text[-LOG_TAIL:].partition("\n")[2] or text[-LOG_TAIL:]
        return whole.strip()

    def end(self, patience: float = 5.0) -> None:
        """See to it that nothing of the worker is left; it may take ``patience`` seconds to leave by itself.

        May be called again, for when Ctrl-C cut it short.
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
        """Shut the line down, and wait until no rank holds its other end: none may live into the next case."""
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
