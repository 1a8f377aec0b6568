"""Durations, sizes of memory, percentages and signed changes, as people write and read them."""

from __future__ import annotations

import math
import re

from bench.errors import UsageError

NUMBER = r"[0-9]{1,9}(?:\.[0-9]{1,9})?"
DURATION = re.compile(rf"(?:(?P<h>{NUMBER})h)?(?:(?P<m>{NUMBER})m)?(?:(?P<s>{NUMBER})s)?")
SECONDS_PER = {"s": 1.0, "m": 60.0, "h": 3600.0}

PERCENT = re.compile(rf"({NUMBER})\s*%?")

SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)")
BYTES_PER = {
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
MAX_SIZE = 2**50
"""Bytes that no machine has."""

MAX_SHARE = 10.0
"""Change, as a share, beyond which digits mean nothing."""

MINUS = "\N{MINUS SIGN}"


def parse_duration(text: str) -> float:
    """Parse ``90s``, ``10m``, ``1.5h`` or ``1h30m`` into seconds.

    Raises:
        UsageError: where it is no duration, has no unit, or is not above 0.
    """
    match = DURATION.fullmatch(text.strip())
    if re.fullmatch(NUMBER, text.strip()):
        raise UsageError(f"{text!r} has no unit: write {text.strip()}s for seconds or {text.strip()}m for minutes.")
    if not text.strip() or not match:
        raise UsageError(f"{text!r} is no duration: write 90s, 10m or 1h30m.")
    seconds = sum(float(number) * SECONDS_PER[unit] for unit, number in match.groupdict().items() if number)
    if seconds <= 0:
        raise UsageError(f"{text!r} is no duration: it has to be more than nothing.")
    return seconds


def parse_percent(name: str, text: str) -> float:
    """Parse ``2%`` or ``2`` into a share, 0.02.

    Args:
        name: option name, for the error.
        text: from 0.1 % to 100 %: no machine is more precise, and less is mostly meant as a share.

    Raises:
        UsageError: where it is no percentage in that range.
    """
    match = PERCENT.fullmatch(text.strip())
    if not match or not 0.1 <= float(match[1]) <= 100:
        raise UsageError(f"{name} {text!r} is not allowed: write a percentage from 0.1% to 100%, such as 2%.")
    return float(match[1]) / 100


def parse_bytes(name: str, text: str) -> int:
    """Parse ``4GiB``, ``1.5 GB`` or ``800MiB`` into bytes.

    Args:
        name: option name, for the error.
        text: a number with its unit.

    Raises:
        UsageError: where it is no size, has no unit, or is 0.
    """
    match = SIZE.fullmatch(text.strip())
    if not match:
        raise UsageError(f"{name} {text!r} is no size of memory: write 4GiB or 800MiB.")
    if not match[2]:
        raise UsageError(f"{name} {text!r} has no unit: write {text.strip()}GiB or {text.strip()}MiB.")
    units = {unit.lower(): factor for unit, factor in BYTES_PER.items()}
    if match[2].lower() not in units:
        raise UsageError(f"{name} {text!r}: there is no unit {match[2]}: use {', '.join(BYTES_PER)}.")
    size = int(min(float(match[1]) * units[match[2].lower()], 2.0**62))
    if size >= MAX_SIZE:
        raise UsageError(f"{name} {text!r} is more than any machine has: use a size below 1024 TiB.")
    if size <= 0:
        raise UsageError(f"{name} {text!r} is not allowed: use a size above 0.")
    return size


def format_number(value: float, digits: int = 3) -> str:
    """Format a number to so many significant digits, without an exponent where that stays readable.

    Whole digits are never rounded away, and only 0 is formatted as 0.

    >>> format_number(1234.5), format_number(0.01234), format_number(0.0)
    ('1,235', '0.0123', '0')
    """
    if value == 0:
        return "0"
    places = digits - 1 - math.floor(math.log10(abs(value)))
    if places > 9:
        return f"{value:.{digits - 1}e}"
    return f"{value:,.{max(places, 0)}f}"


def format_duration(seconds: float) -> str:
    """Format a measured duration: ``1 h 02 min``, ``3 min 20 s``, ``12.3 s``, ``4.56 ms``."""
    if seconds >= 3600:
        minutes = round(seconds / 60)
        return f"{minutes // 60:,} h {minutes % 60:02d} min"
    if seconds >= 60:
        whole = round(seconds)
        return f"{whole // 60} min {whole % 60:02d} s" if whole < 3600 else "1 h 00 min"
    if seconds >= 1 or seconds == 0:
        return f"{format_number(seconds)} s"
    return f"{format_number(seconds * 1e3)} ms"


def format_rough_duration(seconds: float) -> str:
    """Format an estimated duration: ``40 s``, ``3 min``, ``1 h 20 min``."""
    if seconds < 90:
        return f"{max(round(seconds), 1)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def format_bytes(number: float) -> str:
    """Format a measured size: ``640 MiB``, ``12.3 GiB``."""
    for unit in ("GiB", "MiB", "KiB"):
        if number >= BYTES_PER[unit]:
            return f"{format_number(number / BYTES_PER[unit])} {unit}"
    return f"{format_number(number)} B"


def format_rough_bytes(size: float) -> str:
    """Format a size without trailing zeros: ``3.2 GiB`` or ``512 MiB``."""
    if size < 2**30:
        return f"{size / 2**20:.0f} MiB" if size >= 10 * 2**20 else f"{size / 2**20:.1f} MiB"
    gib = size / 2**30
    return f"{gib:.3g} GiB" if gib < 100 else f"{gib:,.0f} GiB"


def format_exact_bytes(size: int) -> str:
    """Format a size so that :func:`parse_bytes` returns the same: ``2048MiB`` or ``2000000000B``."""
    whole, rest = divmod(size, 2**20)
    return f"{size}B" if rest else f"{whole}MiB"


def format_percent(share: float, digits: int = 3) -> str:
    """Format a share to so many significant digits: ``1.90 %``."""
    return f"{format_number(share * 100, digits)} %"


def format_half_width(share: float, decimals: int | None = None) -> str:
    """Format half the width of an interval, wherever one is shown: ``± 4.1 %``, ``± 0.3 %``.

    Args:
        share: half the width.
        decimals: of the column that it stands in; two significant digits, or one below 1 %, by default.
    """
    if decimals is not None:
        return f"± {format_fixed_percent(share, decimals)}"
    return f"± {format_percent(share, 2 if share >= 0.01 else 1)}"


def format_fixed_percent(share: float, decimals: int = 0) -> str:
    """Format a share with so many decimals: ``97.79 %``."""
    return f"{share * 100:.{decimals}f} %"


def format_share(share: float) -> str:
    """Format the size of a change without its sign: ``4.9 %``, ``over 1,000 %``."""
    return f"over {MAX_SHARE * 100:,.0f} %" if abs(share) > MAX_SHARE else format_fixed_percent(abs(share), 1)


def format_change(share: float) -> str:
    """Format a change with its sign: ``+4.9 %``, ``−3.2 %``; what rounds to 0 has no sign."""
    text = format_share(share)
    return text if text == format_share(0) else f"{'+' if share > 0 else MINUS}{text}"


def format_log_ratio(log: float) -> str:
    """Format the logarithm of a ratio as a change in percent, ``+0.8``, without a minus before 0."""
    return f"{round(math.expm1(log) * 100, 1) + 0.0:+.1f}"
