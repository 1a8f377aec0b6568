"""A self-test of a device's events: whether they measure the time that the device took."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

NUMBERS = 1 << 24
"""Of 4 bytes each, that the work of the test goes through: enough that a fast card takes ten times as long for it as
the host for enqueuing it."""

REPEATS = 20
"""Times that it does: about a millisecond on a fast card, tens of them on a small one."""

ATTEMPTS = 3
"""Another program's load may delay the host between its clock and an event."""

LEAST = 0.5
"""Share of the host's time that events have to report; events with the host's own moments stay far below it."""

MOST, SLACK = 1.1, 2e-4
"""By how much events may exceed the host's time, which encloses them: a share, and seconds."""


def trouble(
    make: Callable[[], Any],
    wait: Callable[[], None],
    prepare: Callable[[], Callable[[], Any]],
    clock: Callable[[], float] = time.perf_counter,
) -> str:
    """Return what is wrong with events, or an empty string.

    Two events are recorded around work. After waiting for the device, the time between them has to be positive, no
    longer than the host's clock saw, and no small part of it.

    Args:
        make: makes an event that measures time.
        wait: waits for the device.
        prepare: makes the work.
        clock: of the host.
    """
    work, said = prepare(), ""
    work()  # a first call loads kernels
    for _ in range(ATTEMPTS):
        wait()
        began = clock()
        first, last = make(), make()
        first.record()
        work()
        last.record()
        wait()
        seen, measured = clock() - began, first.elapsed_time(last) / 1e3
        if LEAST * seen < measured <= MOST * seen + SLACK:
            return ""
        said = f"events measured {measured * 1e3:.3g} ms of work that took at most {seen * 1e3:.3g} ms"
    return said
