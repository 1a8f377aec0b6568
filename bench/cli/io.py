"""Arguments that several commands share, reading of recorded results, and remarks on standard error."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Optional

import typer

from bench.cases.case import Case
from bench.cases.model_labels import is_called
from bench.cli import terminal
from bench.errors import NothingMeasured, UsageError
from bench.machine.description import Machine
from bench.records.calibration import Calibration
from bench.records.record import Record
from bench.text import clean


class Format(StrEnum):
    """Formats of a table."""

    csv = "csv"
    md = "md"
    json = "json"


Results = Annotated[
    Optional[list[Path]],  # noqa: UP045 - typer reads it
    typer.Argument(
        metavar="[RESULTS]...", help="Folders of runs, or record files; default: this machine's runs in results."
    ),
]
EpochImages = Annotated[int, typer.Option(help="Images per epoch; 0 stands for COCO's 118,287.")]
Epochs = Annotated[int, typer.Option(help="Epochs of your training, for its time in the report; 0 for none.")]


def say(text: str) -> None:
    """Print a remark on standard error, so that it does not mix with a table; a terminal gets lines that fit."""
    text = clean(text)
    terminal.LIVE.clear()
    print(terminal.fit(text, terminal.width()) if terminal.is_terminal(sys.stderr) else text, file=sys.stderr)


Only = Annotated[
    Optional[list[str]],  # noqa: UP045 - typer reads it
    typer.Option(metavar="AXIS=VALUE", help="Only cases such as device=cpu,imgsz=160; again for other values."),
]

Wanted = Callable[..., bool]
"""Whether a case is asked for; the second argument is True for a case whose batch was found by a search."""


def chosen_by(only: list[str] | None) -> Wanted:
    """Return the filter of ``--only``: values of one axis are alternatives, and every axis has to match.

    Raises:
        UsageError: for an unknown axis or value.
    """
    from bench.analysis.speedup import parse_baseline

    values: dict[str, set[object]] = {}
    for text in only or []:
        for part in text.split(","):
            for axis, value in parse_baseline(part, "only").items():
                values.setdefault(axis, set()).add(value)

    def wanted(case: Case, any_batch: bool = False) -> bool:
        return all(
            any(is_called(case.model, str(text), case.model_name) for text in allowed)
            if axis == "model"
            else case.value(axis) in allowed
            for axis, allowed in values.items()
            if not (any_batch and axis in ("batch", "mode"))
        )

    return wanted


def read_records(sources: list[Path]) -> Sequence[Record]:
    """Read the records in some places, and say which files cannot be read.

    Raises:
        NothingMeasured: where there is no record.
    """
    from bench.records import store

    with store.without_collecting():
        records, complaints = store.read(sources)
        gc.freeze()  # this process ends soon: the garbage collector need not look at the records
    for complaint in complaints:
        say(complaint)
    if not records:
        raise nothing_in(sources)
    return with_calibrations(records)


def nothing_in(sources: list[Path]) -> NothingMeasured:
    """Return the error for places that hold nothing."""
    return NothingMeasured(f"there are no records in {', '.join(map(str, sources))}.")


def with_calibrations(records: Sequence[Record]) -> Sequence[Record]:
    """Return records with the calibration of this machine, where they are of it and have none."""
    from bench.records import calibration
    from bench.records.indexed import IndexedRecords

    try:
        here, known, complaint = calibrations_here()
    except UsageError:  # the cache has no known place, so there is no calibration either
        return records
    if complaint:
        say(complaint)
    if isinstance(records, IndexedRecords):
        return records.changed(lambda own: calibration.stamped(own, known, here))
    return calibration.stamped(records, known, here)


def calibrations_here() -> tuple[Machine, list[Calibration], str]:
    """Return this machine, its calibrations, and a sentence on a file of them that cannot be read.

    Raises:
        UsageError: where the cache has no known place.
    """
    from bench.machine.fingerprint import machine
    from bench.machine.paths import calibration_folder
    from bench.records import store

    here = machine()
    known, complaint = store.read_calibrations(calibration_folder(), here)
    return here, known.calibrations, complaint


def epoch(images: int) -> int:
    """Check and return the number of images per epoch."""
    from bench.analysis.throughput import COCO_TRAIN_IMAGES

    if images < 0:
        raise UsageError(f"epoch-images '{images}' is not allowed: use a whole number above 0.")
    return images or COCO_TRAIN_IMAGES


def whole_epochs(epochs: int) -> int:
    """Check and return the number of epochs of the user's training; 0 for none."""
    if epochs < 0:
        raise UsageError(f"epochs '{epochs}' is not allowed: use a whole number above 0.")
    return epochs
