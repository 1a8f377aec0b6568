"""The change of a figure since an earlier run of the same machine, as a sentence."""

from __future__ import annotations

from datetime import datetime

from bench.analysis.history import Change
from bench.formatting import format_number

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
"""Names of months, whatever the language of the system."""

CAVEAT = "The two runs were not interleaved: other processes, heat or power settings may differ."
"""What a reader has to know of such a change."""


def change_sentence(change: Change) -> str:
    """Return a sentence such as ``46 % slower than this machine's run of 25 Nov 2026.``, with its caveat."""
    if not change.clear:
        return f"No clear change since this machine's run of {_day(change.started)}: the intervals overlap."
    share = format_number(abs(change.share) * 100, 2)
    word = "slower" if change.share < 0 else "faster"
    return f"{share} % {word} than this machine's run of {_day(change.started)}. {CAVEAT}"


def _day(started: str) -> str:
    """Format a day: ``25 Nov 2026``; a text that is no time stays as it is."""
    try:
        moment = datetime.fromisoformat(started)
    except ValueError:
        return started
    return f"{moment.day} {MONTHS[moment.month - 1]} {moment.year}"
