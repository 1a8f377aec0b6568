"""Durations as people write and read them."""

from __future__ import annotations

import re

from bench.errors import WrongUse

UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def parse_duration(text: str) -> float:
    """Seconds of ``90``, ``90s``, ``10m``, ``1.5h`` or ``1h30m``."""
    parts = re.findall(r"(\d+(?:\.\d+)?)([smh]?)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text.strip():
        raise WrongUse(f"{text!r} is no duration: write 90s, 10m or 1h30m.")
    seconds = sum(float(number) * UNITS[unit or "s"] for number, unit in parts)
    if seconds <= 0:
        raise WrongUse(f"{text!r} is no duration: it has to be more than nothing.")
    return seconds


def about(seconds: float) -> str:
    """``40 s``, ``3 min``, ``1 h 20 min``: for estimates."""
    if seconds < 90:
        return f"{max(round(seconds), 1)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
