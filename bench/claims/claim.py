"""Claims of web guides from ``claims.toml``, and the types of their verdicts."""

from __future__ import annotations

import functools
import math
import tomllib
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec
import pandas as pd

from bench.analysis.flags import without_forced
from bench.records.ceiling import Ceiling
from bench.records.record import Record

MAX_NAMED = 3
"""Figures that a verdict names; the others are counted."""


class ClaimVerdict(StrEnum):
    """Verdict on a claim."""

    HOLDS = "holds"
    FAILS = "does not hold"
    OPEN = "open"
    UNTESTED = "not testable here"


class RatioRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A ratio that decides a claim: it has to lie within bounds in every case that was measured.

    Attributes:
        metric: what is divided; ``scaling`` is the speed of several devices over that of one.
        where: settings of the numerator, by name; ``*`` in a value stands for any text.
        over: settings of the denominator that differ from the numerator's; all others are the same.
        least: smallest ratio that the claim allows.
        most: largest ratio that the claim allows.
    """

    metric: Literal["images_per_second", "scaling", "peak_memory_bytes", "max_batch"]
    where: dict[str, str | int | bool]
    over: dict[str, str | int] = {}
    least: float = 0.0
    most: float = math.inf


class Claim(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A claim of the guides.

    Attributes:
        id: short name.
        text: the claim in our words.
        of: hardware or software that the guide speaks of.
        how: quantities that decide the claim.
        untested: why the claim cannot be tested here; empty if it can.
        ratio: the rule that decides it, where that is a ratio; other claims have a judge in :mod:`~.verdicts`.
    """

    id: str
    text: str
    of: str
    how: str
    untested: str
    ratio: RatioRule | None = None


class ClaimResult(msgspec.Struct, frozen=True):
    """A claim with its verdict on one machine, and why."""

    claim: Claim
    verdict: ClaimVerdict
    because: str


class Evidence(NamedTuple):
    """Measurements of one machine.

    Attributes:
        table: its latest rows.
        records: records behind the table.
        ceilings: of that machine.
    """

    table: pd.DataFrame
    records: Sequence[Record]
    ceilings: Sequence[Ceiling]

    def without_forced(self) -> Evidence:
        """Return what shows Ultralytics' own behaviour: nothing of it was forced."""
        return Evidence(
            without_forced(self.table),
            [record for record in self.records if not record.case.is_forced],
            [ceiling for ceiling in self.ceilings if not ceiling.case.is_forced],
        )


Answer = tuple[ClaimVerdict, str] | None
"""A verdict and why; None where the conditions were not measured."""


@functools.cache
def claims() -> tuple[Claim, ...]:
    """Return all claims, in the order of the file."""
    content = tomllib.loads(Path(__file__).with_name("claims.toml").read_text(encoding="utf-8"))
    return tuple(msgspec.convert(content["claim"], list[Claim]))


def combine(answers: Iterable[tuple[ClaimVerdict, str]]) -> Answer:
    """Combine several answers into one: the claim has to hold everywhere, and counter-evidence is named."""
    known = list(answers)
    if not known:
        return None
    verdicts = [verdict for verdict, _ in known]
    worst = next((verdict for verdict in (ClaimVerdict.FAILS, ClaimVerdict.OPEN) if verdict in verdicts), verdicts[0])
    return worst, list_some(list(dict.fromkeys(reason for verdict, reason in known if verdict is worst)))


def list_some(texts: Sequence[str]) -> str:
    """Join the first few texts, and count the others."""
    rest = f"; and {len(texts) - MAX_NAMED} more" if len(texts) > MAX_NAMED else ""
    return "; ".join(texts[:MAX_NAMED]) + rest


def software(source: Record | Ceiling) -> str:
    """Name the versions that a figure was measured with."""
    return f"torch {source.environment.label('torch')}, Ultralytics {source.environment.label('ultralytics')}"


def is_mac(source: Record | Ceiling) -> bool:
    """Whether a figure was measured on a Mac."""
    return source.machine.system.startswith(("macOS", "Darwin"))
