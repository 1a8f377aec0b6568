"""One line of what ``doctor`` says."""

from __future__ import annotations

from enum import StrEnum

import msgspec

GIB = 2**30


class State(StrEnum):
    """What a row comes to."""

    USABLE = "usable"
    LIMITED = "limited"
    UNUSABLE = "not usable"


class Check(msgspec.Struct, frozen=True):
    """One thing that was looked at.

    Attributes:
        what: its name, such as ``cuda 0`` or ``memory``.
        state: see :class:`State`.
        found: what was found, in words.
        advice: what to do; empty where there is nothing to do.
    """

    what: str
    state: State
    found: str
    advice: str = ""


Limits = list[tuple[str, str]]
"""What speaks against something, and what to do about it, or an empty string."""


def limited(what: str, found: str, limits: Limits) -> Check:
    """A row on something that is usable, if with reservations."""
    if not limits:
        return Check(what, State.USABLE, found)
    advice = "; ".join(text for _, text in limits if text)
    return Check(what, State.LIMITED, "; ".join([found, *(text for text, _ in limits)]), f"{advice}." if advice else "")
