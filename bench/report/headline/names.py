"""Names and headings of the head of the page: machine, model, epoch, and the result in one line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pandas as pd

from bench.analysis.ceilings import format_stop_reason
from bench.analysis.metrics import METRICS, RATE
from bench.analysis.reference import ReferenceCase, interval_share, reference_cases
from bench.analysis.throughput import COCO_TRAIN_IMAGES
from bench.analysis.units import IMAGE, in_units
from bench.cases.device_kinds import is_on_host
from bench.formatting import format_half_width
from bench.machine.description import Machine
from bench.records.ceiling import Ceiling
from bench.report import labels
from bench.report.sections import ceilings as largest


def machine_of(machine: Machine, row: dict[str, Any]) -> str:
    """Return the name of what computed a row: the CPU for a case on the CPU, else the machine by its GPU."""
    name = machine.cpu_name if is_on_host(row["device"]) else labels.machine_name(machine)
    return labels.to_one_line(name, 200)


def size(row: dict[str, Any]) -> str:
    """Format the size of a row: ``640 px``."""
    return in_units(labels.axis_value("imgsz", row["imgsz"]), row)


def epoch(row: dict[str, Any], images: int) -> str:
    """Name the epoch that a row is projected to, with its size: ``one COCO epoch at 640 px``."""
    items = int(row["epoch_images"])
    if row["unit"] == IMAGE and items == COCO_TRAIN_IMAGES:
        return f"one COCO epoch at {size(row)}"
    return in_units(f"{items:,} images at ", row) + size(row)


def precision(row: dict[str, Any]) -> str:
    """Format the interval of a row as a share: ``± 4.1 %``; empty without an interval."""
    share = interval_share(row)
    return "" if share is None else format_half_width(share)


def speed(row: dict[str, Any]) -> str:
    """Format the throughput of a row with its unit."""
    return in_units(labels.rate(row["images_per_second"]), row)


def versions(table: pd.DataFrame, row: dict[str, Any]) -> str:
    """Format the versions of a row if its table has several: ``, torch 2.14.1, Ultralytics 8.4.100``, else empty."""
    several = table[["torch", "ultralytics"]].drop_duplicates().shape[0] > 1
    return f", torch {row['torch']}, Ultralytics {row['ultralytics']}" if several else ""


def facts(table: pd.DataFrame, machine: Machine) -> str:
    """Describe a machine in one line, with the versions if it has one set of them."""
    gpus = [f"{count} × {gpu}" if count > 1 else gpu for gpu, count in Counter(machine.gpus).items()]
    cpu = f"{machine.cpu_name}, {labels.count(machine.cores, 'core')}{_threads(table)}"
    parts = [*gpus, cpu, f"{machine.memory_gib} GiB", machine.system_name]
    if table[["torch", "ultralytics"]].drop_duplicates().shape[0] == 1:
        parts += [f"torch {table['torch'].iloc[0]}", f"Ultralytics {table['ultralytics'].iloc[0]}"]
    return labels.to_one_line(" · ".join(parts), 400)


def _threads(table: pd.DataFrame) -> str:
    """Format the CPU threads of the cases of a table: ``, 1 CPU thread used``; empty where they are unknown."""
    counts = sorted({int(count) for count in table["threads"].dropna()})
    return f", {labels.listing(map(str, counts))} CPU thread{'' if counts == [1] else 's'} used" if counts else ""


def heading(table: pd.DataFrame, machine: Machine, ceilings: Sequence[Ceiling] = (), distinct: str = "") -> str:
    """Return machine and result in one line, for the first heading of a page.

    Args:
        table: latest rows of the machine.
        machine: its description.
        ceilings: of the machine.
        distinct: its name where its usual name is that of another machine too.
    """
    for mode, reference in reference_cases(table).items():
        row = reference.row
        name = distinct or machine_of(machine, row)
        device = f", {labels.device(row['device'])}" if "+" in row["device"] else ""
        return f"{name}: {row['model']} {labels.DOES[mode][1]} at {speed(row)} ({size(row)}{device})"
    name = distinct or labels.machine_name(machine)
    if (ceiling := widest(ceilings)) is not None:
        return f"{name}: {point(ceiling)} trains up to batch {ceiling.case.batch:,}"
    return f"{name}: nothing was measured" if len(table) else name


def title(table: pd.DataFrame, machine: Machine) -> str:
    """Return the title of a page on one machine, for a tab of a browser and for search results."""
    for reference in reference_cases(table).values():
        row = reference.row
        return f"{row['model']} on {machine_of(machine, row)}: {speed(row)} · yolopace"
    return f"{labels.machine_name(machine)} · yolopace"


def sentence(table: pd.DataFrame, machine: Machine, epoch_images: int, ceilings: Sequence[Ceiling] = ()) -> str:
    """Describe the reference case of training in one sentence, or else that of prediction.

    If nothing was timed, describe the largest batch, or say that nothing was measured.
    """
    for mode, reference in reference_cases(table).items():
        row = reference.row
        interval = labels.ends(RATE, row["images_per_second_low"], row["images_per_second_high"])
        kind = f"95 % interval {interval}, {row['interval_kind']}" if interval else "too few steps for an interval"
        case = in_units(labels.point(row, without=["model"]).replace(" · ", ", "), row) + versions(table, row)
        text = f"On {machine_of(machine, row)}, {row['model']} {labels.DOES[mode][1]} at {speed(row)} ({case}; {kind})"
        if mode != "train":
            return f"{text}."
        seconds = METRICS["seconds_per_epoch"].unit.show(row["seconds_per_epoch"])
        text_of_epoch = epoch(row, epoch_images)
        return f"{text}: {text_of_epoch} {'takes' if text_of_epoch.startswith('one') else 'take'} {seconds}."
    name = labels.machine_name(machine)
    if (ceiling := widest(ceilings)) is not None:
        held = f" {limit}" if (limit := largest.within_limit(ceiling)) else ""
        case = f"{point(ceiling)}{largest.apart(ceiling, largest.newest(ceilings))}"
        if ceiling.stop_reason == "limit":
            return f"On {name}, {case} trains at batch {ceiling.case.batch:,}{held}, and {format_stop_reason(ceiling)}."
        beyond = f"; {format_stop_reason(ceiling)}" if ceiling.next_untried else ""
        return f"On {name}, {case} trains up to batch {ceiling.case.batch:,}{held}{beyond}."
    if len(table):
        return f"Nothing was measured on {name}: {labels.count(len(table), 'case')}, each with its reason below."
    return f"On {name}, nothing was timed by itself; what else is known of it stands below."


def point(ceiling: Ceiling) -> str:
    """Format the case of a ceiling: ``yolov8n · cpu · amp off · 160 px``."""
    return labels.point(labels.case_values(ceiling.case), without=["batch"])


def is_of(ceiling: Ceiling, reference: ReferenceCase) -> bool:
    """Whether a ceiling is that of a reference case, which :func:`widest` found by its device and size."""
    return (ceiling.case.model_label, ceiling.case.amp) == (reference.row["model"], reference.row["amp"])


def widest(ceilings: Sequence[Ceiling], reference: ReferenceCase | None = None) -> Ceiling | None:
    """Return the known ceiling that a headline shows, or None.

    With a reference case it is one of its device and size, of its model and precision where there is one. Without one
    it is that of the largest batch at the default size, else at the largest size. Of several limits the widest counts.
    """
    known = [ceiling for ceiling in largest.newest(ceilings) if largest.is_known(ceiling) and ceiling.case.batch]
    if reference is None:
        sizes = {ceiling.case.imgsz for ceiling in known}
        chosen = 640 if 640 in sizes else max(sizes, default=0)
        return max((c for c in known if c.case.imgsz == chosen), key=lambda c: c.case.batch, default=None)
    row = reference.row
    alike = [ceiling for ceiling in known if (ceiling.case.device, ceiling.case.imgsz) == (row["device"], row["imgsz"])]

    def likeness(ceiling: Ceiling) -> tuple[bool, bool, int]:
        same = ceiling.case.model_label == row["model"], ceiling.case.amp == row["amp"]
        return *same, ceiling.case.batch

    return max(alike, key=likeness, default=None)
