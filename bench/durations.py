"""Durations and percentages as people write and read them."""

from __future__ import annotations

import re

from bench.errors import UsageError

NUMBER = r"[0-9]{1,9}(?:\.[0-9]{1,9})?"
DURATION = re.compile(rf"(?:(?P<h>{NUMBER})h)?(?:(?P<m>{NUMBER})m)?(?:(?P<s>{NUMBER})s?)?")
UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def parse_duration(text: str) -> float:
    """Seconds of ``90``, ``90s``, ``10m``, ``1.5h`` or ``1h30m``."""
    found = DURATION.fullmatch(text.strip())
    if not text.strip() or not found:
        raise UsageError(f"{text!r} is no duration: write 90s, 10m or 1h30m.")
    seconds = sum(float(number) * UNITS[unit] for unit, number in found.groupdict().items() if number)
    if seconds <= 0:
        raise UsageError(f"{text!r} is no duration: it has to be more than nothing.")
    return seconds


PERCENT = re.compile(rf"({NUMBER})\s*%?")


def parse_percent(name: str, text: str) -> float:
    """The share that ``2%`` or ``2`` stand for: 0.02.

    Args:
        name: of the option, for the error.
        text: from 0.1 % to 100 %: less is no precision that a machine has, and mostly a share meant as one.
    """
    found = PERCENT.fullmatch(text.strip())
    if not found or not 0.1 <= float(found[1]) <= 100:
        raise UsageError(f"{name} {text!r} is not allowed: write a percentage from 0.1% to 100%, such as 2%.")
    return float(found[1]) / 100


def about(seconds: float) -> str:
    """``40 s``, ``3 min``, ``1 h 20 min``: for estimates."""
    if seconds < 90:
        return f"{max(round(seconds), 1)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
