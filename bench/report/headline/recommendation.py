"""The recommended settings: the batch, and the commands of Ultralytics that use it."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd

from bench.analysis.reference import ReferenceCase
from bench.analysis.reference_ratios import Ratio, batch_ratio
from bench.cases.axes import axes
from bench.cases.case import Case
from bench.cases.device_kinds import device_names, machines
from bench.errors import UsageError
from bench.formatting import format_bytes
from bench.records.ceiling import Ceiling
from bench.records.record import Record
from bench.report import labels
from bench.report.headline import names
from bench.report.sections import ceilings as largest
from bench.text import clean, is_shown
from bench.worker.workloads.base import is_made, split_model

PUBLISHED = re.compile(
    r"yolo(?:v8|11|26)[nsmlx](?:-(?:seg|cls|pose|obb))?|yolo(?:v10[nsmblx]|12[nsmlx]|v9[tsmce])|rtdetr-[lx]"
)
"""Names of models whose weights Ultralytics publishes as ``NAME.pt``."""

OWN_DATA = "your-data.yaml"
"""Placeholder for the data set of the reader, where the measured one was made."""

AMP = {"off": False, "on": True, "bf16": "bf16"}
"""Values of the axis as Ultralytics' ``amp``."""


class Recommendation(msgspec.Struct, frozen=True):
    """Recommended settings.

    Attributes:
        case: what they are for.
        sentences: on the batch and its memory.
        shell, python: the command and the call of Ultralytics; empty where it cannot use the device.
    """

    case: str
    sentences: tuple[str, ...]
    shell: str = ""
    python: str = ""


def recommend(
    table: pd.DataFrame, reference: ReferenceCase, record: Record, ceilings: Sequence[Ceiling]
) -> Recommendation | None:
    """Return the recommendation for a reference case of training; None for a forced one and for other workloads.

    Args:
        table: latest rows of the machine.
        reference: the reference case.
        record: of that case.
        ceilings: of the machine.
    """
    row = reference.row
    if row["workload"] != "ultralytics" or row["mode"] != "train" or record.case.is_forced:
        return None
    arguments = _arguments(record)
    sentences = [batch_sentence(row, batch_ratio(table, reference)), *_ceiling_sentences(reference, ceilings)]
    if arguments is None:
        device = labels.device(row["device"])
        sentences.append(f"Ultralytics itself cannot train on {device}: yolopace starts the processes.")
    elif optimizer := record.recipe.overrides.get("optimizer"):
        sentences.append(f"Measured with optimizer={optimizer}.")
    return Recommendation(
        case=f"{row['model']} at {names.size(row)} on {labels.device(row['device'])}",
        sentences=tuple(sentences),
        shell=_shell(arguments) if arguments else "",
        python=_python(arguments) if arguments else "",
    )


def batch_sentence(row: dict[str, Any], ratio: Ratio | None) -> str:
    """Say what the batch brings and needs: ``Batch 16 is 47 % faster than batch 4 and needs 1.3 GiB.``"""
    batch, peak = int(row["batch"]), row["peak_memory_bytes"]
    needs = f"needs {format_bytes(int(peak))}" if labels.there(peak) else ""
    if ratio is None:
        return f"Batch {batch} {needs}; no other batch was measured." if needs else f"Only batch {batch} was measured."
    other = int(ratio.baseline["batch"])
    gain = f"{100 * (ratio.point - 1):.{0 if ratio.point >= 1.1 else 1}f} %"
    if ratio.is_clear and ratio.point > 1:
        text = f"Batch {batch} is {gain} faster than batch {other}"
    elif ratio.low is None:
        text = f"Batch {batch} seems faster than batch {other}, on too few steps"
    else:
        ends = labels.ends(labels.SPEEDUP.unit, ratio.low, ratio.high)
        text = f"Batch {batch} is about as fast as batch {other} ({ends})"
    return f"{text} and {needs}." if needs else f"{text}."


def _ceiling_sentences(reference: ReferenceCase, ceilings: Sequence[Ceiling]) -> list[str]:
    """Say which batch is the largest that trains, where it is known for the very case."""
    ceiling = names.widest(ceilings, reference)
    if ceiling is None or not names.is_of(ceiling, reference):
        return []
    return [f"The largest batch that trains is {largest.batch(ceiling)} {largest.within_limit(ceiling)}".rstrip() + "."]


def _arguments(record: Record) -> dict[str, Any] | None:
    """Return the arguments of Ultralytics' training; None where it cannot use the device or the model's name."""
    case, recipe = record.case, record.recipe
    device = ultralytics_device(case.device)
    if device is None or split_model(case.model)[0]:  # a network that Ultralytics has under no name
        return None
    further: dict[str, Any] = {}
    for name, value in case.further:
        axis = axes().get(name)
        further |= axis.arguments(value) if axis is not None else {}
    return {
        "model": model_argument(case),
        "data": OWN_DATA if is_made(recipe.data) else recipe.data,
        "imgsz": case.imgsz,
        "batch": case.batch,
        "device": device,
        "amp": AMP.get(case.amp, case.amp),
        **further,
    }


def ultralytics_device(device: str) -> str | None:
    """Return a device as Ultralytics is given it: ``0,1`` of ``0+1``; None where it has no such device."""
    try:
        parts = device_names(device)
        if machines(device) > 1 or (len(parts) > 1 and not all(map(str.isdecimal, parts))):
            return None
    except UsageError:
        return None
    return ",".join(parts)


def model_argument(case: Case) -> str:
    """Return a model as Ultralytics is given it: published weights where there are some, else its yaml file."""
    if Path(case.model).suffix in (".pt", ".yaml", ".yml"):
        return case.model
    return f"{case.model}.pt" if PUBLISHED.fullmatch(case.model) else f"{case.model}.yaml"


def _shell(arguments: dict[str, Any]) -> str:
    return _one_line(shlex.join(["yolo", "train", *(f"{name}={value}" for name, value in arguments.items())]))


def _python(arguments: dict[str, Any]) -> str:
    literals = {
        name: json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
        for name, value in arguments.items()
    }
    model = literals.pop("model")
    return _one_line(f"YOLO({model}).train({', '.join(f'{name}={text}' for name, text in literals.items())})")


def _one_line(text: str) -> str:
    """Return code on one line without control characters, whatever was recorded."""
    return "".join(sign if is_shown(sign) else " " for sign in clean(text))
