"""Sizes of memory as people write and read them."""

from __future__ import annotations

import re

from bench.errors import UsageError

UNITS = {
    "B": 1,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
}

MOST = 2**50
"""Bytes that no machine has."""

SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)")


def parse_bytes(name: str, text: str) -> int:
    """Bytes of ``4GiB``, ``1.5 GB`` or ``800MiB``.

    Args:
        name: of the option, for the sentence.
        text: what the user wrote.

    Raises:
        WrongUse: where it is no size, has no unit, or is 0.
    """
    found = SIZE.fullmatch(text.strip())
    if not found:
        raise UsageError(f"{name} {text!r} is no size of memory: write 4GiB or 800MiB.")
    if not found[2]:
        raise UsageError(f"{name} {text!r} has no unit: write {text.strip()}GiB or {text.strip()}MiB.")
    units = {unit.lower(): factor for unit, factor in UNITS.items()}
    if found[2].lower() not in units:
        raise UsageError(f"{name} {text!r}: there is no unit {found[2]}: use {', '.join(UNITS)}.")
    size = int(min(float(found[1]) * units[found[2].lower()], 2.0**62))
    if size >= MOST:
        raise UsageError(f"{name} {text!r} is more than any machine has: use a size below 1024 TiB.")
    if size <= 0:
        raise UsageError(f"{name} {text!r} is not allowed: use a size above 0.")
    return size


def exact(size: int) -> str:
    """``2048MiB`` or ``2000000000B``: what :func:`parse_bytes` takes for the same size."""
    whole, rest = divmod(size, 2**20)
    return f"{size}B" if rest else f"{whole}MiB"


def shown(size: float) -> str:
    """``3.2 GiB`` or ``512 MiB``."""
    if size < 2**30:
        return f"{size / 2**20:.0f} MiB" if size >= 10 * 2**20 else f"{size / 2**20:.1f} MiB"
    gib = size / 2**30
    return f"{gib:.3g} GiB" if gib < 100 else f"{gib:,.0f} GiB"
