"""Fast decoding of many records; equal parts are decoded once and shared."""

from __future__ import annotations

import contextlib
import gc
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from bench.records.migrations import RECORD, Unreadable, migrate
from bench.records.record import SCHEMA, Record

PARTS = ("recipe", "effective", "environment", "machine", "device")
"""Fields that are often equal in many records; equal texts of them are decoded once."""


def _field(field: msgspec.structs.FieldInfo) -> tuple[str, type] | tuple[str, type, Any]:
    """Return a field of :class:`Record` for a struct of the same fields, in which parts are not decoded yet."""
    kind = msgspec.Raw if field.name in PARTS else field.type
    if field.required:
        return field.name, kind
    default = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    return field.name, kind, msgspec.Raw(msgspec.json.encode(default)) if field.name in PARTS else default


FIELDS = msgspec.structs.fields(Record)
NAMES = tuple(field.name for field in FIELDS)
UNDECODED = msgspec.json.Decoder(msgspec.defstruct("Undecoded", map(_field, FIELDS), kw_only=True))
DECODERS = {field.name: msgspec.json.Decoder(field.type) for field in FIELDS if field.name in PARTS}

Known = dict[tuple[str, bytes], Any]
"""Decoded parts, by their field and their text in the file."""

NEWEST = re.compile(rb'\s*\{\s*"schema"\s*:\s*%d\s*,' % SCHEMA)
"""The beginning of a record of the newest schema, as :func:`bench.records.store.atomic.encoded` writes it."""


def decoded(content: bytes, known: Known) -> Record:
    """Decode the record in a file, and migrate it from an older schema where necessary.

    Args:
        content: content of the file.
        known: decoded parts of other records, shared to save memory; new parts are added to it.

    Raises:
        Unreadable, ValueError: where the file holds no record.
    """
    if not NEWEST.match(content):
        content = msgspec.json.encode(migrate(RECORD, msgspec.json.decode(content)))
    undecoded = UNDECODED.decode(content)
    fields: dict[str, Any] = {name: getattr(undecoded, name) for name in NAMES}
    if fields["schema"] != SCHEMA:
        raise Unreadable("it is no record: it has two schema numbers")
    for name in PARTS:
        fields[name] = _part(name, bytes(fields[name]), known)
    return Record(**fields)


def _part(name: str, content: bytes, known: Known) -> Any:
    key = name, content
    if key not in known:
        try:
            known[key] = DECODERS[name].decode(content)
        except msgspec.ValidationError as error:  # its path begins at the part, and at its root there is none
            message, _, place = str(error).partition(" - at `$")
            raise msgspec.ValidationError(f"{message} - at `$.{name}{place or '`'}") from None
    return known[key]


@contextlib.contextmanager
def without_collecting() -> Iterator[None]:
    """Pause garbage collection, which takes longer than reading many records and finds nothing."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
