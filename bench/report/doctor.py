"""The checks of ``doctor``, as text and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence

import msgspec
from rich.table import Table
from rich.text import Text

from bench.cases.device_kinds import label
from bench.formatting import format_count
from bench.machine.doctor import Check, State, devices_of
from bench.text import cleaned

COLOURS = {State.USABLE: "green", State.LIMITED: "yellow", State.UNUSABLE: "dim"}
LABELS = {State.USABLE: "ok", State.LIMITED: "warning", State.UNUSABLE: "unavailable"}


def table(rows: Sequence[Check]) -> Table:
    """Return a line per check, with the remedy below the detail."""
    shown = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    for row in rows:
        text = row.detail if not row.remedy else f"{row.detail}\n→ {row.remedy}"
        # As Text: brackets in the message of a driver are not markup.
        shown.add_row(Text(row.name), Text(LABELS[row.status], style=COLOURS[row.status]), Text(text))
    return shown


def summary(rows: Sequence[Check]) -> str:
    """Return one line: ``Ready: cpu. Not available: cuda, mps. 1 warning: load.``."""
    usable, missing = devices_of(rows)
    parts = [f"Ready: {', '.join(map(label, usable))}." if usable else "Nothing can be measured here."]
    if missing:
        parts.append(f"Not available: {', '.join(missing)}.")
    if warnings := [row.name for row in rows if row.status is State.LIMITED]:
        parts.append(f"{format_count(len(warnings), 'warning')}: {', '.join(warnings)}.")
    return " ".join(parts)


def as_json(rows: Sequence[Check]) -> str:
    """Return the checks as a list of objects ``name, status, detail, remedy``."""
    return json.dumps(cleaned(msgspec.to_builtins(rows)), ensure_ascii=False, indent=2)
