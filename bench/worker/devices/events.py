"""A self-test of a device's events: whether they measure the time that the device took."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

NUMBERS = 1 << 24
"""Number of values of 4 bytes that the work of the test processes. A fast card takes ten times as long for the work as
the host takes to enqueue it."""

REPEATS = 20
"""Number of passes over the values: about a millisecond on a fast card, tens of milliseconds on a small one."""

ATTEMPTS = 3
"""Number of attempts: another program's load may delay the host between its clock and an event."""

LEAST = 0.5
"""Minimum share of the host's time that events must report; events that record moments of the host stay far below."""

MOST, SLACK = 1.1, 2e-4
"""Maximum of the events' time: a multiple of the host's time, which encloses it, plus seconds."""


def trouble(
    make: Callable[[], Any],
    wait: Callable[[], None],
    prepare: Callable[[], Callable[[], Any]],
    clock: Callable[[], float] = time.perf_counter,
) -> str:
    """Return what is wrong with events, or an empty string.

    Two events are recorded around work. After waiting for the device, the time between them has to be positive, no
    longer than the host's clock measured, and no small part of it.

    Args:
        make: makes an event that measures time.
        wait: waits for the device.
        prepare: makes the work.
        clock: clock of the host.
    """
    work, message = prepare(), ""
    work()  # a first call loads kernels
    for _ in range(ATTEMPTS):
        wait()
        began = clock()
        first, last = make(), make()
        first.record()
        work()
        last.record()
        wait()
        elapsed, measured = clock() - began, first.elapsed_time(last) / 1e3
        if LEAST * elapsed < measured <= MOST * elapsed + SLACK:
            return ""
        message = f"events measured {measured * 1e3:.3g} ms of work that took at most {elapsed * 1e3:.3g} ms"
    return message
