"""Claims of web guides from ``claims.toml``, and the types of their verdicts."""

from __future__ import annotations

import functools
import math
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec
import pandas as pd

from bench.analysis.flags import without_forced
from bench.analysis.units import units_of
from bench.cases.case import Case
from bench.claims.accuracy import Accuracy
from bench.records.ceiling import Ceiling
from bench.records.record import Record
from bench.worker.workloads.base import family_of

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
        untested: what was not measured where there is no verdict.
        ratio: the rule that decides it, where that is a ratio; other claims have a judge in :mod:`~.verdicts`.
        workload: family whose figures decide it; ``*`` stands for any.
        forced: whether figures of forced settings count too.
        source: the guide that makes it, by its subject.
    """

    id: str
    text: str
    of: str
    how: str
    untested: str
    ratio: RatioRule | None = None
    workload: str = "ultralytics"
    forced: bool = False
    source: str = ""


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
        accuracy: mAP of trainings that the user did.
        elsewhere: measurements of the other machines of the page; None without any.
    """

    table: pd.DataFrame
    records: Sequence[Record]
    ceilings: Sequence[Ceiling]
    accuracy: Sequence[Accuracy] = ()
    elsewhere: Evidence | None = None

    def of(self, workload: str, forced: bool) -> Evidence:
        """Return the measurements of a family of models.

        Args:
            workload: name of the family; ``*`` for any.
            forced: whether cases count that go against what their library offers.
        """

        def counts(name: str, case: Case) -> bool:
            return fnmatchcase(name, workload) and (forced or not case.is_forced)

        table = self.table[self.table["workload"].map(lambda name: fnmatchcase(str(name), workload)).astype(bool)]
        table = table if forced else without_forced(table)
        return Evidence(
            table,
            [record for record in self.records if counts(units_of(record).name, record.case)],
            [ceiling for ceiling in self.ceilings if counts(family_of(ceiling.case.model).name, ceiling.case)],
            self.accuracy,
            self.elsewhere.of(workload, forced) if self.elsewhere else None,
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


def together(parts: Mapping[str, Answer]) -> Answer:
    """Combine the answers to all parts of a claim, which holds where every part does; None where none was measured.

    Args:
        parts: answers by what to say where a part was not measured.
    """
    known = [answer for answer in parts.values() if answer is not None]
    if not known:
        return None
    if failed := combine(answer for answer in known if answer[0] is ClaimVerdict.FAILS):
        return failed
    answers = [answer or (ClaimVerdict.OPEN, missing) for missing, answer in parts.items()]
    is_open = any(verdict is ClaimVerdict.OPEN for verdict, _ in answers)
    return ClaimVerdict.OPEN if is_open else ClaimVerdict.HOLDS, "; ".join(text for _, text in answers)


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
