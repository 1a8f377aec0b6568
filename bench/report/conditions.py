"""Conditions and variables under which something was measured, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from bench.analysis.recorded_limits import phrases as limit_phrases
from bench.formatting import format_bytes
from bench.machine.description import Conditions
from bench.report import labels


def format_conditions(seen: Sequence[Conditions]) -> str:
    """What the machine was like when its cases began, and what limited them; what is not known is left out."""
    swap = [value for value in _known(seen, "swap_used_bytes") if value > 0]
    battery = set(_known(seen, "on_battery"))
    parts = [
        _range("load", _known(seen, "load"), "{:.2f}".format),
        _range("memory available", _known(seen, "memory_available_bytes"), format_bytes),
        _range("swap in use", swap, format_bytes) if swap else "no swap in use" * bool(_known(seen, "swap_used_bytes")),
        {True: "on battery", False: "on mains power"}[battery.pop()] if len(battery) == 1 else "",
        "on battery in some cases, on mains power in others" if len(battery) > 1 else "",
        "governor " + labels.listing(dict.fromkeys(governors)) if (governors := _known(seen, "governor")) else "",
        *format_limits(seen),
    ]
    return ", ".join(part for part in parts if part)


def format_limits(seen: Sequence[Conditions]) -> list[str]:
    """What held processes to less than the machine has, a phrase each, with how many cases where it is not all."""
    counts = Counter(phrase for one in seen if one.limits is not None for phrase in limit_phrases(one.limits))
    return [phrase if count == len(seen) else f"{phrase} in {count} of {len(seen)}" for phrase, count in counts.items()]


def format_variables(seen: Sequence[Conditions]) -> str:
    """Variables of the environment that change speed, as they were set; with how many cases where it is not all."""
    counts = Counter(f"{name}={value}" for one in seen for name, value in (one.variables or {}).items())
    said = (text if count == len(seen) else f"{text} in {count} of {len(seen)}" for text, count in counts.items())
    return ", ".join(map(labels.to_one_line, said))


def _known(seen: Sequence[Conditions], name: str) -> list[Any]:
    return [value for value in (getattr(one, name) for one in seen) if value is not None]


def _range(what: str, values: Sequence[float], show: Callable[[float], str]) -> str:
    if not values:
        return ""
    low, high = show(min(values)), show(max(values))
    return f"{what} {low}" if low == high else f"{what} {low} to {high}"
