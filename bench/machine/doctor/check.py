"""One line of ``doctor``."""

from __future__ import annotations

from enum import StrEnum

import msgspec

GIB = 2**30


class State(StrEnum):
    """Result of a check."""

    USABLE = "usable"
    LIMITED = "limited"
    UNUSABLE = "not usable"


class Check(msgspec.Struct, frozen=True):
    """One check of a machine or an interpreter.

    Attributes:
        name: its subject, such as ``cuda 0`` or ``memory``.
        status: see :class:`State`.
        detail: the finding, in words.
        remedy: what to do; empty where there is nothing to do.
    """

    name: str
    status: State
    detail: str
    remedy: str = ""


Limits = list[tuple[str, str]]
"""Reservations, each with its remedy or an empty string."""


def limited(name: str, detail: str, limits: Limits) -> Check:
    """Return the check of something that is usable, perhaps with reservations."""
    if not limits:
        return Check(name, State.USABLE, detail)
    remedy = "; ".join(text for _, text in limits if text)
    return Check(
        name, State.LIMITED, "; ".join([detail, *(text for text, _ in limits)]), f"{remedy}." if remedy else ""
    )
