"""Time per epoch at a glance: rows model, size and the further axes, columns device, precision and batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pandas as pd

from bench.analysis.metrics import METRICS, RATE
from bench.analysis.units import IMAGE, PIXELS, in_units
from bench.cases.axes import value_text
from bench.cases.case import FIXED
from bench.records.record import Record
from bench.report import labels
from bench.report.conditions import format_conditions
from bench.report.plots import facets
from bench.report.sections import not_measured, settings
from bench.report.tables import markdown

NO_INTERVAL = "no interval: too few steps"


class Cell(msgspec.Struct, frozen=True):
    """One cell: a figure, or the status of a case without one; empty if no such case was requested.

    Attributes:
        time: time per epoch, as text; empty without a figure.
        signs: flags of the figure (``labels.SIGNS``).
        spread: its interval, and the number of processes if there are several; empty without an interval.
        rate: images per second, as text.
        forward: images per second of the model's forward pass alone, if it was measured.
        exact: tooltip with the ends of both intervals, their kind, and the flags.
        best: whether it is the best of its row.
        status: of the case, as text, if there is no figure.
        broken: whether the user should look into it.
        notes: numbers of the notes with its reasons, from 1.
    """

    time: str = ""
    signs: str = ""
    spread: str = ""
    rate: str = ""
    forward: str = ""
    exact: str = ""
    best: bool = False
    status: str = ""
    broken: bool = False
    notes: tuple[int, ...] = ()


class Row(msgspec.Struct, frozen=True):
    """One model at one size, with one value of each further axis.

    Attributes:
        model, imgsz: of its cases.
        span: number of rows of the model from its first row on; 0 in the rows below.
        cells: one per column.
        further: values of the further axes as texts, in their order.
    """

    model: str
    imgsz: int
    span: int
    cells: tuple[Cell, ...]
    further: tuple[str, ...] = ()


class Note(msgspec.Struct, frozen=True):
    """The reason why cells have no figure."""

    status: str
    reason: str


class Pivot(msgspec.Struct, frozen=True):
    """The table of one mode on one machine with one pair of versions.

    Attributes:
        mode: as in a case.
        title: heading.
        about: meaning of the times.
        groups: device and precision, with the number of columns below each.
        batches: heading of each column: ``batch 4``, or ``any batch`` if no batch of the group has a figure.
        rows: one per model and size.
        notes: in the order of their numbers, from 1.
        marked: whether any cell is marked as the best.
        forward: whether any cell has the forward pass alone.
        gaps: whether any cell has no case.
        intervals: kinds of the intervals, as text.
        legend: sign, name and meaning of the flags of its cells.
        further: titles of the further axes of its rows.
    """

    mode: str
    title: str
    about: str
    groups: tuple[tuple[str, int], ...]
    batches: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: tuple[Note, ...]
    marked: bool
    forward: bool
    gaps: bool
    intervals: str
    legend: tuple[tuple[str, str, str], ...]
    further: tuple[str, ...] = ()
    size_unit: str = PIXELS

    @property
    def starts(self) -> set[int]:
        """Columns that are the first of their group."""
        return {sum(span for _, span in self.groups[:place]) for place in range(len(self.groups))}

    def markdown(self) -> str:
        """Render as a Markdown table, without heading and notes."""
        tops = [top for top, span in self.groups for _ in range(span)]
        heads = [f"{top} · {batch}" for top, batch in zip(tops, self.batches, strict=True)]
        lines = [
            [row.model, f"{row.imgsz} {self.size_unit}", *row.further, *map(_as_text, row.cells)] for row in self.rows
        ]
        sides = [False, True, *[False] * len(self.further), *[True] * len(heads)]
        return markdown(["Model", "Image size", *self.further, *heads], lines, sides)


def _as_text(cell: Cell) -> str:
    if cell.time:
        time = f"{cell.time}{cell.signs}"
        lines = [f"{time} {labels.BEST}" if cell.best else time, cell.spread, cell.rate, cell.forward]
        return "\n".join(line for line in lines if line)
    if cell.status:
        return f"{cell.status} [{', '.join(map(str, cell.notes))}]"
    return labels.NONE


def pivots(table: pd.DataFrame, records: Sequence[Record], epoch_images: int) -> list[Pivot]:
    """Return one table per mode and workload that has a figure.

    Args:
        table: latest rows of one machine and one pair of versions; its index counts ``records``.
        records: all records of the frame.
        epoch_images: images of the epoch that the table projects to.
    """
    modes = labels.order("mode", table.loc[table["seconds_per_epoch"].notna(), "mode"])
    parts = [part for mode in modes for _, part in table[table["mode"] == mode].groupby("workload", sort=False)]
    return [
        _pivot(str(part["mode"].iloc[0]), part, records, epoch_images)
        for part in parts
        if part["seconds_per_epoch"].notna().any()
    ]


def _describe_times(mode: str, epoch_images: int) -> tuple[str, str]:
    """Return the title of a mode's table, and the meaning of its times."""
    epoch = labels.images(epoch_images)
    if mode == "train":
        what = f"Projected to {epoch.replace(' images', ' images an epoch', 1)}, validation and checkpoints apart."
        return "Training: time per epoch", what
    if mode == "predict":
        return "Prediction: time for one pass", f"Projected to one pass over {epoch}, from file to boxes."
    return f"{labels.mode(mode)}: time per epoch", f"Projected to {epoch}."


def _pivot(mode: str, table: pd.DataFrame, records: Sequence[Record], epoch_images: int) -> Pivot:
    asked = {name for index in table.index for name, _ in records[int(index)].case.further}
    further = [axis for axis in labels.case_axes(table) if axis in asked]
    keys = [axis for axis in labels.case_axes(table) if axis in FIXED or axis in asked]
    cases: dict[tuple[Any, ...], dict[str, Any]] = {}
    for index, row in zip(table.index, labels.rows(table), strict=True):
        cases[tuple(row[axis] for axis in keys)] = {**row, "record": records[int(index)]}
    notes: dict[Note, int] = {}
    groups, columns = _columns(cases)
    rows: list[Row] = []

    def member(row: dict[str, Any], column: tuple[Any, ...]) -> dict[str, Any] | None:
        values = {**row, **dict(zip(facets.across(keys), column, strict=True))}
        return cases.get(tuple(values[axis] for axis in keys))

    for model in facets.divide(table, ("model",)):
        places = facets.divide(model, ("imgsz", *further))
        for number, place in enumerate(places):
            row = labels.rows(place.head(1))[0]
            cells = [
                _cell([case_row for at in batches if (case_row := member(row, (device, amp, at)))], notes)
                for device, amp, batches in columns
            ]
            best = _best([case_row for _, case_row in cells])
            marked = [msgspec.structs.replace(cell, best=i == best) for i, (cell, _) in enumerate(cells)]
            further_values = tuple(labels.to_one_line(value_text(axis, row[axis])) for axis in further)
            rows.append(
                Row(row["model"], int(row["imgsz"]), 0 if number else len(places), tuple(marked), further_values)
            )
    units = labels.rows(table.head(1))[0]
    own = int(units["epoch_images"])
    title, about = (
        in_units(text, units) for text in _describe_times(mode, own if units["unit"] != IMAGE else epoch_images)
    )
    everything = [cell for row in rows for cell in row.cells]
    return Pivot(
        mode=mode,
        title=title,
        about=about,
        groups=groups,
        batches=tuple(
            "any batch" if len(batches) > 1 else labels.axis_value("batch", batches[0]) for _, _, batches in columns
        ),
        rows=tuple(rows),
        notes=tuple(notes),
        marked=any(cell.best for cell in everything),
        forward=any(cell.forward for cell in everything),
        gaps=any(not cell.time and not cell.status for cell in everything),
        intervals=labels.intervals(labels.interval_kinds(table)),
        legend=tuple(labels.legend(cell.signs for cell in everything)),
        further=tuple(map(labels.axis_title, further)),
        size_unit=units["size_unit"],
    )


Columns = list[tuple[str, str, list[int]]]


def _columns(cases: dict[tuple[Any, ...], dict[str, Any]]) -> tuple[tuple[tuple[str, int], ...], Columns]:
    """Return the headings of device and precision, and the columns below: device, precision and batches.

    A device and precision without any figure takes one column for all batches: it only shows reasons.
    """
    groups: list[tuple[str, int]] = []
    columns: Columns = []
    rows = list(cases.values())
    for device in labels.order("device", (row["device"] for row in rows)):
        for amp in labels.order("amp", (row["amp"] for row in rows if row["device"] == device)):
            members = [row for row in rows if row["device"] == device and row["amp"] == amp]
            batches = labels.order("batch", (row["batch"] for row in members))
            measured = any(labels.there(row["seconds_per_epoch"]) for row in members)
            below = [[batch] for batch in batches] if measured else [batches]
            groups.append((labels.point({"device": device, "amp": amp}, ("device", "amp")), len(below)))
            columns += [(device, amp, column_batches) for column_batches in below]
    return tuple(groups), columns


def _cell(rows: Sequence[dict[str, Any]], notes: dict[Note, int]) -> tuple[Cell, dict[str, Any] | None]:
    """Return the cell for the cases in one place, and the row with its figure; add new notes to ``notes``."""
    if not rows:
        return Cell(), None
    row = rows[0]
    if labels.there(row["seconds_per_epoch"]):
        epoch = [row[f"seconds_per_epoch{end}"] for end in ("", "_low", "_high")]
        time = METRICS["seconds_per_epoch"].unit
        forward = row["forward_images_per_second"]
        rates = labels.ends(RATE, row["images_per_second_low"], row["images_per_second_high"])
        spread = labels.spread(time, *epoch)
        ends = f"{labels.ends(time, *epoch[1:])}; {rates} {RATE.symbol}"
        exact = in_units(f"95 % interval {row['interval_kind']}: {ends}", row) if rates else NO_INTERVAL
        several = row["processes"] > 1
        cell = Cell(
            time=time.show(epoch[0]),
            signs=labels.signs(row["flags"]),
            spread=f"{spread}, {row['processes']} processes" if several and spread else spread,
            rate=in_units(labels.rate(row["images_per_second"]), row),
            forward=in_units(f"forward {labels.rate(forward)}", row) if labels.there(forward) else "",
            exact="; ".join(filter(None, [exact, row["flags"], seen_at(row["record"], row)])),
        )
        return cell, row
    numbers = []
    for member in rows:
        note = Note(labels.status(member["status"]), not_measured.common_reason(member["record"]))
        numbers.append(notes.setdefault(note, len(notes) + 1))
    words = dict.fromkeys(labels.status(member["status"]) for member in rows)
    broken = any(member["record"].outcome.status.broken for member in rows)
    return Cell(status=", ".join(words), broken=broken, notes=tuple(dict.fromkeys(numbers))), None


def seen_at(record: Record, row: dict[str, Any]) -> str:
    """Format the number of processes and steps, the requested and effective settings, and the conditions."""
    processes = labels.count(int(row["processes"]), "process").replace("processs", "processes")
    parts = [f"{processes}, {labels.count(int(row['steps']), 'step')}", settings.in_short(record)]
    return "; ".join(filter(None, [*parts, format_conditions([record.conditions])]))


def _best(rows: Sequence[dict[str, Any] | None]) -> int | None:
    """Return the index of the best cell of a row; None with fewer than two figures."""
    metric = METRICS["seconds_per_epoch"]
    figures = {index: row[metric.key] for index, row in enumerate(rows) if row is not None}
    if len(figures) < 2:
        return None
    choose = min if metric.better == "lower" else max
    return choose(figures, key=figures.__getitem__)
