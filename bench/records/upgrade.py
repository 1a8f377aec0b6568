"""Old records become new ones in memory; their files are never changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench.errors import BenchError
from bench.records.record import SCHEMA

UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
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
