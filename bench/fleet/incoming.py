"""Files that other machines send: untrusted input, checked before anything is written."""

from __future__ import annotations

import re

import msgspec

from bench.records import store
from bench.records.ceiling import Ceiling
from bench.records.record import Record

FILE_NAME = re.compile(r"[A-Za-z0-9][^/\\\x00-\x1f\x7f:]{0,240}\.json")


class Untrusted(ValueError):
    """The content is not what a member of this run may send; the text says why."""


def checked(content: str, name: str, run: str) -> Record | Ceiling:
    """Return what a file holds, once it is what this version writes, byte for byte.

    Args:
        content: of the file.
        name: of the process or the ceiling that it is to be of.
        run: name of the machine's run.

    Raises:
        Untrusted: where it is anything else.
    """
    whole = content.encode(errors="replace")
    try:
        item = store.decode_file(whole)
    except store.UNREADABLE as error:
        raise Untrusted(f"it cannot be read: {str(error)[:200]}") from None
    if name_of(item) != name:
        raise Untrusted(f"it is of {name_of(item)!r}, not of {name!r}")
    if item.run != run:
        raise Untrusted(f"it is of the run {item.run!r}")
    if not FILE_NAME.fullmatch(item.file_name):
        raise Untrusted(f"{item.file_name!r} is no name of a file here")
    value = msgspec.json.decode(whole)
    # A whole number in place of a fraction is the same value, and stays as it was written.
    if store.formatted(value) != whole or msgspec.json.decode(store.encoded(item)) != value:
        raise Untrusted("it is not as this version writes it")
    return item


def name_of(item: Record | Ceiling) -> str:
    """Return the name by which a plan lists what a file holds."""
    return item.name if isinstance(item, Record) else item.case.search_id
