"""Standard output and standard error: readable in every encoding, and safe to close or to fill up.

Text for people keeps the encoding of the terminal; a character that it lacks is written in ASCII. Data (tables, JSON)
are UTF-8 in every locale, as files are.
"""

from __future__ import annotations

import codecs
import contextlib
import errno
import io
import os
import select
import sys
from typing import Any, TextIO

from bench.errors import ExitCode

BROKEN_PIPE = 141
"""Exit status after the reader of standard output has gone: 128 + SIGPIPE, as shells show it for other programs."""

READABLE = "yolopace.readable"
"""Name of the error handler for characters that an encoding lacks."""

ASCII = {
    "·": "|",
    "•": "*",
    "±": "+/-",
    "−": "-",
    "–": "-",
    "—": "-",
    "‑": "-",
    "×": "x",
    "µ": "u",
    "μ": "u",
    "≤": "<=",
    "≥": ">=",
    "≈": "~",
    "→": "->",
    "←": "<-",
    "↑": "^",
    "↓": "v",
    "…": "...",
    "‘": "'",
    "’": "'",
    "“": '"',
    "”": '"',
    "√": "sqrt",
    "²": "^2",
    "³": "^3",
    "°": " deg",
    "✓": "yes",
    "✗": "no",
    "█": "#",
    "★": "*",
    "▶": ">",
    "⚠": "!",
    "†": "+",
    "‡": "++",
    "─": "-",
    "├": "|",
    "╰": "`",
    "\u00a0": " ",
    "\u2009": " ",
    "\u202f": " ",
}
"""ASCII for the characters that this suite prints, where an encoding lacks them."""


def _readable(error: UnicodeError) -> tuple[str, int]:
    """Replace characters that cannot be encoded; the bytes of a file name that are no text become ``\\xNN``."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(map(_in_ascii, lacking)), error.end


def _in_ascii(character: str) -> str:
    number = ord(character)
    if 0xDC80 <= number <= 0xDCFF:  # a byte of a file name that Python could not decode
        return f"\\x{number - 0xDC00:02x}"
    return ASCII.get(character) or character.encode("ascii", "backslashreplace").decode("ascii")


codecs.register_error(READABLE, _readable)


class OutputClosed(SystemExit):
    """The reader of standard output or standard error has gone: no error, and no result either."""

    def __init__(self) -> None:
        super().__init__(BROKEN_PIPE)


class OutputFailed(SystemExit):
    """Standard output or standard error cannot be written, such as on a full disk."""

    def __init__(self, error: OSError) -> None:
        super().__init__(int(ExitCode.WRONG_USE))
        self.sentence = f"the output could not be written: {error.strerror or error}."


class Descriptor(io.FileIO):
    """A standard stream's file descriptor.

    Attributes:
        failure: error of the first write that failed; None without one.
        raising: whether a failure ends the command. Otherwise output is dropped, and the caller looks at ``failure``.
    """

    def __init__(self, descriptor: int, raising: bool, owner: TextIO) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self._owner = owner  # would close the descriptor if it were collected
        self.failure: OSError | None = None
        self.raising = raising

    def write(self, data: Any, /) -> int:
        """Write all of it, or note and report the failure; after that, what is left in buffers is dropped."""
        left = memoryview(data).cast("B")
        while left and (self.failure is None or not self.raising):
            try:
                written = super().write(left)
                if written is None:  # another program made the terminal non-blocking
                    select.select([], [self], [])
                left = left[written or 0 :]
            except OSError as error:
                self.failure = self.failure or error
                if self.raising:
                    raise (OutputClosed() if error.errno == errno.EPIPE else OutputFailed(error)) from None
                break
        return len(data)


class Streams:
    """Standard output and standard error as they were taken over.

    Attributes:
        replaced: by name, the original stream and its replacement.
    """

    def __init__(self) -> None:
        self.replaced: dict[str, tuple[TextIO, TextIO]] = {}
        self._descriptors: list[Descriptor] = []

    def replace(self, name: str, raising: bool) -> None:
        """Put a stream of ours in the place of one of ``sys``, if that is a file of the system."""
        stream = getattr(sys, name)
        if type(stream) is not io.TextIOWrapper:
            return
        raw = getattr(stream.buffer, "raw", stream.buffer)  # there is no buffer with PYTHONUNBUFFERED
        if type(raw) not in (io.FileIO, Descriptor):  # the latter where a command runs pytest
            return
        stream.flush()
        descriptor = Descriptor(stream.fileno(), raising, stream)
        ours = _text(descriptor, stream, flushing=not raising)
        setattr(sys, name, ours)
        self.replaced[name] = stream, ours
        self._descriptors.append(descriptor)

    def duplicate(self, name: str) -> TextIO:
        """Return another stream to where a stream of ``sys`` goes now, which stays there while pytest captures output.

        Where the stream is no file of the system, it is that stream itself.
        """
        _, ours = self.replaced.get(name, (None, None))
        if ours is None:
            stream: TextIO = getattr(sys, name)
            return stream
        assert isinstance(ours, io.TextIOWrapper)
        descriptor = Descriptor(os.dup(ours.fileno()), False, ours)
        self._descriptors.append(descriptor)
        return _text(descriptor, ours, flushing=True)

    @property
    def failure(self) -> OSError | None:
        """Why output could not be written; None where all of it was."""
        return next((descriptor.failure for descriptor in self._descriptors if descriptor.failure is not None), None)

    def restore(self) -> None:
        """Write what is in buffers, and put back the streams that were there."""
        for name, (theirs, ours) in self.replaced.items():
            ours.flush()
            if getattr(sys, name) is ours:
                setattr(sys, name, theirs)


def end(streams: Streams, session: Any) -> None:
    """Put the streams back at the end of pytest; a session whose output could not be written fails.

    Args:
        streams: as they were taken over.
        session: of pytest, or None.
    """
    streams.restore()
    if session is not None and (failure := streams.failure) is not None:
        session.exitstatus = status(failure)
        if session.exitstatus != BROKEN_PIPE:
            with contextlib.suppress(OSError):
                print(f"yolopace: {OutputFailed(failure).sentence}", file=sys.stderr)


def status(failure: OSError) -> int:
    """Return the exit status of a command whose output could not be written."""
    return BROKEN_PIPE if failure.errno == errno.EPIPE else int(ExitCode.WRONG_USE)


def prepare(raising: bool = True) -> Streams:
    """Make standard output and standard error degrade where they would raise.

    Streams that are something else than a file of the system (a test's, a notebook's) stay as they are.

    Args:
        raising: whether output that cannot be written ends the command, by :class:`OutputClosed` or
            :class:`OutputFailed`; both pass through libraries that take a broken pipe for a failure (exit status 1).

    Returns:
        The streams that were taken over.
    """
    _fill_closed()
    streams = Streams()
    for name in ("stdout", "stderr"):
        streams.replace(name, raising)
    return streams


def _text(descriptor: Descriptor, like: io.TextIOWrapper, flushing: bool) -> TextIO:
    """Return a text stream over a descriptor, with the encoding and buffering of another, or flushed every line."""
    return io.TextIOWrapper(
        descriptor if like.write_through else io.BufferedWriter(descriptor),
        encoding=like.encoding,
        errors=READABLE,
        line_buffering=like.line_buffering or flushing,
        write_through=like.write_through,
    )


def _fill_closed() -> None:
    """Open what the caller has closed (``>&-``): else the next file that is opened would get the output."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8", errors=READABLE))


def readable(text: str, encoding: str | None) -> str:
    """Return a text as a stream of an encoding shows it: what the encoding lacks is written in ASCII."""
    return text.encode(encoding or "utf-8", READABLE).decode(encoding or "utf-8")


def data_follow() -> None:
    """Switch standard output to data: UTF-8, except on a terminal, which can only show its own encoding."""
    if isinstance(sys.stdout, io.TextIOWrapper) and not sys.stdout.isatty():
        sys.stdout.reconfigure(encoding="utf-8", errors=READABLE)
