"""Old records become new ones in memory; their files are never changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench.errors import BenchError
from bench.records.record import SCHEMA


def _phases_as_means(raw: dict[str, Any]) -> dict[str, Any]:
    """From 1 to 2: of the times of a phase their mean is kept, and losses stand with the other checks."""
    found = dict(raw)
    found["phases"] = {
        name: {**phase, "seconds": [sum(phase["seconds"]) / len(phase["seconds"])]}
        for name, phase in raw.get("phases", {}).items()
        if phase["seconds"]
    }
    extra = dict(raw.get("extra", {}))
    if "loss" in extra:
        found["checks"] = {"loss": extra.pop("loss")}
    return {**found, "extra": extra}


UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _phases_as_means}
"""By schema number: the function that makes a record of that schema one of the next."""


class Unreadable(BenchError):
    """A file is no record that this version can read."""


def upgraded(raw: Any) -> dict[str, Any]:
    """A decoded record as the newest schema has it.

    Raises:
        Unreadable: for what is no record, and for one that a newer version wrote.
    """
    schema = raw.get("schema") if isinstance(raw, dict) else None
    if not isinstance(schema, int) or schema < 1:
        raise Unreadable("it is no record: it has no schema number")
    if schema > SCHEMA:
        raise Unreadable(f"a newer yolopace wrote it (schema {schema}, this one knows {SCHEMA}): upgrade yolopace")
    while raw["schema"] < SCHEMA:
        raw = {**UPGRADES[raw["schema"]](raw), "schema": raw["schema"] + 1}
    return dict(raw)
