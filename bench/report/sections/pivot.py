"""Time per epoch on one device: rows model, size and the further axes, columns precision and batch."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pandas as pd

from bench.analysis.metrics import METRICS, RATE
from bench.analysis.units import PIXELS, Units, in_units
from bench.cases.axes import value_text
from bench.cases.case import FIXED
from bench.records.record import Record
from bench.report import labels
from bench.report.conditions import format_conditions
from bench.report.inputs import records_of
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
        exact: details: the ends of both intervals, their kind, the flags, and how it was measured.
        name: its case, as text.
        anchor: id of its details on the page; empty without a figure.
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
    name: str = ""
    anchor: str = ""
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
    """The table of one mode on one device with one pair of versions.

    Attributes:
        mode: as in a case.
        title: heading.
        about: meaning of the times.
        groups: precision, with the number of columns below each.
        batches: heading of each column: ``batch 4``.
        rows: one per model and size.
        notes: in the order of their numbers, from 1.
        marked: whether any cell is marked as the best.
        forward: whether any cell has the forward pass alone.
        gaps: whether any cell has no case.
        unavailable: one sentence per precision that has no figure.
        mixed: whether its figures come from several recipes.
        further: titles of the further axes of its rows.
        size_unit: of the image sizes.
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
    unavailable: tuple[str, ...] = ()
    mixed: bool = False
    further: tuple[str, ...] = ()
    size_unit: str = PIXELS

    @property
    def cells(self) -> list[Cell]:
        """All cells with a figure, row by row."""
        return [cell for row in self.rows for cell in row.cells if cell.time]

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


ALIKE = ("workload", "unit", "size_unit", "epoch_images")
"""Columns that are equal in all rows of a table: times of epochs of different lengths do not compare."""


def pivots(table: pd.DataFrame, records: Sequence[Record], prefix: str = "") -> list[Pivot]:
    """Return one table per mode, device, workload and epoch that has a figure.

    Args:
        table: latest rows of one machine and one pair of versions; its index counts ``records``.
        records: all records of the frame.
        prefix: first part of the anchors of its cases.
    """
    modes = labels.order("mode", table.loc[table["seconds_per_epoch"].notna(), "mode"])
    parts = [
        device
        for mode in modes
        for _, part in table[table["mode"] == mode].groupby(list(ALIKE), sort=False)
        for device in facets.divide(part, ("device",))
        if device["seconds_per_epoch"].notna().any()
    ]
    several = len({str(part["device"].iloc[0]) for part in parts}) > 1
    anchors: set[str] = set()
    epochs = [tuple(part[name].iloc[0] for name in ALIKE) for part in parts]
    return [
        _pivot(part, records, several, len(set(epochs)) > 1, functools.partial(_anchor, prefix, anchors))
        for part in parts
    ]


def _anchor(prefix: str, taken: set[str], row: dict[str, Any]) -> str:
    """Return the id of a case on the page: ``train-yolov8n-cpu-amp-off-batch-16-160-px``; add it to those taken."""
    base = facets.slug(prefix, str(row["mode"]), labels.point(row))
    free = (f"{base}-{number}" if number > 1 else base for number in itertools.count(1))
    anchor = next(name for name in free if name not in taken)
    taken.add(anchor)
    return anchor


def _describe_times(mode: str, row: dict[str, Any], workloads: bool) -> tuple[str, str]:
    """Return the title of a mode's table, and the meaning of its times.

    Args:
        mode: of the rows.
        row: one of them.
        workloads: whether the title names the workload and its epoch.
    """
    title, about = (in_units(text, row) for text in _times(mode, row))
    named = f" · {row['workload']}, {in_units(labels.images(int(row['epoch_images'])), row)}" if workloads else ""
    return title + named, about


def _times(mode: str, row: dict[str, Any]) -> tuple[str, str]:
    """Return the texts of :func:`_describe_times`, about images."""
    epoch = labels.images(int(row["epoch_images"]))
    if mode == "train":
        what = f"Projected to {epoch.replace(' images', ' images per epoch', 1)}, without validation and checkpoints."
        return "Training: time per epoch", what
    if mode == "predict":
        ends = ", from file to boxes" if row["workload"] == Units().name else ""
        return "Prediction: time for one pass", f"Projected to one pass over {epoch}{ends}."
    return f"{labels.mode(mode)}: time per epoch", f"Projected to {epoch}."


def _pivot(
    table: pd.DataFrame,
    records: Sequence[Record],
    several: bool,
    workloads: bool,
    anchor: Callable[[dict[str, Any]], str],
) -> Pivot:
    """Return the table of some rows of one mode, device and workload; its title names those that differ elsewhere."""
    mode, device = str(table["mode"].iloc[0]), str(table["device"].iloc[0])
    asked = {name for index in table.index for name, _ in records[int(index)].case.further}
    further = [axis for axis in labels.case_axes(table) if axis in asked]
    keys = [axis for axis in labels.case_axes(table) if axis in FIXED or axis in asked]
    cases: dict[tuple[Any, ...], dict[str, Any]] = {}
    for index, row in zip(table.index, labels.rows(table), strict=True):
        cases[tuple(row[axis] for axis in keys)] = {**row, "record": records[int(index)]}
    notes: dict[Note, int] = {}
    groups, columns, unavailable = _columns(cases)
    rows: list[Row] = []

    def member(row: dict[str, Any], column: tuple[Any, ...]) -> dict[str, Any] | None:
        values = {**row, **dict(zip(("amp", "batch"), column, strict=True))}
        return cases.get(tuple(values[axis] for axis in keys))

    for model in facets.divide(table, ("model",)):
        places = facets.divide(model, ("imgsz", *further))
        for number, place in enumerate(places):
            row = labels.rows(place.head(1))[0]
            cells = [
                _cell(case_row, notes, anchor) if (case_row := member(row, column)) else (Cell(), None)
                for column in columns
            ]
            best = _best([case_row for _, case_row in cells])
            marked = [msgspec.structs.replace(cell, best=i == best) for i, (cell, _) in enumerate(cells)]
            further_values = tuple(labels.to_one_line(value_text(axis, row[axis])) for axis in further)
            rows.append(
                Row(row["model"], int(row["imgsz"]), 0 if number else len(places), tuple(marked), further_values)
            )
    units = labels.rows(table.head(1))[0]
    title, about = _describe_times(mode, units, workloads)
    measured = records_of(table[table["status"] == "measured"], records)
    everything = [cell for row in rows for cell in row.cells]
    return Pivot(
        mode=mode,
        title=f"{title} · {labels.device(device)}" if several else title,
        about=about,
        groups=groups,
        batches=tuple(labels.axis_value("batch", batch) for _, batch in columns),
        rows=tuple(rows),
        notes=tuple(notes),
        marked=any(cell.best for cell in everything),
        forward=any(cell.forward for cell in everything),
        gaps=any(not cell.time and not cell.status for cell in everything),
        unavailable=unavailable,
        mixed=len({record.recipe.fingerprint for record in measured}) > 1,
        further=tuple(map(labels.axis_title, further)),
        size_unit=units["size_unit"],
    )


Columns = list[tuple[str, int]]


def _columns(
    cases: dict[tuple[Any, ...], dict[str, Any]],
) -> tuple[tuple[tuple[str, int], ...], Columns, tuple[str, ...]]:
    """Return the headings of precision, the columns below (precision and batch), and what is unavailable.

    A precision without any figure is a sentence and no column.
    """
    groups: list[tuple[str, int]] = []
    columns: Columns = []
    unavailable: list[str] = []
    rows = list(cases.values())
    for amp in labels.order("amp", (row["amp"] for row in rows)):
        members = [row for row in rows if row["amp"] == amp]
        if any(labels.there(row["seconds_per_epoch"]) for row in members):
            batches = labels.order("batch", (row["batch"] for row in members))
            groups.append((labels.axis_value("amp", amp), len(batches)))
            columns += [(amp, batch) for batch in batches]
        else:
            reasons = dict.fromkeys(not_measured.format_reason(row["record"]) for row in members)
            unavailable.append(f"No figure with {labels.axis_value('amp', amp)}: {'; '.join(reasons)}")
    return tuple(groups), columns, tuple(unavailable)


def _cell(
    row: dict[str, Any], notes: dict[Note, int], anchor: Callable[[dict[str, Any]], str]
) -> tuple[Cell, dict[str, Any] | None]:
    """Return the cell of a case, and its row if it has a figure; add a new note to ``notes``."""
    if not labels.there(row["seconds_per_epoch"]):
        outcome = row["record"].outcome
        note = Note(labels.status(row["status"]), not_measured.common_reason(row["record"]))
        number = notes.setdefault(note, len(notes) + 1)
        return Cell(status=labels.status(row["status"]), broken=outcome.status.broken, notes=(number,)), None
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
        name=labels.point(row),
        anchor=anchor(row),
    )
    return cell, row


def seen_at(record: Record, row: dict[str, Any]) -> str:
    """Format the number of processes and steps, the requested and effective settings, and the conditions."""
    processes = labels.count(int(row["processes"]), "process", "processes")
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
