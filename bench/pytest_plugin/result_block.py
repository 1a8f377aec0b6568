"""The last lines of a run: the reference cases, what was noticed, the next commands, and where everything is."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from bench.analysis.flags import INTERFERED, kinds
from bench.analysis.throughput import COCO_TRAIN_IMAGES
from bench.analysis.units import in_units
from bench.cases.axes import NOT_ASKED, value_label
from bench.cases.device_kinds import HOST
from bench.formatting import format_bytes, format_duration, format_number, format_percent
from bench.pytest_plugin.case_lines import plus_minus, why_noisy
from bench.pytest_plugin.screen import WIDTH, Screen
from bench.pytest_plugin.start_block import short_path
from bench.records.record import Record

MOST_LINES = 10

TITLES = {"train": "Train", "predict": "Predict"}
"""Labels of the reference cases, by mode."""

WORDS = {
    "substituted": "not available",
    "unsupported": "not available",
    "out_of_memory": "out of memory",
    "timed_out": "timed out",
    "interrupted": "not finished",
}
"""What the result calls a status, where it does not take the status itself."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What a run has to say at its end.

    Attributes:
        machine: short name of the machine.
        cases: number of cases of the run, without those that were left out of its plan.
        measured: number of those with a figure.
        processes: number of processes that the figures come from.
        ceilings: how many ceilings were found, and how many were searched for; None for a run of cases alone.
        seconds: duration of the run.
        records: all records of the run.
        epoch_images: images of an epoch.
        is_coco: whether that is an epoch of COCO.
        notes: sentences that were kept for the end.
        resume: name of the run where it can go on, else empty.
        report: path of the page; None without one.
        folder: of the records.
    """

    machine: str
    cases: int
    measured: int
    processes: int = 0
    ceilings: tuple[int, int] | None = None
    seconds: float
    records: Sequence[Record]
    epoch_images: int
    is_coco: bool = True
    notes: Sequence[str] = ()
    resume: str = ""
    report: Path | None
    folder: Path

    @property
    def devices(self) -> int:
        """Number of devices of the run."""
        return len({record.case.device for record in self.records})


def write(screen: Screen, result: Result) -> None:
    """Write the block: at most ten lines, unless there are notes on what went wrong."""
    from bench.analysis.table import frame, newest_rows

    table = newest_rows(frame(result.records, result.epoch_images)) if result.measured else None
    rows = reference_rows(table)
    lines = [*reference_lines(rows, result), *speedup_lines(table, rows.get("train") or rows.get("predict"))]
    screen.line(("─" * screen.width, "dim"))
    screen.text(title(result), "bold green" if measured_anything(result) else "bold red", "  ")
    for label, text in lines:
        screen.entry(f"  {label}", text)
    notes = summary(result.records)
    for text in [*([notes] if notes else []), *result.notes]:
        screen.entry("  Notes", text, "yellow")
    commands = next_commands(result, rows)
    room = max(MOST_LINES - 4 - len(lines) - bool(notes) - len(result.notes), 1)
    for number, (command, about) in enumerate(commands[:room]):
        text = f"{command:<29}  {about}" if screen.width == WIDTH else f"{command}: {about}"
        screen.entry("  Next" if not number else "", text)
    if result.report is not None:
        path = short_path(result.report)
        screen.line(("Report    ", "bold"), (path, f"link {result.report.resolve().as_uri()}"))
    screen.line(("Records   ", "bold"), short_path(result.folder))


def measured_anything(result: Result) -> bool:
    """Whether the run has any figure."""
    return bool(result.measured or (result.ceilings and result.ceilings[0]))


def title(result: Result) -> str:
    """Return the heading: ``Result · AMD EPYC · 18 of 18 cases measured in 1 min 47 s``."""
    parts = []
    if result.cases:
        several = f" in {result.processes} processes" if result.processes > result.measured else ""
        parts.append(f"{result.measured} of {result.cases} cases measured{several}")
    if result.ceilings is not None:
        parts.append(f"{result.ceilings[0]} of {result.ceilings[1]} ceilings found")
    return f"Result · {result.machine} · {', '.join(parts) or 'no case'} in {format_duration(result.seconds)}"


def reference_rows(table: Any) -> dict[str, dict[str, Any]]:
    """Return the row of the reference case of each mode that has one."""
    from bench.analysis.reference import reference_cases

    return {mode: case.row for mode, case in reference_cases(table).items()} if table is not None else {}


def reference_lines(rows: Mapping[str, Mapping[str, Any]], result: Result) -> list[tuple[str, str]]:
    """Describe the reference case of each mode, with the time of an epoch in training."""
    lines = []
    for mode, row in rows.items():
        rate = f"{format_number(row['images_per_second'])} images/s{plus_minus(row)}"
        text = f"{case_text(row, result.devices)}: {rate}"
        if mode == "train":
            items = int(row["epoch_images"])
            is_coco = result.is_coco and items == COCO_TRAIN_IMAGES
            epoch = "COCO epoch" if is_coco else f"epoch of {items:,} images"
            text += f", {epoch} {format_duration(row['seconds_per_epoch'])}"
        text = in_units(text, row)
        lines.append((TITLES[mode], text))
    return lines


def case_text(row: Mapping[str, Any], devices: int = 2) -> str:
    """Name a case without its mode: ``yolov8n mps batch 16 640 px``, with AMP where it is on.

    Args:
        row: of the table.
        devices: number of devices in the run; one alone is not named.
    """
    usual = {"mode", *(["device"] if devices < 2 else []), *(["amp"] if row["amp"] == "off" else [])}
    names = [axis for axis in _names(row) if axis not in usual and row[axis] != NOT_ASKED]
    return " ".join(str(row[axis]) if axis == "model" else value_label(axis, row[axis]) for axis in names)


def speedup_lines(table: Any, reference: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Compare the reference case with another device, else with another precision, else with another batch."""
    if table is None or reference is None:
        return []
    from bench.analysis.speedup import speedups

    baselines = []
    if reference["device"] != HOST:
        baselines.append(("Device", {"device": HOST}, f"{value_label('device', reference['device'])} is"))
    if reference["amp"] != "off":
        baselines.append(("AMP", {"amp": "off"}, f"{value_label('amp', reference['amp'])} is"))
    for label, baseline, subject in baselines:
        ratio = _ratio(speedups(table, baseline), reference)
        if ratio is not None:
            other = " ".join(value_label(axis, value) for axis, value in baseline.items())
            return [(label, f"{subject} {format_number(ratio, 2)} times as fast as {other} in this case")]
    return batch_lines(table, reference)


def _ratio(ratios: Any, reference: Mapping[str, Any]) -> float | None:
    """Return the speed-up of the reference case; None where it has no counterpart."""
    for row in ratios.to_dict("records"):
        if all(row[axis] == reference[axis] for axis in row if axis in reference and axis in _names(reference)):
            return float(row["speedup"])
    return None


def _names(row: Mapping[str, Any]) -> tuple[str, ...]:
    from bench.analysis.table import axes_of

    return axes_of(row)


def batch_lines(table: Any, reference: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Compare the batch of the reference case with the smallest one of the same case, in speed and memory."""
    same = table[table["status"] == "measured"]
    for axis in _names(reference):
        if axis != "batch":
            same = same[same[axis] == reference[axis]]
    smallest = min(same.to_dict("records"), key=lambda row: row["batch"], default=None)
    if smallest is None or smallest["batch"] == reference["batch"]:
        return []
    gain = reference["images_per_second"] / smallest["images_per_second"] - 1
    if not reference["images_per_second_low"] > smallest["images_per_second_high"]:  # or there is no interval
        return []
    text = f"{reference['batch']} is {format_percent(gain, 2)} faster than {smallest['batch']}"
    peaks = [row["peak_memory_bytes"] for row in (reference, smallest)]
    if all(isinstance(peak, int) and peak for peak in peaks):
        more, less = map(format_bytes, peaks)
        text += f" and takes {more} instead of {less}" if more != less else f" and takes {more} too"
    return [("Batch", text)]


def summary(records: Iterable[Record]) -> str:
    """Count the noisy cases and say why, and count those without a figure by their status."""
    from bench.analysis.table import by_case, measured_only

    cases = [[record for _, record in case] for case in by_case(list(records))]
    measured = list(filter(None, map(measured_only, cases)))
    noisy = [case for case in measured if any(record.window and record.window.interference for record in case)]
    parts = []
    if noisy:
        windows = [record.window for case in noisy for record in case if record.window is not None]
        why = why_noisy(phrase for window in windows for phrase in window.interference)
        count = "The case is" if len(measured) == 1 else f"{len(noisy)} of {len(measured)} cases are"
        parts.append(f"{count} noisy: {why}")
    without = Counter(
        WORDS.get(case[0].outcome.status.value, case[0].outcome.status.value)
        for case in cases
        if not measured_only(case)
    )
    parts += [f"{count} {word}" for word, count in without.items()]
    return "; ".join(parts)


def next_commands(result: Result, rows: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return commands that go on from here, each with what it gives."""
    commands = []
    if result.resume:
        place = short_path(result.folder.parent)
        results = "" if place == "results" else f" --results {shlex.quote(place)}"
        commands.append((f"yolopace run --resume {result.resume}{results}", "go on with this run"))
    if not measured_anything(result):
        return [*commands, ("yolopace doctor", "what this machine can measure")]
    if any(INTERFERED in kinds(str(row["flags"])) for row in rows.values()):
        commands.append(("yolopace run", "again, with other programs closed"))
    elif result.cases and result.processes <= result.measured:
        commands.append(("yolopace run --processes 5", "narrower intervals"))
    if result.ceilings is None:
        commands.append(("yolopace ceiling", "the largest batch that trains"))
    return commands
