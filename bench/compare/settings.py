"""Effective settings that differ between the two sides of a live comparison."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from bench.records.comparison import CaseComparison

NO_SETTING = ("warnings", "autobatch", "spawns_ddp")
"""Keys of the effective settings that are no settings: warnings of Ultralytics, whose wording differs by version, and
what Ultralytics would do for other requests."""


class Difference(msgspec.Struct, frozen=True):
    """An effective setting that differs between the sides.

    Attributes:
        key: as the worker read it back; of a setting that has parts, one part (``variables.OMP_NUM_THREADS``).
        base, head: the values; None where a side does not know it.
        cases: ids of the cases in which it differed in just this way.
    """

    key: str
    base: Any
    head: Any
    cases: tuple[str, ...]


def setting_differences(cases: Iterable[CaseComparison], shared: bool) -> tuple[Difference, ...]:
    """Collect the settings that differ, equal differences of several cases in one.

    Args:
        cases: compared cases.
        shared: True for settings that both sides report, False for those of only one side.
    """
    differences: dict[tuple[str, bytes], Difference] = {}
    for compared in cases:
        if compared.base is None or compared.head is None:
            continue
        for key, base, head, both in differing(compared.base.effective, compared.head.effective):
            if both is shared:
                alike = key, msgspec.json.encode([base, head])
                known = differences.get(alike, Difference(key, base, head, ()))
                differences[alike] = msgspec.structs.replace(known, cases=(*known.cases, compared.case.id))
    return tuple(differences.values())


def differing(base: dict[str, Any], head: dict[str, Any]) -> Iterator[tuple[str, Any, Any, bool]]:
    """Yield the settings that differ: key, both values, and whether both sides report the setting at all.

    Parts of a setting, such as the variables of the environment, are yielded separately where they differ. A part that
    only one side has was not set on the other, and that is a difference.
    """
    for key in dict.fromkeys([*base, *head]):
        value, other = base.get(key), head.get(key)
        if key in NO_SETTING or value == other:
            continue
        if isinstance(value, dict) and isinstance(other, dict):
            for part in dict.fromkeys([*value, *other]):
                if value.get(part) != other.get(part):
                    yield f"{key}.{part}", value.get(part), other.get(part), True
        else:
            yield key, value, other, value is not None and other is not None
