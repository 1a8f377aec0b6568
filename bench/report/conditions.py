"""Conditions and variables of measurements, as texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from bench.analysis.recorded_limits import phrases as limit_phrases
from bench.formatting import format_bytes
from bench.machine.description import Conditions
from bench.report import labels


def format_conditions(conditions: Sequence[Conditions], noun: str = "case") -> str:
    """Format the state of the machine at the start of its cases, and their limits; unknown values are left out.

    Args:
        conditions: one per case.
        noun: what has them, for the counts.
    """
    swap = [value for value in _read_values(conditions, "swap_used_bytes") if value > 0]
    battery = set(_read_values(conditions, "on_battery"))
    parts = [
        _range("load average", _read_values(conditions, "load"), "{:.2f}".format),
        _range("memory available", _read_values(conditions, "memory_available_bytes"), format_bytes),
        _range("swap in use", swap, format_bytes)
        if swap
        else "no swap in use" * bool(_read_values(conditions, "swap_used_bytes")),
        {True: "on battery", False: "on mains power"}[battery.pop()] if len(battery) == 1 else "",
        "on battery in some cases, on mains power in others" if len(battery) > 1 else "",
        "governor " + labels.listing(dict.fromkeys(governors))
        if (governors := _read_values(conditions, "governor"))
        else "",
        *format_limits(conditions, noun),
    ]
    return ", ".join(part for part in parts if part)


def format_threads(settings: Iterable[Mapping[str, Any]], cores: int) -> str:
    """Format the CPU threads in effective settings: ``1 of 2 cores``; empty where they are unknown."""
    known = dict.fromkeys(
        labels.setting(threads) for values in settings if (threads := values.get("threads")) is not None
    )
    return f"{', '.join(known)} of {labels.count(cores, 'core')}" if known else ""


def format_limits(conditions: Sequence[Conditions], noun: str = "case") -> list[str]:
    """Return one phrase per limit on processes, with the number of cases unless it applies to all."""
    return _counted(
        (
            phrase
            for condition in conditions
            if condition.limits is not None
            for phrase in limit_phrases(condition.limits)
        ),
        len(conditions),
        noun,
    )


def format_variables(conditions: Sequence[Conditions], noun: str = "case") -> str:
    """Format the environment variables that change speed, with the number of cases unless all have them."""
    texts = (f"{name}={value}" for condition in conditions for name, value in (condition.variables or {}).items())
    return ", ".join(map(labels.to_one_line, _counted(texts, len(conditions), noun)))


def _counted(texts: Iterable[str], total: int, noun: str) -> list[str]:
    """Return each text once, followed by ``in 1 of 2 cases`` unless all have it."""
    return [
        text if count == total else f"{text} in {count} of {labels.count(total, noun)}"
        for text, count in Counter(texts).items()
    ]


def _read_values(conditions: Sequence[Conditions], name: str) -> list[Any]:
    return [value for value in (getattr(condition, name) for condition in conditions) if value is not None]


def _range(what: str, values: Sequence[float], show: Callable[[float], str]) -> str:
    if not values:
        return ""
    low, high = show(min(values)), show(max(values))
    return f"{what} {low}" if low == high else f"{what} {low} to {high}"
