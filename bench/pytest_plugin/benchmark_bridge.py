"""Give pytest-benchmark durations that were measured elsewhere, by its public options alone.

Its timer may be any function. This one is a clock that only moves when it is set: to 0 before a round, then to the
duration of that round's step. So pytest-benchmark reads the very same float back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_reading = 0.0


def now() -> float:
    """Return the time of the replayed clock, in seconds."""
    return _reading


def _rewind() -> None:
    global _reading
    _reading = 0.0


def replay(benchmark: Any, durations: Sequence[float]) -> None:
    """Make every duration one round of the ``benchmark`` fixture, whose timer has to be :func:`now`."""
    left = iter(durations)

    def step() -> None:
        global _reading
        _reading = next(left, durations[-1])

    benchmark.pedantic(step, setup=_rewind, rounds=len(durations), iterations=1)
