"""Files of older versions become those of today in memory; the files themselves are never changed.

Each kind of file has a schema number of its own. A step makes a decoded file of one number that of the next; the first
line of its docstring is the history of the format. Newer numbers are refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench.errors import BenchError

Raw = dict[str, Any]
"""A decoded JSON object."""

RECORD, CEILING, COMPARISON, CALIBRATION = KINDS = ("record", "ceiling", "comparison", "calibration")


class Unreadable(BenchError):
    """A file is none of its kind that this version can read."""


def _means_of_phases(raw: Raw) -> Raw:
    """Record 2: several processes of a case, modelled windows; phases are means; losses are among the checks."""
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


STEPS: dict[str, tuple[Callable[[Raw], Raw], ...]] = {
    RECORD: (_means_of_phases,),
    CEILING: (),
    COMPARISON: (),
    CALIBRATION: (),
}
"""By kind: the steps from schema 1 on, each to the next number. A step returns a new object and leaves its own."""

NEWEST = {kind: 1 + len(steps) for kind, steps in STEPS.items()}
"""By kind: the schema number of today."""


def migrate(kind: str, raw: Any) -> Raw:
    """Return a decoded file as the newest schema of its kind has it.

    Raises:
        Unreadable: for what is no file of its kind, for one that a newer version wrote, and for one whose fields are
            not those of its number.
    """
    schema = raw.get("schema") if isinstance(raw, dict) else None
    if not isinstance(schema, int) or isinstance(schema, bool) or schema < 1:
        raise Unreadable(f"it is no {kind}: it has no schema number")
    if schema > NEWEST[kind]:
        raise Unreadable(
            f"a newer yolopace wrote it (schema {schema}, this one knows {NEWEST[kind]}): upgrade yolopace"
        )
    found = dict(raw)
    try:
        for step in STEPS[kind][schema - 1 :]:
            found = step(found)
    except (AttributeError, TypeError, KeyError, ValueError) as error:
        raise Unreadable("its fields are not those of its schema number") from error
    return {**found, "schema": NEWEST[kind]}
