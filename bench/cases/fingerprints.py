"""Fingerprints: a hash of named values that no renaming and no new field changes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec


def digest(frozen: Mapping[str, Any], added: Mapping[str, tuple[Any, Any]] | None = None) -> str:
    """Return twelve hexadecimal digits over named values.

    Fingerprints of records on disk have to stay what they are. The names are therefore written out where a fingerprint
    is made, and they keep their spelling when a field of the code is renamed.

    Args:
        frozen: values that every fingerprint of this kind holds.
        added: values that came later, each with its default; one at its default is left out, as it was before.
    """
    named = dict(frozen) | {name: value for name, (value, default) in (added or {}).items() if value != default}
    return hashlib.sha256(msgspec.json.encode(named, order="sorted")).hexdigest()[:12]
