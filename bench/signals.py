"""Signals that end a run or a command as Ctrl-C does: with what was measured so far."""

from __future__ import annotations

import contextlib
import ctypes
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import NoReturn

from bench import early_signals

STOPPING = early_signals.SIGNALS

STOPPED = "stopped by "
"""Begin of the message of a keyboard interrupt by a signal."""

DIE_WITH_PARENT = 1
"""``PR_SET_PDEATHSIG`` of prctl(2)."""


def name_of(interrupt: BaseException | None) -> str:
    """Return the name of what interrupted: ``SIGTERM``, else ``Ctrl-C``; libraries may have replaced the exception."""
    while interrupt is not None:
        if isinstance(interrupt, KeyboardInterrupt) and str(interrupt).startswith(STOPPED):
            return str(interrupt).removeprefix(STOPPED)
        interrupt = interrupt.__context__
    return "Ctrl-C"


def interrupt_on_signals() -> Callable[[], None]:
    """Turn these signals into a keyboard interrupt, but for those that are ignored (nohup); return what undoes that."""

    def stop(number: int, frame: object) -> NoReturn:
        signal.signal(number, signal.SIG_IGN)  # a second one would cut off what is being written
        raise KeyboardInterrupt(f"{STOPPED}{signal.Signals(number).name}")

    if signal.getsignal(signal.SIGINT) is early_signals.end:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    changed = [number for number in STOPPING if signal.getsignal(number) in (signal.SIG_DFL, early_signals.end)]
    for number in changed:
        signal.signal(number, stop)

    def undo() -> None:
        for number in changed:
            signal.signal(number, signal.SIG_DFL)

    return undo


def begin_pool_process() -> None:
    """Begin a process of a pool on Linux: signals end it silently, as does the end of its parent."""
    ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)
    for number in STOPPING:
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Hold Ctrl-C and these signals back until the block ends: a library that is half imported stays broken."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[tuple[int, FrameType | None]] = []
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, *STOPPING)}
    handlers = {number: handler for number, handler in handlers.items() if callable(handler)}
    for number in handlers:
        signal.signal(number, lambda number, frame: came.append((number, frame)))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for code, frame in came[:1]:
            first = handlers[signal.Signals(code)]
            assert callable(first)
            first(code, frame)
