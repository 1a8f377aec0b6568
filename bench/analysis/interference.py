"""Interference of a window in a few words, for a line of progress."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bench.formatting import format_number

OTHERS = re.compile(r"others used ([\d.]+)")
WAITED = re.compile(r"waited ([\d.]+) % of the time for a processor")
STOLEN = re.compile(r"the hypervisor took ([\d.]+) %")


def summarize(phrases: Sequence[str], cores: int) -> str:
    """Summarize the recorded phrases of a window: ``other processes: 1.7 of 2 cores``; empty without any.

    Args:
        phrases: as the worker reported them; several may describe the same interference.
        cores: of the machine.
    """
    text = "; ".join(phrases)
    parts = []
    if others := _largest(OTHERS, text):
        parts.append(f"other processes: {others:.1f} of {cores} cores")
    elif waited := _largest(WAITED, text):
        parts.append(f"waited {format_number(waited, 2)} % of the time for a core")
    if stolen := _largest(STOLEN, text):
        parts.append(f"hypervisor: {format_number(stolen, 2)} % of the time")
    known = (OTHERS, WAITED, STOLEN)
    parts += [phrase for phrase in phrases if not any(pattern.search(phrase) for pattern in known)]
    return ", ".join(dict.fromkeys(parts))


def _largest(pattern: re.Pattern[str], text: str) -> float:
    return max(map(float, pattern.findall(text)), default=0.0)
