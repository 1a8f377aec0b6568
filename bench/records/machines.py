"""Machines of several results: records without an ID belong to the one machine that has their fingerprint."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar, overload

import msgspec

from bench.machine.description import Machine
from bench.records.ceiling import Ceiling
from bench.records.comparison import Comparison
from bench.records.indexed import IndexedRecords, facts_of
from bench.records.record import Record
from bench.records.tune import Tuning

Measurement = TypeVar("Measurement", Record, Ceiling, Comparison, Tuning)


def ids_by_fingerprint(machines: Iterable[Machine]) -> dict[str, str]:
    """Return the ID for each fingerprint that one ID alone has."""
    ids: dict[str, set[str]] = {}
    for machine in machines:
        if machine.id:
            ids.setdefault(machine.fingerprint, set()).add(machine.id)
    return {fingerprint: own.pop() for fingerprint, own in ids.items() if len(own) == 1}


@overload
def with_ids(measurements: IndexedRecords, known: dict[str, str] | None = None) -> IndexedRecords: ...


@overload
def with_ids(measurements: Sequence[Measurement], known: dict[str, str] | None = None) -> Sequence[Measurement]: ...


def with_ids(measurements: Sequence[Any], known: dict[str, str] | None = None) -> Sequence[Any]:
    """Return results with the ID of their machine, also where older records lack it.

    Where several machines share a fingerprint, older records of it are those of none of them.

    Args:
        measurements: results of one kind.
        known: IDs by fingerprint (:func:`ids_by_fingerprint`); default: of the results.
    """
    ids = ids_by_fingerprint(item.machine for item in facts_of(measurements)) if known is None else known
    if isinstance(measurements, IndexedRecords):  # those that have an index have IDs too
        return measurements.changed(lambda records: with_ids(records, ids))
    return [
        msgspec.structs.replace(item, machine=msgspec.structs.replace(item.machine, id=ids[item.machine.fingerprint]))
        if not item.machine.id and item.machine.fingerprint in ids
        else item
        for item in measurements
    ]
