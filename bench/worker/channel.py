"""Send events of a worker as JSON lines over a separate file descriptor, since libraries print to standard output."""

from __future__ import annotations

import json
import math
import os
import time
from typing import Any

from .message_json import as_dict
from .protocol import Event


def finite(value: Any) -> Any:
    """Return ``value`` with None for every float that JSON lacks (nan, inf)."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return value


class Channel:
    """Writes events, one JSON object per line; every event carries ``at``, seconds of ``time.monotonic``.

    On Linux and macOS that clock is common to all processes, so the runner can subtract its own readings.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def send(self, event: Event) -> None:
        """Write one event whole; blocks while the runner's pipe is full."""
        line = json.dumps(finite({**as_dict(event), "at": time.monotonic()}), separators=(",", ":"))
        data = line.encode() + b"\n"
        while data:
            data = data[os.write(self._descriptor, data) :]
