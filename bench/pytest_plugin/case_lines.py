"""A line per case for the terminal: its axes, images per second, time per epoch, memory and flags. Text only."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from bench.analysis.flags import DATA, FAILED, FELL_BACK, INTERFERED, LEFT_OUT, NO_TENSOR_CORES, kinds
from bench.analysis.throughput import COCO_TRAIN_IMAGES
from bench.analysis.units import shared_unit, size_text, units_of_case
from bench.cases import Case
from bench.cases.axes import NOT_ASKED, axes, fixed_axes, value_label
from bench.cases.device_kinds import label as device_label
from bench.formatting import format_half_width, format_number, format_rough_duration
from bench.pytest_plugin.screen import Piece, wrap
from bench.records.outcome import Status
from bench.records.record import Record
from bench.worker.workloads.base import family_of, own_name

NOISY = "noisy"

SHORT = {
    INTERFERED: NOISY,
    DATA: "data bound",
    FAILED: "a repeat failed",
    NO_TENSOR_CORES: "no tensor cores",
    FELL_BACK: "operators on the CPU",
    LEFT_OUT: "images left out",
}
"""Flags in a line of the terminal; one that needs no action, such as a modelled window, is on the page alone."""

OTHERS = re.compile(r"others used ([\d.]+) of the machine's (\d+) processors")
"""Interference that says the most: how much other processes computed meanwhile."""

ALWAYS = ("mode", "model")
"""Axes that have a column in every run; the others have one where they vary."""

NUMBER, RATE, EPOCH, MEMORY = 6, 14, 7, 7
"""Columns of the terminal for the figures: rates up to ``99,999 ± 0.3 %``, of which the number takes the first ones."""

GAPS = ((2, True), (1, True), (1, False))
"""Layouts from wide to narrow: spaces between two columns, and whether the images of an epoch are named."""


class Layout(NamedTuple):
    """Where the columns of a run stand.

    Attributes:
        gap: spaces between two columns.
        heading: of the time of an epoch.
        epoch: columns of that time.
    """

    gap: int
    heading: str
    epoch: int


def is_coco_epoch(case: Case) -> bool:
    """Whether the times of a case refer to an epoch of COCO."""
    units = family_of(case.model).units(own_name(case.model), case.imgsz)
    return bool(units["epoch_items"] == COCO_TRAIN_IMAGES)


class CaseLines:
    """Formats the lines of a run: in columns where they fit, else the figures in a line of their own."""

    def __init__(self, cases: Sequence[Case], total: int, epoch_images: int) -> None:
        """Lay out the columns.

        Args:
            cases: of the run.
            total: processes of the run.
            epoch_images: images of an epoch; 0 for that of each workload.
        """
        self.axes = shown_axes(cases)
        self._coco = not epoch_images and all(is_coco_epoch(case) for case in cases if case.mode == "train")
        self._rate = f"{shared_unit({units_of_case(case) for case in cases})}s/s"
        self._number = 2 * len(str(total)) + 1
        self._titles = {axis: title(axis, cases) for axis in self.axes}
        self._widths = {
            axis: max([len(self._titles[axis]), *(len(cell(axis, case.value(axis), case)) for case in cases)])
            for axis in self.axes
        }
        self._shared = {
            axis: cases[0].value(axis) for axis in axis_names(cases) if cases and axis not in (*self.axes, *ALWAYS)
        }
        self._has_epochs = any(case.mode == "train" for case in cases)
        self._explained: set[str] = set()

    def _columns(self, layout: Layout, epoch: str, rate: str, memory: str, label: str) -> str:
        epochs = [f"{epoch:>{layout.epoch}}"] if self._has_epochs else []
        return (" " * layout.gap).join([label, f"{rate:<{RATE}}", *epochs, f"{memory:>{MEMORY}}"])

    def layout(self, width: int) -> Layout | None:
        """Return the widest layout that a terminal has room for; None if it has none for columns."""
        for gap, names_images in GAPS:
            heading = "COCO epoch" if names_images and self._coco else "epoch"
            layout = Layout(gap, heading, max(EPOCH, len(heading)))
            figures = [RATE, *([layout.epoch] if self._has_epochs else []), MEMORY]
            columns = [self._number, *self._widths.values(), *figures, len(NOISY)]
            if sum(columns) + gap * (len(columns) - 1) <= width:
                return layout
        return None

    def header(self, width: int) -> str:
        """Return the line above the cases; empty where they are not in columns."""
        if (layout := self.layout(width)) is None:
            return ""
        names = [f"{self._titles[axis]:{_side(axis)}{size}}" for axis, size in self._widths.items()]
        label = (" " * layout.gap).join([" " * self._number, *names])
        return self._columns(layout, layout.heading, f"{'':{NUMBER - 5}}{self._rate}", "memory", label)

    def name(self, case: Case) -> str:
        """Return the name of a case by its values on the shown axes: ``train yolov8n batch 16 320 px``."""
        return " ".join([*(self._value(case, axis) for axis in self.axes), *self.further(case)])

    def further(self, case: Case) -> list[str]:
        """Return the values of a case that no column shows, where it differs from the cases that have columns.

        A case that only asks whether a precision is available names that precision here: it has no column of its own.
        """
        return [self._value(case, axis) for axis, value in self._shared.items() if case.value(axis) != value]

    def _value(self, case: Case, axis: str) -> str:
        if axis in ALWAYS:
            return cell(axis, case.value(axis), case)
        return size_text(case) if axis == "imgsz" else value_label(axis, case.value(axis))

    def measured(
        self, number: str, case: Case, row: Mapping[str, Any], notes: Iterable[str], width: int
    ) -> list[Piece]:
        """Format a case with a figure; lines are separate pieces that begin with a line break.

        Args:
            number: of the process in the run, such as ``7/18``.
            case: the case.
            row: of the table.
            notes: such as ``process 2 of 3``.
            width: of the terminal.
        """
        short = [SHORT[key] for key in kinds(str(row["flags"])) if key in SHORT]
        rate = rate_text(row)
        epoch = epoch_text(row["seconds_per_epoch"]) if case.mode == "train" else ""
        memory = memory_text(row["peak_memory_bytes"])
        label = self._label(number, case, width)
        notes = [*self.further(case), *notes]
        if layout := self.layout(width):
            line = self._columns(layout, epoch, rate, memory, label)
            start, end = len(label), len(label) + layout.gap + RATE
            pieces = [(line[:start], ""), (line[start:end], "bold"), (line[end:], "")]
        else:
            rates = f"{units_of_case(case).unit}s/s"
            unit = rate.replace(" ±", f" {rates} ±") if "±" in rate else f"{rate} {rates}"
            figures = ", ".join(filter(None, [unit.strip(), f"{epoch} per epoch" if epoch else "", memory]))
            pieces = [(label, ""), *_next_lines(figures, width, "bold")]
        for texts, style in ((short, "yellow"), (notes, "dim")):
            if texts:
                used = len("".join(text for text, _ in pieces).rpartition("\n")[2])
                joined = " " * (layout.gap if layout else 2) + ", ".join(texts)
                fits = used + len(joined) <= width
                pieces += [(joined, style)] if fits else _next_lines(joined.strip(), width, style)
        return pieces

    def explanation(self, row: Mapping[str, Any]) -> str:
        """Explain the flags of a row that no line of the run has explained yet; empty without any."""
        texts = []
        for phrase in str(row["flags"]).split("; "):
            for key in kinds(phrase):
                if key in SHORT and key not in self._explained and (why := why_flagged(phrase)):
                    self._explained.add(key)
                    texts.append(f"{SHORT[key]}: {why}")
        return "; ".join(texts)

    def without_figure(self, number: str, case: Case, status: str, width: int) -> list[Piece]:
        """Format a case without a figure; its reason follows in lines of its own."""
        style = "red" if Status(status).broken else "yellow"
        text = ", ".join([*self.further(case), status.replace("_", " ")])
        return [(self._label(number, case, width), ""), (f"  {text}", style)]

    def _label(self, number: str, case: Case, width: int) -> str:
        layout = self.layout(width)
        place = f"{number:>{self._number}}"
        if layout is None:
            name = " ".join(self._value(case, axis) for axis in self.axes)
            return "\n".join(wrap(f"{place}  {name}".lstrip(), width, INDENT))
        cells = [f"{cell(axis, case.value(axis), case):{_side(axis)}{size}}" for axis, size in self._widths.items()]
        return (" " * layout.gap).join([place, *cells])


NARROWEST = 0.001
"""Half-width that narrower intervals are shown with, as a share."""

INDENT = " " * 6
"""Of the further lines of a case."""


def _next_lines(text: str, width: int, style: str) -> list[Piece]:
    """Return a text on lines of its own."""
    return [("\n" + line, style) for line in wrap(text, width, INDENT, INDENT)]


def epoch_text(seconds: float) -> str:
    """Format the time of an epoch in seven columns: ``40 s``, ``62 min``, ``8.3 h``, ``120 h``."""
    hours = seconds / 3600
    if hours < 1.5:
        return format_rough_duration(seconds)
    return f"{hours:.1f} h" if hours < 9.95 else f"{hours:,.0f} h"


def memory_text(size: Any) -> str:
    """Format a peak of memory in seven columns: ``1.2 GiB``, ``800 MiB``; empty where it is unknown."""
    if not isinstance(size, int) or size <= 0:
        return ""
    gib = size / 2**30
    if size < 1000 * 2**20:
        return f"{size / 2**20:.0f} MiB"
    return f"{gib:.1f} GiB" if gib < 9.95 else f"{gib:.0f} GiB"


def axis_names(cases: Sequence[Case]) -> list[str]:
    """Return the names of all axes of some cases."""
    return [*fixed_axes(), *dict.fromkeys(name for case in cases for name, _ in case.further)]


def shown_axes(cases: Sequence[Case]) -> list[str]:
    """Return the axes in which the cases of a run differ, and those that every line has."""
    names = sorted(axis_names(cases), key=lambda name: name != "mode")
    return [name for name in names if name in ALWAYS or len({case.value(name) for case in cases}) > 1]


def title(axis: str, cases: Iterable[Case]) -> str:
    """Return the heading of a column of an axis: for sizes their unit, or ``size`` where there are several."""
    if axis != "imgsz":
        return axis
    units = {units_of_case(case).size_unit for case in cases}
    return units.pop() if len(units) == 1 else "size"


def cell(axis: str, value: Any, case: Case) -> str:
    """Return the value of a case on an axis, as a column has it."""
    match axis:
        case "model":
            return case.model_label
        case "device":
            return device_label(value)
        case _:
            known = axes().get(axis)
            return str(known.absent if known is not None and known.absent and value == NOT_ASKED else value)


def _side(axis: str) -> str:
    """Return the alignment of a column: numbers stand at the right."""
    return ">" if axis in axes() and axis in ("batch", "imgsz") else "<"


def rate_text(row: Mapping[str, Any]) -> str:
    """Format images per second with half the width of the interval: ``68.8 ± 4 %``."""
    rate = row["images_per_second"]
    return f"{format_number(rate):>{NUMBER}}{plus_minus(row)}"


def plus_minus(row: Mapping[str, Any]) -> str:
    """Format half the width of the interval of a row, with a space before it; empty without an interval."""
    from bench.analysis.intervals import half_share  # it takes numpy and scipy, which collecting does without

    low, high = row["images_per_second_low"], row["images_per_second_high"]
    if low is None or high is None or low != low or high != high:
        return ""
    return f" {format_half_width(max(half_share(low, high), NARROWEST))}"


def why_flagged(phrase: str) -> str:
    """Return the detail of a flag as the terminal says it: one reason, in a few words."""
    detail = phrase.partition("(")[2].removesuffix(")")
    return why_noisy(detail.split(", ")) if phrase.startswith(INTERFERED) else detail


def why_noisy(phrases: Iterable[str]) -> str:
    """Return the reason for interference that says the most: what other processes used at most, else the first."""
    every = list(phrases)
    loads = [match.groups() for phrase in every if (match := OTHERS.search(phrase))]
    if loads:
        used, cores = max(loads, key=lambda load: float(load[0]))
        return f"other processes used {float(used):.1f} of {cores} cores"
    return next(iter(every), "")


def number_text(number: int, total: int) -> str:
    """Return the number of a process in the run, ``7/18``; ``+2`` beyond the plan."""
    return f"{number}/{total}" if number <= total else f"+{number - total}"


def process_note(record: Record, processes: int) -> str:
    """Say which process of its case a record is of, from the second on."""
    if record.process == 1:
        return ""
    return f"process {record.process}" + (f" of {processes}" if record.process <= processes else "")
