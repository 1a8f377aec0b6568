"""The cards of the headline: reference figures, speed-ups around them, and the largest batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pandas as pd

from bench.analysis.flags import INTERFERED
from bench.analysis.metrics import METRICS, RATE
from bench.analysis.reference import ReferenceCase
from bench.analysis.reference_ratios import Question, Ratio
from bench.analysis.units import IMAGE, in_units
from bench.cases.device_kinds import is_on_host, machines, ranks
from bench.formatting import format_bytes, format_duration, format_number
from bench.records.ceiling import Ceiling
from bench.report import labels
from bench.report.headline import names
from bench.report.sections import ceilings as largest

TRAINING_PASSES = 3
"""Forward passes that a training step counts for, by the usual convention: the backward pass is twice the forward."""

QUESTIONS = {
    Question.DEVICE: "{device} against the CPU",
    Question.DEVICES: "{device} against {baseline}",
    Question.AMP: "AMP {amp} against off",
}
"""Titles of the speed-up cards."""


class Card(msgspec.Struct, frozen=True):
    """A big figure.

    Attributes:
        title: what it is.
        value, unit, spread: the figure, its unit, and its interval as a share; the last two may be empty.
        case: of which case.
        details: one line each.
        noisy: whether a warning above the cards speaks of it.
    """

    title: str
    value: str
    unit: str
    case: str
    details: tuple[str, ...] = ()
    spread: str = ""
    noisy: bool = False


def speed_card(
    table: pd.DataFrame, mode: str, reference: ReferenceCase, epoch_images: int, names_model: bool = False
) -> Card:
    """Return the card of the reference case of a mode.

    Args:
        table: latest rows of the machine.
        mode: of the case.
        reference: the case.
        epoch_images: images of the epoch that training is projected to.
        names_model: whether the title has the model, since another card is of another model.
    """
    row = reference.row
    interval = labels.ends(RATE, row["images_per_second_low"], row["images_per_second_high"])
    return Card(
        title=f"{labels.mode(mode)} of {row['model']}" if names_model else labels.mode(mode),
        value=RATE.show(row["images_per_second"]),
        unit=in_units(RATE.symbol, row),
        spread=names.precision(row),
        case=in_units(labels.point(row), row) + names.versions(table, row),
        details=tuple(
            filter(
                None,
                (
                    _time(mode, row, epoch_images),
                    f"95 % interval {interval}" if interval else "too few steps for an interval",
                    model_size(row),
                    achieved(mode, row),
                    _memory(row),
                    _flags(row),
                ),
            )
        ),
        noisy=bool(reference.doubts),
    )


def _time(mode: str, row: dict[str, Any], epoch_images: int) -> str:
    """Format the time per epoch of training, or per image of prediction."""
    if mode == "train":
        text, seconds = names.epoch(row, epoch_images), METRICS["seconds_per_epoch"]
        return f"{text[0].upper()}{text[1:]}: {seconds.unit.show(row[seconds.key])}"
    return in_units(f"{format_duration(1 / row['images_per_second'])} per image in a batch of {row['batch']:,}", row)


def model_size(row: dict[str, Any]) -> str:
    """Format the size of a model: ``2.6 M parameters, 6.7 GFLOPs``; without what is unknown."""
    parameters, gflops, parts = row["parameters"], row["gflops"], []
    if labels.there(parameters):
        millions = int(parameters) / 1e6
        parts.append(f"{format_number(millions, 2 if millions < 10 else 3)} M parameters")
    if labels.there(gflops):
        parts.append(f"{format_number(gflops, 2 if gflops < 10 else 3)} GFLOPs at {names.size(row)}")
    return ", ".join(parts)


def achieved(mode: str, row: dict[str, Any]) -> str:
    """Format the achieved operations per second; empty where the model's GFLOPs are unknown."""
    if not labels.there(row["gflops"]):
        return ""
    gflops = row["gflops"] * row["images_per_second"] * (TRAINING_PASSES if mode == "train" else 1)
    speed = f"{format_number(gflops / 1e3)} TFLOP/s" if gflops >= 1e3 else f"{format_number(gflops)} GFLOP/s"
    return f"≈ {speed} achieved" + (", backward counted as twice forward" if mode == "train" else "")


def _memory(row: dict[str, Any]) -> str:
    peak = row["peak_memory_bytes"]
    return f"Peak memory {format_bytes(int(peak))}" if labels.there(peak) else ""


def _flags(row: dict[str, Any]) -> str:
    """Format the flags of a row, without interference, which the warnings describe."""
    flags = str(row["flags"]).split("; ") if labels.there(row["flags"]) else []
    others = [flag for flag in flags if flag and not flag.startswith(INTERFERED)]
    return f"{'Flag' if len(others) == 1 else 'Flags'}: {'; '.join(others)}" if others else ""


def ratio_card(table: pd.DataFrame, ratio: Ratio) -> Card:
    """Return the card of a speed-up; of several processes on a CPU it says how many threads each process used."""
    ends = labels.ends(labels.SPEEDUP.unit, ratio.low, ratio.high)
    if not ends:
        verdict = "too few steps for an interval"
    elif ratio.is_clear:
        verdict = f"95 % interval {ends}"
    else:
        verdict = f"95 % interval {ends}: no clear difference"
    noisy = ("interference while one of the two was measured",) if ratio.interfered else ()
    device, baseline = labels.device(ratio.row["device"]), labels.baseline(ratio.baseline)
    title = QUESTIONS[ratio.question].format(device=device, baseline=baseline, amp=ratio.row["amp"])
    if ratio.question is Question.DEVICES and is_on_host(ratio.row["device"]) and machines(ratio.row["device"]) == 1:
        title = f"{ranks(ratio.row['device'])} processes on the CPU ({device}) against {baseline}"
    return Card(
        title=title,
        value=labels.SPEEDUP.unit.show(ratio.point),
        unit="as fast",
        case=labels.case(ratio.row),
        details=(verdict, *_threads(table, ratio), *noisy),
        noisy=ratio.interfered,
    )


def _threads(table: pd.DataFrame, ratio: Ratio) -> tuple[str, ...]:
    if ratio.question is not Question.DEVICES or not is_on_host(ratio.row["device"]):
        return ()
    counts = sorted({int(count) for count in table["threads"].dropna()})
    return (f"CPU threads per process: {labels.listing(map(str, counts))}",) if counts else ()


def ceiling_card(ceiling: Ceiling, others: Sequence[Ceiling]) -> Card:
    """Return the card of the largest batch that trains."""
    return Card(
        title="Largest batch that trains",
        value=largest.batch(ceiling),
        unit=f"{IMAGE}s",
        case=f"Training · {names.point(ceiling)}{largest.apart(ceiling, largest.newest(others))}",
        details=(", ".join(filter(None, (largest.within_limit(ceiling), largest.why(ceiling)))),),
    )
