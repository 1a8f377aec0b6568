"""The table: a pandas frame with one row per case of a run. Everything that is shown is derived from it."""

from __future__ import annotations

import functools
import hashlib
import math
import statistics
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd

from bench.analysis import latency
from bench.analysis.flags import failed, flags_of, phase_seconds
from bench.analysis.intervals import ci_between_processes, rate_of, stdev
from bench.analysis.metrics import METRICS
from bench.analysis.row_columns import Columns, columns_of, joined
from bench.analysis.throughput import COCO_TRAIN_IMAGES, seconds_per_epoch
from bench.analysis.units import units_of
from bench.cases import Case, Recipe
from bench.cases.axes import NOT_ASKED, fixed_axes, further_axes
from bench.machine.description import SHORT_ID
from bench.records.indexed import IndexedRecords
from bench.records.machines import with_ids
from bench.records.record import Memory, Record
from bench.records.store import without_collecting

AXES = tuple(fixed_axes())
"""Names of the axes that every case has, which are columns of every table."""

LATENCY = tuple(f"latency_{name}_seconds{end}" for name in latency.LEVELS for end in ("", "_low", "_high"))
"""Columns of the latency of a call in prediction."""

COLUMNS = (
    "run",
    *AXES,
    "status",
    "reason",
    "images_per_second",
    "images_per_second_low",
    "images_per_second_high",
    "interval_kind",
    "processes",
    "process_stdev",
    "flags",
    "seconds_per_epoch",
    "seconds_per_epoch_low",
    "seconds_per_epoch_high",
    "epoch_images",
    "step_seconds",
    "data_wait_share",
    "preprocess_share",
    "forward_share",
    "backward_share",
    "optimizer_share",
    "forward_images_per_second",
    *LATENCY,
    "latency_calls",
    "load_seconds",
    "first_call_seconds",
    "epoch_gap_seconds",
    "validation_seconds",
    "validation_images",
    "checkpoint_seconds",
    "peak_memory_bytes",
    "peak_memory_method",
    "validation_memory_bytes",
    "loaders_memory_bytes",
    "images_per_joule",
    "joules_per_image",
    "idle_watts",
    "energy_method",
    "steps",
    "threads",
    "parameters",
    "gflops",
    "torch",
    "ultralytics",
    "python",
    "machine",
    "machine_title",
    "data",
    "recipe",
    "protocol",
    "overrides_hash",
    "workload",
    "unit",
    "size_unit",
    "started",
    "id",
)
"""Columns of :func:`frame`, in order. An unavailable value is missing (None or NaN), never 0."""

NUMBERS = (
    "images_per_second",
    "images_per_second_low",
    "images_per_second_high",
    "process_stdev",
    "seconds_per_epoch",
    "seconds_per_epoch_low",
    "seconds_per_epoch_high",
    "step_seconds",
    "data_wait_share",
    "preprocess_share",
    "forward_share",
    "backward_share",
    "optimizer_share",
    "forward_images_per_second",
    *LATENCY,
    "load_seconds",
    "first_call_seconds",
    "epoch_gap_seconds",
    "validation_seconds",
    "checkpoint_seconds",
    "images_per_joule",
    "joules_per_image",
    "idle_watts",
    "gflops",
)
WHOLE = (
    "batch",
    "imgsz",
    "processes",
    "epoch_images",
    "validation_images",
    "peak_memory_bytes",
    "validation_memory_bytes",
    "loaders_memory_bytes",
    "latency_calls",
    "steps",
    "threads",
    "parameters",
)

MADE = "coco-like"
"""Prefix of the names of made data sets."""

GROUP_KEYS = ("machine", "torch", "ultralytics", "protocol")
"""Columns that are equal in all rows of one group, whatever their mode."""

COMPARABLE_KEYS = (*GROUP_KEYS, "overrides_hash")
"""Columns that have to be equal in two rows before one replaces the other or is divided by it."""

MEMORY_ORDER = ("allocated", "process")
"""Figures for a case's peak memory, in order of preference: the allocator's where there is one, else the process's."""


def peak_memory(figures: dict[str, Memory]) -> Memory | None:
    """Return the figure that counts as a case's peak memory; None without one."""
    for name in MEMORY_ORDER:
        if name in figures and figures[name].bytes:
            return figures[name]
    return None


def _once(text: Callable[[Recipe], str]) -> Callable[[Recipe], str]:
    """Cache the text of each recipe: thousands of records have the same recipe."""
    known: dict[str, str] = {}

    @functools.wraps(text)
    def cached(recipe: Recipe) -> str:
        if recipe.fingerprint not in known:
            known[recipe.fingerprint] = text(recipe)
        return known[recipe.fingerprint]

    return cached


@_once
def protocol(recipe: Recipe) -> str:
    """Return the part of a recipe that is the same in every mode: data, window, threads, its version.

    It is the same on every kind of device too, except for the seconds of a window in profile ``regress``.
    """
    window = f"windows of {recipe.window_steps} steps and {recipe.window_seconds:g} s"
    window += f" (at most {recipe.most_seconds} s)" if recipe.most_seconds else ""
    seed = f" (seed {recipe.data_seed})" if recipe.data_seed else ""
    threads = f", {recipe.threads} CPU threads" if recipe.threads else ""
    return f"{Path(recipe.data).name}{seed}, {window}{threads}, measured by rule {recipe.version} of yolopace"


@_once
def overrides_hash(recipe: Recipe) -> str:
    """Eight hexadecimal digits over the settings that a recipe fixes."""
    return hashlib.sha256(msgspec.json.encode(recipe.overrides, order="sorted")).hexdigest()[:8]


def measured_only(records: Iterable[Record]) -> list[Record]:
    """Return the records that have a figure."""
    return [record for record in records if record.outcome.status.value == "measured" and record.steps is not None]


def case_key(record: Record) -> Hashable:
    """Return a key that the processes of one case in one run share: recipe, machine and software too, not the data."""
    software = record.environment.fingerprint
    return record.run, record.case, record.recipe.fingerprint, record.machine.key, software


def by_case(records: Iterable[Record]) -> list[list[tuple[int, Record]]]:
    """Group records, with their places, by case and run, in the order of the first of each.

    Of several records of one process (of copies of a file) the last counts. Processes on different data are different
    rows, even if the data set has kept its name; one that ended before it had any data belongs to the first of them.
    """
    every = list(records)
    first: dict[Hashable, str] = {}
    for record in every:
        if record.data is not None:
            first.setdefault(case_key(record), record.data.fingerprint)
    groups: dict[Hashable, dict[int, tuple[int, Record]]] = {}
    for place, record in enumerate(every):
        case = case_key(record)
        data = first.get(case) if record.data is None else record.data.fingerprint
        groups.setdefault((case, data), {})[record.process] = place, record
    return [[processes[number] for number in sorted(processes)] for processes in groups.values()]


def cases_at(records: Sequence[Record], places: Iterable[int]) -> dict[int, list[Record]]:
    """Return the records of the cases that have a record at some places, by these places, in the order of cases."""
    wanted = {int(place) for place in places}
    if isinstance(records, IndexedRecords):
        groups = _places_by_case(records)
        return {place: [records[other] for other in case] for place, case in groups.items() if place in wanted}
    return {place: [record for _, record in case] for case in by_case(records) for place, _ in case if place in wanted}


@functools.lru_cache(1)
def _places_by_case(records: IndexedRecords) -> dict[int, list[int]]:
    """Return the places of all records of a case by the place of each of them, in the order of cases."""
    groups: dict[int, list[int]] = {}
    for start, run in zip(records.starts, records.runs, strict=False):
        cases = [[place for place, _ in case] for case in by_case(run.records)] if run.records else run.cases
        for case in cases:
            places = [start + place for place in case]
            groups.update(dict.fromkeys(places, places))
    return groups


def row(processes: Sequence[Record], epoch_images: int) -> dict[str, Any]:
    """The row of a case, from the records of its processes in one run."""
    measured = measured_only(processes)
    others = [record for record in processes if not measured_only([record])]
    record = (measured or others)[0]
    case, units = record.case, units_of(record)
    if units.epoch_items and epoch_images == COCO_TRAIN_IMAGES:
        epoch_images = units.epoch_items
    cells: dict[str, Any] = {
        "run": record.run,
        **{name: getattr(case, name) for name in AXES},
        "model": case.model_label,
        "status": record.outcome.status.value,
        "reason": "; ".join(map(_repeat, filter(failed, others))) if measured else record.outcome.reason,
        "epoch_images": epoch_images,
        "threads": _threads(record.effective),
        "parameters": _parameters(record.effective),
        "gflops": _gflops(record),
        "torch": record.environment.label("torch"),
        "ultralytics": record.environment.label("ultralytics"),
        "python": record.environment.python,
        "machine": record.machine.key,
        "machine_title": record.machine.title,
        "data": f"{record.data.name} {record.data.fingerprint}" if record.data else None,
        "recipe": record.recipe.fingerprint,
        "protocol": protocol(record.recipe),
        "overrides_hash": overrides_hash(record.recipe),
        "workload": units.name,
        "unit": units.unit,
        "size_unit": units.size_unit,
        "started": record.started,
        "id": record.id,
        **dict(case.further),
    }
    return cells | _figures(measured, others, epoch_images) if measured else cells


def _threads(effective: Mapping[str, object]) -> int | None:
    """CPU threads as they were read back; None where that is no number of threads."""
    threads = effective.get("threads")
    return threads if isinstance(threads, int) and 0 < threads < 2**31 else None


def _parameters(effective: Mapping[str, object]) -> int | None:
    """Return the number of parameters as it was read back; None where it is unknown."""
    parameters = effective.get("parameters")
    return parameters if isinstance(parameters, int) and 0 < parameters < 2**53 else None


def _gflops(record: Record) -> float | None:
    """Return the GFLOPs of a forward pass over one image, as the library counts them; None where it did not."""
    gflops = record.extra.get("gflops")
    return float(gflops) if isinstance(gflops, int | float) and 0 < gflops < 2**53 else None


def _repeat(record: Record) -> str:
    """Describe the outcome of a process that gave no figure, where others of its case did."""
    return f"process {record.process} {record.outcome.status.value.replace('_', ' ')}: {record.outcome.reason}"


def _figures(measured: Sequence[Record], others: Sequence[Record], epoch_images: int) -> dict[str, Any]:
    """Cells of a case that has a figure."""
    rate, interval = rate_of(measured)
    epoch = seconds_per_epoch(rate, epoch_images)
    peaks = [memory for record in measured if (memory := peak_memory(record.memory)) is not None]
    peak = max(peaks, key=lambda memory: memory.bytes or 0, default=None)
    return {
        "images_per_second": rate.point,
        "images_per_second_low": rate.low,
        "images_per_second_high": rate.high,
        "interval_kind": interval,
        "processes": len(measured),
        "process_stdev": stdev([math.log(r.steps.images_per_second) for r in measured if r.steps])
        if len(measured) > 1
        else None,
        "flags": "; ".join(flags_of(measured, others)),
        "seconds_per_epoch": epoch.point,
        "seconds_per_epoch_low": epoch.low,
        "seconds_per_epoch_high": epoch.high,
        "step_seconds": ci_between_processes([record.steps.step_seconds for record in measured if record.steps]).point,
        **{metric.key: _mean(measured, metric.read) for metric in METRICS.values() if metric.read},
        "forward_images_per_second": _forward(measured),
        **latency.cells(measured),
        "validation_images": next((n for record in measured if (n := record.epoch_overhead.validation_images)), None),
        "steps": sum(record.steps.window_steps for record in measured if record.steps),
        "peak_memory_bytes": peak.bytes if peak else None,
        "peak_memory_method": peak.method if peak else None,
        "validation_memory_bytes": _largest(
            measured, lambda record: peak_memory(record.epoch_overhead.validation_memory)
        ),
        "loaders_memory_bytes": _largest(measured, lambda record: record.memory.get("loaders")),
        **_energy(measured),
    }


def _largest(records: Sequence[Record], figure: Callable[[Record], Memory | None]) -> int | None:
    """Return the largest of a memory figure over processes; None where it is unknown."""
    known = [memory.bytes for record in records if (memory := figure(record)) is not None and memory.bytes is not None]
    return max(known, default=None)


def _energy(records: Sequence[Record]) -> dict[str, Any]:
    """Cells of energy: the mean over processes that counted joules."""
    known = [record.energy for record in records if record.energy is not None]
    each = [joules for energy in known if (joules := energy.joules_per_image) is not None]
    idle = [energy.idle_watts for energy in known if energy.idle_watts is not None]
    mean = statistics.fmean(each) if each else None
    return {
        "images_per_joule": 1 / mean if mean else None,
        "joules_per_image": mean,
        "idle_watts": statistics.fmean(idle) if idle else None,
        "energy_method": known[0].method if known else None,
    }


def _mean(records: Sequence[Record], figure: Callable[[Record], float | None]) -> float | None:
    """Return the mean of a figure over processes; None where it is unknown."""
    known = [value for value in map(figure, records) if value is not None]
    return statistics.fmean(known) if known else None


def _forward(records: Sequence[Record]) -> float | None:
    """Images per second of the forward pass alone, in prediction; in training it holds the loss too and is a share."""
    rates = [
        record.steps.window_images / record.steps.window_steps / seconds
        for record in records
        if record.case.mode != "train" and record.steps is not None and (seconds := phase_seconds(record, "forward"))
    ]
    return ci_between_processes(rates).point if rates else None


def frame(records: Iterable[Record], epoch_images: int = COCO_TRAIN_IMAGES) -> pd.DataFrame:
    """A row for every case of every run: :data:`COLUMNS`, each further axis that occurs, and each registered metric.

    Args:
        records: in the order in which their rows shall stand.
        epoch_images: images of the epoch that ``seconds_per_epoch`` projects to.

    Returns:
        The processes of a case in one run are one row. Its index is the place of one of its records among ``records``:
        of the first that was measured, else of the first.
    """
    with without_collecting():
        if isinstance(records, IndexedRecords) and len(records):
            table, places = _indexed_frame(with_ids(records), epoch_images)
        else:
            cases = by_case(with_ids(list(records)))
            places = [row_place(case) for case in cases]
            rows = [row([record for _, record in case], epoch_images) for case in cases]
            table = typed_frame(rows, [record.case for case in cases for _, record in case[:1]])
    table.index = pd.Index(places, dtype="int64")
    _tell_data_apart(table)
    _tell_machines_apart(table)
    return table


def row_place(case: Sequence[tuple[int, Record]]) -> int:
    """Return the place of the record that stands for a case: the first that was measured, else the first."""
    return next(iter(measured_places(case)), case[0][0])


MODEL = "model"
"""Column whose texts depend on what else is shown: kept rows have the model itself there."""


def kept_rows(cases: Sequence[Sequence[tuple[int, Record]]], epoch_images: int) -> Columns:
    """Return the rows of some cases of one run in columns; the model is as the case has it."""
    rows = [row([record for _, record in case], epoch_images) | {MODEL: case[0][1].case.model} for case in cases]
    further = further_of(case[0][1].case for case in cases)
    return columns_of(rows, columns_with(further), set(NUMBERS) - set(further))


def _indexed_frame(records: IndexedRecords, epoch_images: int) -> tuple[pd.DataFrame, list[int]]:
    """Join the rows of each run, from its index or from its records; return them with the places of their records."""
    parts: list[tuple[Columns, Sequence[int]]] = []
    places: list[int] = []
    for start, run in zip(records.starts, records.runs, strict=False):
        if run.records:
            cases = by_case(run.records)
            parts.append((kept_rows(cases, epoch_images), range(len(cases))))
            places += [start + row_place(case) for case in cases]
        else:
            parts.append((run.rows, run.chosen))
            places += [start + place for place in run.places]
    every = [facts.case for facts in records.facts]
    further = further_of(every)
    labels = {model: case.model_label for model, case in {case.model: case for case in every}.items()}
    data = {name: joined(name, parts) for name in columns_with(further)}
    for name, cells in data.items():
        if name in further:
            data[name] = [NOT_ASKED if value is None or value != value else value for value in cells]
        elif further and not isinstance(cells, np.ndarray):  # as in rows of cases that have further axes
            data[name] = [np.nan if value is None else value for value in cells]
    data[MODEL] = [labels[model] for model in data[MODEL]]
    return _typed(pd.DataFrame(data), further), places


def further_of(cases: Iterable[Case]) -> list[str]:
    """Names of the further axes that some cases have: registered ones in their order, then others by name."""
    names = {name for case in cases for name, _ in case.further}
    return [name for name in further_axes() if name in names] + sorted(names - set(further_axes()))


BEHIND = ("status", "machine", "speedup")
"""Columns one of which directly follows the axes, in every frame derived from :func:`frame`."""


def axes_of(columns: Iterable[Any]) -> tuple[str, ...]:
    """Names of the axes that a frame, or a row of one, has: the fixed ones first."""
    names = list(map(str, columns))
    end = min((names.index(name) for name in BEHIND if name in names), default=None)
    if end is None or AXES[-1] not in names[:end]:
        return (*AXES, *(name for name in further_axes() if name in names))
    return (*AXES, *names[names.index(AXES[-1]) + 1 : end])


def typed_frame(rows: Sequence[dict[str, Any]], cases: Iterable[Case]) -> pd.DataFrame:
    """Rows as a table; a case without a further axis has :data:`NOT_ASKED` there, or its effective value."""
    further = further_of(cases)
    filled = [{**dict.fromkeys(further, NOT_ASKED), **_drop_missing(row)} for row in rows] if further else list(rows)
    return _typed(pd.DataFrame(filled, columns=columns_with(further)), further)


def _typed(table: pd.DataFrame, further: Sequence[str]) -> pd.DataFrame:
    """Return a table with the types of its columns."""
    whole = [name for name in WHOLE if name not in further]
    numbers = [*NUMBERS, *further_metrics()]
    table[numbers] = table[numbers].astype("float64")
    table[whole] = table[whole].astype("Int64")
    table[further] = table[further].astype("object")
    return table


def _drop_missing(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not None}


def columns_with(further: Sequence[str]) -> list[str]:
    """:data:`COLUMNS` with further axes behind the fixed ones, also ``threads``, and further metrics at the end."""
    first = COLUMNS[: 1 + len(AXES)]
    return [*first, *further, *(name for name in (*COLUMNS[len(first) :], *further_metrics()) if name not in further)]


def further_metrics() -> list[str]:
    """Keys of metrics that were registered on top of those that every table has."""
    return [metric.key for metric in METRICS.values() if metric.read and metric.key not in COLUMNS]


def case_frame(cases: Sequence[Case]) -> pd.DataFrame:
    """A row for each case with its axes alone, the model as a reader sees it."""
    further = further_of(cases)
    rows = [{**dict.fromkeys(further, NOT_ASKED), **case.values, "model": case.model_label} for case in cases]
    return pd.DataFrame(rows, columns=[*AXES, *further]).astype(dict.fromkeys(further, "object"))


def _tell_data_apart(table: pd.DataFrame) -> None:
    """Put the fingerprint into ``protocol`` where data sets of a user share a name, so that none hides another.

    A row without data belongs to the data set of its run.
    """
    own = table[table["data"].notna() & ~table["protocol"].str.startswith(MADE)]
    for protocol, rows in own.groupby("protocol"):
        if rows["data"].nunique() > 1:
            of_run = rows.drop_duplicates("run").set_index("run")["data"]
            alike = table["protocol"] == protocol
            for place, data in table[alike]["data"].fillna(table["run"].map(of_run)).dropna().items():
                table.loc[place, "protocol"] = data + str(protocol).removeprefix(data.rpartition(" ")[0])


def _tell_machines_apart(table: pd.DataFrame) -> None:
    """Put the short ID into ``machine_title`` where several machines share a title."""
    alike = table.groupby("machine_title")["machine"].transform("nunique") > 1
    table.loc[alike, "machine_title"] += " · ID " + table.loc[alike, "machine"].str[:SHORT_ID]


def measured_places(case: Sequence[tuple[int, Record]]) -> list[int]:
    """Places of the measured processes of a case."""
    return [place for place, record in case if measured_only([record])]


def newest_rows(table: pd.DataFrame) -> pd.DataFrame:
    """One row of every case in every setting (:data:`COMPARABLE_KEYS`), for plots and pivots.

    It is the newest measured row of the case, or the newest where none was measured. Older rows are not averaged with
    it, and the width of its interval does not matter.
    """
    keys = [*COMPARABLE_KEYS, *axes_of(table)]
    order = table.assign(measured=table["status"] == "measured").sort_values(["measured", "started"], kind="stable")
    return table.loc[order.groupby(keys, sort=False, dropna=False).tail(1).index].sort_index()
