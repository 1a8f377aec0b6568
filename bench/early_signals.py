"""Ctrl-C and signals while a command's own libraries are imported: one sentence, and no traceback."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # ``signal`` itself is Python that Ctrl-C may interrupt
import os
import sys
from types import TracebackType

SIGNALS = (_signal.SIGTERM, _signal.SIGHUP)
"""Signals by which job schedulers, containers and closed terminals end a process."""

NAMES = {_signal.SIGINT: "Ctrl-C", _signal.SIGTERM: "SIGTERM", _signal.SIGHUP: "SIGHUP"}

WRONG_USE = 2
"""The exit status; :mod:`bench.errors` would have to be imported first."""


_stderr = 2
"""Descriptor of standard error; a copy of it where pytest may capture the original."""


def end(number: int, frame: object) -> None:
    """End this process: nothing has been measured or written yet."""
    os.write(_stderr, f"yolopace: stopped by {NAMES[number]}.\n".encode())
    os._exit(WRONG_USE)


def end_with_one_sentence() -> None:
    """Let Ctrl-C and these signals end this process, but for those that are ignored (nohup)."""
    global _stderr
    try:
        _stderr = os.dup(2)
    except OSError:  # it is closed
        pass
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        _signal.signal(_signal.SIGINT, end)
    for number in SIGNALS:
        if _signal.getsignal(number) == _signal.SIG_DFL:
            _signal.signal(number, end)


def end_uncaught_interrupt() -> None:
    """Let a Ctrl-C that nothing has caught end this process, after pytest has stopped to capture its output."""
    usual = sys.excepthook

    def say(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            end(_signal.SIGINT, None)
        usual(kind, error, trace)

    sys.excepthook = say
