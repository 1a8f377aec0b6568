"""The sections on exported formats: their speed against each other, and what each one costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from bench.analysis import formats
from bench.analysis.metrics import BYTES, METRICS, RATIO, SECONDS
from bench.formatting import format_number
from bench.records.record import Record
from bench.report import labels
from bench.report.inputs import MachineInputs
from bench.report.plots import facets
from bench.report.sections.section import Section, Table

SPEED = (
    "Case",
    "Format",
    "Whole call",
    "Over .pt",
    "Interval",
    "Forward pass",
    "Over .pt",
    "Median call",
    "90th percentile",
)
COSTS = ("Case", "Format", "Distance from .pt", "Limit", "File", "Export", "Load", "First call", "Peak memory")

SPEED_NOTE = (
    "A whole call reads, resizes, predicts and suppresses; the forward pass is the runtime alone. Over .pt is the "
    "throughput over that of the same case in Ultralytics' own format, with its 95 % interval. A speed-up at one "
    "size and batch says nothing of another."
)
COSTS_NOTE = (
    "The distance is that of the raw outputs from those of the .pt, over their norm (L2). Load is from the file to the "
    "first possible call. An export from the cache shows the seconds that it once took."
)


def _rows(machine: MachineInputs) -> list[tuple[dict[str, Any], Record, str]]:
    """Return the compared rows in the order of the page, each with its record and words for its versions."""
    several = len({labels.versions(part.table) for part in machine.parts}) > 1
    rows = []
    for part in machine.parts:
        table = formats.compared(part.table)
        if table.empty:
            continue
        names = [name for name in labels.case_axes(table) if name != formats.AXIS]
        ordered = facets.ordered(_own_first(table), ["mode", *names])
        versions = labels.versions(part.table) if several else ""
        records = [machine.page.records[int(index)] for index in ordered.index]
        rows += [(row, record, versions) for row, record in zip(labels.rows(ordered), records, strict=True)]
    return rows


def _own_first(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with Ultralytics' own format first, and the others in the order of the axis."""
    values = [formats.OWN, *labels.order(formats.AXIS, (v for v in table[formats.AXIS] if v != formats.OWN))]
    return table.iloc[sorted(range(len(table)), key=lambda place: values.index(table[formats.AXIS].iloc[place]))]


def _shared(rows: Sequence[tuple[dict[str, Any], Record, str]]) -> list[str]:
    return labels.shared_axes([row for row, _, _ in rows], without=[formats.AXIS])


def _note(rows: Sequence[tuple[dict[str, Any], Record, str]], text: str) -> str:
    return labels.every_row(rows[0][0], _shared(rows)) + text if rows else text


def _case(row: dict[str, Any], versions: str, shared: Sequence[str]) -> tuple[str, str]:
    return labels.point(row, without=[formats.AXIS, *shared]) + versions, str(row[formats.AXIS])


def _show(row: dict[str, Any], key: str) -> str:
    return METRICS[key].unit.show(float(row[key])) if labels.there(row[key]) else labels.NONE


def _ratio(value: Any) -> str:
    return RATIO.show(float(value)) if labels.there(value) else labels.NONE


def build_speed(machine: MachineInputs) -> Table | None:
    """Return the table of speeds; None where nothing was predicted in an exported format."""
    compared = _rows(machine)
    shared = _shared(compared)
    rows = []
    for row, _, versions in compared:
        forward = row["forward_images_per_second"]
        rows.append(
            (
                *_case(row, versions, shared),
                SECONDS.show(float(row["step_seconds"])),
                _ratio(row["over_own"]) + (" (interfered)" if row["over_own_interfered"] is True else ""),
                labels.ends(RATIO, row["over_own_low"], row["over_own_high"]) or labels.NONE,
                SECONDS.show(float(row["batch"]) / float(forward)) if labels.there(forward) else labels.NONE,
                _ratio(row["forward_over_own"]),
                _show(row, "latency_p50_seconds"),
                _show(row, "latency_p90_seconds"),
            )
        )
    return Table(SPEED, rows, _note(compared, SPEED_NOTE), labels=2) if rows else None


def build_costs(machine: MachineInputs) -> Table | None:
    """Return the table of costs; None where nothing was predicted in an exported format."""
    compared = _rows(machine)
    shared = _shared(compared)
    rows = [
        (
            *_case(row, versions, shared),
            *_parity(record),
            *_export(record),
            _show(row, "load_seconds"),
            _show(row, "first_call_seconds"),
            _show(row, "peak_memory_bytes"),
        )
        for row, record, versions in compared
    ]
    return Table(COSTS, rows, _note(compared, COSTS_NOTE), labels=2) if rows else None


def _parity(record: Record) -> Sequence[str]:
    """Format the distance of the outputs from those of the own format, and its limit."""
    return [_figure(record.extra.get("parity"), key, format_number) for key in ("relative_l2", "limit")]


def _export(record: Record) -> Sequence[str]:
    """Format the size of the exported file, and the seconds of the export."""
    export = record.extra.get("export")
    return [_figure(export, "bytes", BYTES.show), _figure(export, "seconds", SECONDS.show)]


def _figure(facts: Any, key: str, show: Any) -> str:
    """Format a number of a mapping of a record, which may hold anything."""
    value = facts.get(key) if isinstance(facts, dict) else None
    known = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 2**53
    return str(show(float(value))) if known else labels.NONE  # type: ignore[arg-type]


SECTIONS = [
    Section("formats", "Formats against each other", build_speed, question="formats"),
    Section("format_costs", "What a format costs", build_costs, question="formats"),
]
