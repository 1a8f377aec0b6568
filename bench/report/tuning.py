"""The answer of a search for the fastest settings as text, as JSON, and as commands of Ultralytics."""

from __future__ import annotations

import json
import math
import shlex
from typing import Any

from bench import __version__
from bench.analysis.throughput import COCO_TRAIN_IMAGES
from bench.cases.axes import NOT_ASKED, axes, find_axis
from bench.cases.case import Case
from bench.formatting import format_duration, format_rough_duration, format_share
from bench.records.tune import Tried, Tuning, changes
from bench.report import labels
from bench.report.headline.recommendation import (
    AMP,
    OWN_DATA,
    Recommendation,
    model_argument,
    ultralytics_device,
)
from bench.report.tables import markdown
from bench.text import clean, is_shown
from bench.tune.answer import Answer, Verdict, answer, present_name
from bench.tune.space import ALLOWED, LEARNED, describe_change, settings_text
from bench.worker.workloads.base import family_of, is_made, split_model

TRIED = ("Settings", "Images/s", "Against present", "Processes", "Result")
NOT_TRIED = ("Settings", "Why they were not tried")

MOST_ROWS = 20
"""Largest number of rows of the terminal's table; the page and the JSON have all."""

THREADS, FORMAT = "threads", "format"
"""Axes that are no argument of Ultralytics' training and prediction."""


def commands(tuning: Tuning, case: Case) -> tuple[str, str]:
    """Return the command and the Python call of Ultralytics with some settings; empty where it has no such device."""
    device = ultralytics_device(case.device)
    if device is None or split_model(case.model)[0] or family_of(case.model).name != "ultralytics":
        return "", ""
    further: dict[str, Any] = {}
    for name, value in case.further:
        axis = axes().get(name)
        further |= axis.arguments(value) if axis is not None else {}
    arguments: dict[str, Any] = {
        "data" if case.mode == "train" else "source": OWN_DATA if is_made(tuning.recipe.data) else tuning.recipe.data,
        "imgsz": case.imgsz,
        "batch": case.batch,
        "device": device,
        **({"amp": AMP.get(case.amp, case.amp)} if case.mode == "train" else {"half": case.amp != "off"}),
        **further,
    }
    if case.mode == "predict":
        arguments["source"] = "your-images"
    model, threads, exported = model_argument(case), case.value(THREADS), case.value(FORMAT)
    texts = ", ".join(f"{name}={_literal(value)}" for name, value in arguments.items())
    python = f"YOLO({_literal(model)}).{case.mode}({texts})"
    if exported != NOT_ASKED:
        export = f"format={_literal(exported)}, imgsz={case.imgsz}, batch={case.batch}"
        python = f"YOLO(YOLO({_literal(model)}).export({export})).{case.mode}({texts})"
    if threads != NOT_ASKED:  # Ultralytics sets the number of its own constant as it selects the device
        python = f"from ultralytics.utils import torch_utils; torch_utils.NUM_THREADS = {threads}; {python}"
    if threads != NOT_ASKED or exported != NOT_ASKED:
        return "", _one_line(python)
    words = [f"model={model}", *(f"{name}={value}" for name, value in arguments.items())]
    return _one_line(shlex.join(["yolo", case.mode, *words])), _one_line(python)


def _literal(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _one_line(text: str) -> str:
    """Return code on one line without control characters, whatever was recorded."""
    return "".join(sign if is_shown(sign) else " " for sign in clean(text))


def first_line(result: Answer) -> str:
    """Return the verdict in one line: ``SET cache=ram: 1.42 times as fast as the defaults (...).``"""
    return f"{str(result.verdict).upper()}  {result.sentence}"


def learned(settings: dict[str, Any]) -> list[str]:
    """Say of each setting that changes what is learned what it changes."""
    known = ALLOWED | LEARNED
    return [f"{name}: {known[name]}." for name in settings if name in known]


def times(tuning: Tuning, result: Answer, epochs: int, setups: bool = True) -> list[str]:
    """Return sentences on seconds per epoch and the time of the user's epochs, before and after."""
    if result.before is None or result.after is None or tuning.present.mode != "train":
        return []
    images = tuning.epoch_images or COCO_TRAIN_IMAGES
    epoch = f"An epoch of {labels.images(images)}"
    before, after = result.before * images, result.after * images
    if not result.settings:
        lines = [f"{epoch}: {format_duration(before)}."]
    else:
        lines = [f"{epoch}: {format_duration(before)} before, {format_duration(after)} after."]
    if epochs:
        first, second = (setup or 0.0 for setup in tuning.setup)
        totals = format_rough_duration(first + epochs * before), format_rough_duration(second + epochs * after)
        total = totals[0] if not result.settings else f"{totals[0]} before, {totals[1]} after"
        lines.append(f"{labels.count(epochs, 'epoch')}: {total}; set-up is included, and validation is not.")
    return lines


def tried_rows(tuning: Tuning) -> list[tuple[str, ...]]:
    """Return a row for each setting that was tried, with the cells of :data:`TRIED`."""
    return [_row(tuning, row) for row in tuning.tried]


def _row(tuning: Tuning, row: Tried) -> tuple[str, ...]:
    rate = f"{1 / row.seconds_per_image:.3g}" if row.seconds_per_image else labels.NONE
    against = labels.NONE
    if row.case == tuning.present:
        against = "1"
    elif row.log is not None and row.half is not None:
        against = (
            f"{math.exp(-row.log):.2f} ({math.exp(-row.log - row.half):.2f} to {math.exp(-row.log + row.half):.2f})"
        )
    processes = f"{row.processes}" + (f", {row.earlier} of earlier searches" if row.earlier else "")
    if row.status != "measured":
        result = f"{row.status.replace('_', ' ')}: {row.reason}"
    elif row.case == tuning.winner:
        result = "fastest" if row.case != tuning.present else "present, nothing is clearly faster"
    else:
        result = row.reason or ("present" if row.case == tuning.present else "not clearly slower than the fastest")
    return describe_change(tuning.present, row.case), rate, against, processes, result


def not_tried_rows(tuning: Tuning) -> list[tuple[str, ...]]:
    """Return a row for all that was not tried, with the cells of :data:`NOT_TRIED`."""
    return [(row.settings, row.reason) for row in tuning.not_tried]


def render_text(tuning: Tuning, epochs: int = 0) -> str:
    """Render the answer for the terminal; its first line is the verdict."""
    result = answer(tuning)
    lines = [first_line(result), *(f"  {line}" for line in result.reasons)]
    lines += [f"  {line}" for line in [*times(tuning, result, epochs), *learned(result.settings)]]
    chosen = tuning.present if result.verdict is Verdict.KEEP or tuning.winner is None else tuning.winner
    shell, python = commands(tuning, chosen)
    if shell:
        lines += ["", f"  {shell}"]
    elif python:
        lines += ["", "  In Python, since the command has no argument for it:"]
    lines += [f"  {python}"] if python else []
    rows = tried_rows(tuning)
    if rows:
        shown = rows[:MOST_ROWS]
        more = f" (the first {MOST_ROWS}; the page has all)" if len(rows) > MOST_ROWS else ""
        lines += ["", f"Tried{more}: {tuning.design}" if tuning.design else f"Tried{more}", *_columns(TRIED, shown)]
    if tuning.not_tried:
        lines += ["", "Not tried", *(f"  {settings}: {reason}" for settings, reason in not_tried_rows(tuning))]
    return "\n".join(lines)


def _columns(headings: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    """Return lines of aligned cells."""
    table = [headings, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(headings) - 1)]
    return [
        "  " + "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]])
        for row in table
    ]


def render_json(tuning: Tuning, epochs: int = 0) -> str:
    """Render the answer as JSON that ends with a newline."""
    result = answer(tuning)
    chosen = tuning.winner if result.settings and tuning.winner is not None else tuning.present
    shell, python = commands(tuning, chosen)
    images = tuning.epoch_images or COCO_TRAIN_IMAGES
    content = {
        "version": __version__,
        "run": tuning.run,
        "verdict": str(result.verdict),
        "sentence": result.sentence,
        "reasons": result.reasons,
        "settings": {name: find_axis(name).text(value) for name, value in result.settings.items()},
        "present": tuning.present.id,
        "winner": tuning.winner.id if tuning.winner is not None else None,
        "gain": {"ratio": result.gain.ratio, "low": result.gain.low, "high": result.gain.high} if result.gain else None,
        "pairs": result.pairs,
        "margin": tuning.margin,
        "epoch_images": images,
        "seconds_per_epoch": {
            "before": result.before * images if result.before else None,
            "after": result.after * images if result.after else None,
        },
        "epochs": epochs or None,
        "setup_seconds": {"before": tuning.setup[0], "after": tuning.setup[1]},
        "command": shell or None,
        "python": python or None,
        "seconds": tuning.seconds,
        "budget": tuning.budget,
        "budget_needed": result.budget_needed or None,
        "complete": tuning.complete,
        "design": tuning.design,
        "tried": [
            {
                "settings": settings_text(changes(tuning.present, row.case)),
                "case": row.case.id,
                "status": row.status,
                "reason": row.reason,
                "images_per_second": 1 / row.seconds_per_image if row.seconds_per_image else None,
                "times_as_fast": math.exp(-row.log) if row.log is not None else None,
                "processes": row.processes,
                "earlier": row.earlier,
            }
            for row in tuning.tried
        ],
        "not_tried": [{"settings": row.settings, "reason": row.reason} for row in tuning.not_tried],
    }
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def render_markdown(tuning: Tuning, epochs: int = 0) -> str:
    """Render the answer for the summary of a step of GitHub Actions."""
    result = answer(tuning)
    parts = [f"**{first_line(result)}**", *result.reasons, *times(tuning, result, epochs)]
    parts += [markdown(TRIED, [list(row) for row in tried_rows(tuning)])]
    return "\n\n".join(parts) + "\n"


def recommended(tuning: Tuning) -> Recommendation | None:
    """Return the recommendation of a search whose answer is proven; None for others."""
    result = answer(tuning)
    if result.verdict is Verdict.NOT_PROVEN:
        return None
    case = tuning.winner if result.settings and tuning.winner is not None else tuning.present
    shell, python = commands(tuning, case)
    verb = "Set" if result.verdict is Verdict.SET else "Keep"
    place = f"{case.model_label} at {case.imgsz} px on {labels.device(case.device)}"
    sentences = (f"{verb} {result.sentence}", *times(tuning, result, 0), *learned(result.settings))
    return Recommendation(case=place, sentences=sentences, shell=shell, python=python)


def margin_text(tuning: Tuning) -> str:
    """Return the margin and where it comes from."""
    return f"± {format_share(tuning.margin)} ({tuning.margin_from})"


__all__ = ["answer", "commands", "present_name", "recommended", "render_json", "render_markdown", "render_text"]
