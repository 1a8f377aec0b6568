"""Limits of a recorded process in words, and their comparison with the current ones."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from bench.formatting import format_bytes
from bench.machine.description import Conditions, Limits
from bench.records.record import Record

NO_LIMIT = "no limit"


def named(limits: Limits) -> dict[str, str]:
    """Return every limit by its name; :data:`NO_LIMIT` where it is unlimited."""
    texts = {
        "CPU quota": None if limits.cpu_quota is None else f"{limits.cpu_quota:.3g} processors",
        "processors allowed": _numbers(limits.processors),
        "NUMA nodes allowed": _numbers(limits.memory_nodes),
        "memory limit of the control group": _bytes(limits.memory_bytes),
        "address space limit": _bytes(limits.address_space_bytes),
        "data limit": _bytes(limits.data_bytes),
    }
    return {name: text or NO_LIMIT for name, text in texts.items()}


def _numbers(numbers: list[int] | None) -> str | None:
    return None if numbers is None else f"{len(numbers)} (number{'s' * (len(numbers) > 1)} {ranges(numbers)})"


def _bytes(size: int | None) -> str | None:
    return None if size is None else format_bytes(size)


def phrases(limits: Limits) -> list[str]:
    """``CPU quota 0.2 processors``, ``processors allowed 2 (numbers 0-1)``, and so on: a phrase per limit."""
    return [f"{name} {text}" for name, text in named(limits).items() if text != NO_LIMIT]


def ranges(numbers: Iterable[int]) -> str:
    """``[0, 1, 2, 8]`` as ``0-2,8``, as Linux writes them."""
    parts = []
    for _, run in itertools.groupby(enumerate(sorted(numbers)), key=lambda place: place[1] - place[0]):
        members = [number for _, number in run]
        parts.append(f"{members[0]}-{members[-1]}" if len(members) > 1 else str(members[0]))
    return ",".join(parts)


def measured_alike(earlier: Record, now: Conditions) -> bool:
    """Whether a record was measured under the current limits and environment variables.

    Older records have variables among the effective settings only, together with those of Ultralytics.
    """
    if earlier.conditions.variables is None:
        recorded = earlier.effective.get("variables")
        known = recorded if isinstance(recorded, dict) else {}
        if any(known.get(name) != value for name, value in (now.variables or {}).items()):
            return False
    return earlier.conditions.limited_alike(now)
