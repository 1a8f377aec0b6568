"""The texts that tables, plots and the page use for cases, machines and figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bench.analysis.flags import LEGEND, kinds
from bench.analysis.intervals import BETWEEN, DRIFTING, HOST_DRIFT, WIDENED, WITHIN, half_share
from bench.analysis.metrics import RATE, RATIO, Metric, Unit
from bench.analysis.table import axes_of
from bench.analysis.throughput import COCO_TRAIN_IMAGES
from bench.analysis.units import in_units
from bench.cases import Case, device_kinds
from bench.cases.axes import NOT_ASKED, axes, mode_label, sort_values, value_label
from bench.formatting import format_bytes, format_count, format_half_width
from bench.machine.description import SHORT_ID, Machine
from bench.text import clean
from bench.worker.workloads.base import family_of, own_name

count = format_count
"""The number of things, such as ``20 cases``."""

NONE = "—"
"""Text for a missing value; never 0, never nan."""

DOES = {"train": ("Training", "trains"), "predict": ("Prediction", "predicts")}
"""A mode as a noun and as a verb."""

BEST = "★"

INTERVALS = {
    "between": (
        "Where a case ran in several fresh processes, its interval is between them: Student's t on the logarithm, one "
        "figure per process, never over steps. It says how far the mean of more such processes would lie from this "
        "one, in the hour of that run. It does not cover another hour or a warmer machine."
    ),
    WIDENED: (
        "An interval of one process is of the mean over its steps: Student's t, with the number of steps lowered for "
        "their autocorrelation. It is widened by the noise floor from the calibration of that machine. That is "
        "how far fresh processes of the same thing differ there, on that device, in that mode and with those versions."
    ),
    DRIFTING: (
        "An interval of one process on a CPU is of the mean over its steps: Student's t, with the number of steps "
        "lowered for their autocorrelation. It is widened for the drift of a machine from window to window. Where no "
        f"calibration says how large that is, a standard deviation of {HOST_DRIFT * 100:g} % is assumed "
        "(python -m bench calibrate measures it)."
    ),
    WITHIN: (
        "An interval within one process is of the mean over its steps: Student's t, with the number of steps lowered "
        "for their autocorrelation. It says how far the mean would move with more steps in that process. Another "
        "process, another hour or a warmer machine may differ by more, and that is not in it. Repeated processes show "
        "it (--processes 5), and so does a calibration (python -m bench calibrate)."
    ),
}
"""Explanation of each kind of interval, for readers."""

INTERVAL_NAMES = {
    "between": "Interval between processes",
    WIDENED: "Interval widened by calibration",
    DRIFTING: "Interval widened for drift",
    WITHIN: "Interval within one process",
}
"""Name of each kind of interval."""

MIXED_INTERVALS = {
    (WITHIN, WIDENED): f"{WITHIN}, widened where a calibration fits",
    (WITHIN, DRIFTING): f"{WITHIN}, widened for drift on a CPU",
    (DRIFTING, WIDENED): f"{WITHIN}, widened for drift or by calibration",
    (WITHIN, DRIFTING, WIDENED): f"{WITHIN}, on a CPU widened for drift, and where a calibration fits by that",
}
"""Description of several kinds of intervals of single processes."""

TERMS = {
    "Case": (
        "One point of the matrix: mode, model, device, precision, batch and image size. A link in a table leads to its "
        "details."
    ),
    "amp": (
        "Automatic mixed precision: on computes in float16 where that is safe, bf16 in bfloat16; off stays in float32."
    ),
    "Throughput": "Images per second of whole steps, waiting for data included.",
    "±": "95 % confidence interval of the figure.",
    "Interval of a ratio": (
        "It combines the intervals of both cases; where these are of two kinds, it counts as the weaker kind. An "
        "interval that includes 1 shows no difference."
    ),
    "Phases": "Parts of a step. Phases that overlap may add up to more than the step.",
    "Color": "In plots of lines a model has one color; shade, marker and dash distinguish its lines.",
}
"""Terms of the page, for readers."""

JOINED = (
    "Devices joined by + train together, one process per device: cpu+cpu is two processes on the CPU, and cuda:0+1 is "
    "two GPUs."
)
"""Explanation of the names of several devices, for readers."""

SCENARIO = (
    "How images come in prediction, with MLPerf's meanings. single: one image per call, and the next one when it has "
    "ended. multi: a batch per call. offline: one call on a long list of images. server: requests that arrive at "
    "random."
)
"""Explanation of the axis ``scenario``, for readers."""

SIGNS = dict(zip(LEGEND, "†‡§¶‖#※◊⁂", strict=True))
"""The sign after a figure for each of its flags."""

SPEEDUP = Metric("speedup", "Speed-up", RATIO, "higher")
"""Ratio of two rows of the table; it is not a column, so it has no entry in the registry."""


def interval_kinds(table: pd.DataFrame) -> list[str]:
    """Return the keys of :data:`INTERVALS` that occur in a table."""
    texts = set(table["interval_kind"].dropna())
    return [kind for kind in INTERVALS if any(text == kind or text.startswith(f"{kind} ") for text in texts)]


def intervals(kinds: Sequence[str]) -> str:
    """Describe the intervals: ``95 % interval within one process``; with several kinds, also where each applies."""
    single = tuple(kind for kind in (WITHIN, DRIFTING, WIDENED) if kind in kinds)
    alone = MIXED_INTERVALS.get(single, single[0] if single else "")
    if "between" not in kinds:
        return f"95 % interval {alone}" if kinds else "95 % interval"
    if len(kinds) == 1:
        return f"95 % interval {BETWEEN}"
    return f"95 % interval, {BETWEEN} where there were several, else {alone}"


def signs(marks: Any) -> str:
    """Return the signs of a cell of the column ``flags``."""
    return "".join(SIGNS[kind] for kind in kinds(marks)) if there(marks) else ""


def sign_names(signs: str) -> str:
    """Return the names of flags by their signs: ``interfered, modelled``."""
    return ", ".join(kind for kind, sign in SIGNS.items() if sign in signs)


def legend(signs: Iterable[str]) -> list[tuple[str, str, str]]:
    """Return sign, name and meaning of each flag that was used."""
    used = "".join(signs)
    return [(sign, kind, LEGEND[kind]) for kind, sign in SIGNS.items() if sign in used]


def there(value: Any) -> bool:
    """Whether a cell of a frame has a value: not None, NaN or NA."""
    return bool(pd.notna(value))


def values(column: pd.Series) -> list[Any]:
    """Return the values of a column with Python's own types, as :func:`rows` has them."""
    return [value.item() if isinstance(value, np.generic) else value for value in column.to_numpy(dtype=object)]


def rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a frame as dictionaries by column name, with values of Python's own types.

    A frame of many columns takes a tenth of the time of ``DataFrame.to_dict``, which takes it apart by column.
    """
    names = list(map(str, frame.columns))
    return [
        {name: value.item() if isinstance(value, np.generic) else value for name, value in zip(names, row, strict=True)}
        for row in frame.to_numpy(dtype=object)
    ]


mode = mode_label
device = device_kinds.label


LEAST_GIB = 2**29
"""Size, in bytes, from which a column or plot is in GiB."""

LONGEST = 2_000
"""Maximum length of a shown text, in characters; recorded text may have any length."""


def to_one_line(text: str, most: int = LONGEST) -> str:
    """Return recorded text on one line, without control characters that a terminal or an SVG would obey."""
    short = text if len(text) <= most else f"{text[: most - 1]}…"
    return "".join(sign if sign.isprintable() else " " for sign in clean(short))


def axis_value(axis: str, value: Any) -> str:
    """Format a value on an axis, such as ``batch 16``, ``640 px`` or ``workers 2``."""
    return to_one_line(value_label(axis, value), 200)


def case_axes(columns: Iterable[Any]) -> tuple[str, ...]:
    """Return the axes in the order of a case's name, without mode, which is written before them or in a heading.

    Args:
        columns: of a frame, or the keys of one of its rows.
    """
    return tuple(axis for axis in axes_of(columns) if axis != "mode")


def point(row: Mapping[str, Any], axes: Iterable[str] | None = None, without: Sequence[str] = ()) -> str:
    """Format a case on some axes, by default all but mode: ``yolov8n · cpu · amp off · batch 16 · 160 px``."""
    names = [axis for axis in case_axes(row) if row[axis] != NOT_ASKED] if axes is None else axes
    names = [axis for axis in names if axis not in without]
    text = " · ".join(axis_value(axis, row[axis]) for axis in names)
    return in_units(text, row if "size_unit" in row else _units_of_model(row))


def shared_axes(rows: Sequence[Mapping[str, Any]], without: Sequence[str] = ()) -> list[str]:
    """Return the axes whose values several rows share, but for the model where nothing else would name a row."""
    if len(rows) < 2:
        return []
    names = [axis for axis in case_axes(rows[0]) if axis not in without]
    same = [axis for axis in names if all(axis in row and row[axis] == rows[0][axis] for row in rows)]
    others = {axis for row in rows for axis in case_axes(row)} - {*same, *without}
    return same if others else [axis for axis in same if axis != "model"]


def every_row(row: Mapping[str, Any], shared: Sequence[str]) -> str:
    """Return a sentence on what all rows share: ``Every row: cpu · batch 1 · 320 px.``; empty where that is nothing."""
    text = point(row, [axis for axis in shared if row[axis] != NOT_ASKED])
    return f"Every row: {text}. " if text else ""


def _units_of_model(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the units of the model of a row that has no columns for them."""
    model = str(row.get("model", ""))
    return family_of(model).units(own_name(model), int(row.get("imgsz") or 0)) if model else {}


def case(row: Mapping[str, Any]) -> str:
    """Format a whole case, mode first."""
    return f"{axis_value('mode', row['mode'])} · {point(row)}"


def case_values(case: Case) -> dict[str, Any]:
    """Return the values of a case by axis, with the label of its model."""
    return {**case.values, "model": case.model_label}


def whole_case(case: Case) -> str:
    """Format a whole case, mode first, with all its axes."""
    values = case_values(case)
    return point(values, values)


def baseline(values: Mapping[str, Any]) -> str:
    """Format a baseline such as ``cpu, amp off``."""
    return ", ".join(axis_value(axis, value) for axis, value in values.items())


def status(value: str) -> str:
    """Format a status: ``out_of_memory`` as ``out of memory``."""
    return value.replace("_", " ")


order = sort_values


def axis_title(axis: str) -> str:
    """Return the heading of an axis."""
    return known.title if (known := axes().get(axis)) else axis


def machine_name(machine: Machine) -> str:
    """Return a short name: the first GPU without its memory, else the CPU."""
    return machine.gpus[0].partition(" (")[0] if machine.gpus else machine.cpu_name


def distinct_names(machines: Iterable[Machine], name: Callable[[Machine], str] = machine_name) -> dict[str, str]:
    """Return a name per machine, by :attr:`Machine.key`; machines of one name have their short ID in it."""
    names = {machine.key: name(machine) for machine in machines}
    alike = Counter(names.values())
    return {key: text if alike[text] == 1 else f"{text} · ID {key[:SHORT_ID]}" for key, text in names.items()}


def images(number: int) -> str:
    """Format a number of images: ``118,287 images (COCO train2017)``."""
    return f"{number:,} images" + (" (COCO train2017)" if number == COCO_TRAIN_IMAGES else "")


def versions(table: pd.DataFrame) -> str:
    """Format the versions of rows of one setting, to append to a case: ``, torch 2.15.0, Ultralytics 8.4.190``."""
    return f", torch {table['torch'].iloc[0]}, Ultralytics {table['ultralytics'].iloc[0]}"


def spread_decimals(lows: Iterable[Any], highs: Iterable[Any]) -> int:
    """Return the number of decimals of all intervals of a column, which its narrowest one needs."""
    shares = [half_share(low, high) for low, high in zip(lows, highs, strict=True) if there(low) and there(high)]
    least = min(filter(None, shares), default=1.0)
    return 0 if least >= FINE else 1 if least >= FINEST else 2


FINE, FINEST = 0.0995, 0.0005
"""Half widths from which an interval needs no decimal, and one: ``± 12 %``, ``± 0.1 %``."""


def spread(unit: Unit, point: Any, low: Any, high: Any, decimals: int | None = None) -> str:
    """Format an interval briefly: ``± 2.6 %`` if it is symmetric, else its two ends; empty without one.

    Args:
        unit: of the ends.
        point: estimate.
        low: lower end.
        high: upper end.
        decimals: of the column; see :func:`spread_decimals`.
    """
    if not (there(low) and there(high)):
        return ""
    if abs(high + low - 2 * point) <= 0.01 * (high - low):
        return format_half_width(half_share(low, high), decimals)
    return ends(unit, low, high)


def ends(unit: Unit, low: Any, high: Any) -> str:
    """Format the two ends of an interval: ``22.9 to 23.3``; empty without one.

    If both ends would look the same, return ``± 0.04 %``.
    """
    if not (there(low) and there(high)):
        return ""
    if unit.show(low) == unit.show(high):
        return format_half_width(half_share(low, high))
    return f"{unit.show(low)} to {unit.show(high)}"


def quantity(unit: Unit, value: float) -> str:
    """Format a value with its unit: ``23.1 images/s``, ``640 MiB``."""
    return f"{unit.show(value)} {unit.symbol}" if unit == RATE else unit.show(value)


def rate(value: float) -> str:
    """Format a throughput: ``23.1 images/s``."""
    return quantity(RATE, value)


def setting(value: Any) -> str:
    """Format a setting: ``yes`` or ``no``, thousands separated, an em dash for None, '' for an empty text."""
    if value is None:
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.6g}"
    return str(value) or "''"


def listing(parts: Iterable[str]) -> str:
    """Join texts: ``a, b and c``."""
    every = list(parts)
    return " and ".join([", ".join(every[:-1]), every[-1]]) if len(every) > 1 else "".join(every)


def bytes_alike(values: Iterable[float]) -> Callable[[float], str]:
    """Return a function that formats sizes of one column or plot, all in the unit that fits the largest.

    Sizes below 1 MiB keep their own unit where others are in MiB, since they would round to 0.
    """
    gib = max(values, default=0.0) >= LEAST_GIB

    def show(value: float) -> str:
        if gib:
            return f"{value / 2**30:.2f} GiB"
        return f"{value / 2**20:,.0f} MiB" if value >= 2**20 or not value else format_bytes(value)

    return show
