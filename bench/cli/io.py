"""What several commands need: their common arguments, reading records, and remarks."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Optional

import typer

from bench.cases.case import Case
from bench.cases.model_labels import is_called
from bench.errors import NothingMeasured, UsageError
from bench.records.ceiling import Ceiling
from bench.records.comparison import Comparison
from bench.records.record import Record
from bench.text import clean


class Format(StrEnum):
    """Formats of a table."""

    csv = "csv"
    md = "md"
    json = "json"


Results = Annotated[
    Optional[list[Path]],  # noqa: UP045 - typer reads it
    typer.Argument(metavar="[RESULTS]...", help="Folders of runs, or record files; default: results."),
]
EpochImages = Annotated[int, typer.Option(help="Images of an epoch; 0 stands for COCO's 118,287.")]


def say(text: str) -> None:
    """Print a remark where it does not mix with a table."""
    print(clean(text), file=sys.stderr)


Only = Annotated[
    Optional[list[str]],  # noqa: UP045 - typer reads it
    typer.Option(metavar="AXIS=VALUE", help="Only cases such as device=cpu,imgsz=160; again for other values."),
]

Wanted = Callable[..., bool]
"""Whether a case is among those asked for; the second argument says that its batch is no choice of anyone's."""


def chosen_by(only: list[str] | None) -> Wanted:
    """The cases that ``--only`` names: values of one axis are alternatives, different axes have to hold together.

    Raises:
        WrongUse: for an axis or a value that there is not.
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


def read_ceilings(sources: list[Path] | None, wanted: Wanted) -> tuple[list[Ceiling], list[str]]:
    """Ceilings under the given places that are asked for, and one sentence for each file that cannot be read."""
    from bench.records.store import read_ceilings as read

    found, complaints = read(_places(sources))
    for complaint in complaints:
        say(complaint)
    return [one for one in found if wanted(one.case, True)], complaints


def read_comparisons(sources: list[Path] | None, wanted: Wanted) -> tuple[list[Comparison], list[str]]:
    """Live comparisons under the given places with a case that is asked for; sentences as above.

    They stay whole: what is said of one case takes into account how many there were.
    """
    from bench.records.store import read_comparisons as read

    found, complaints = read(_places(sources))
    for complaint in complaints:
        say(complaint)
    told = [one for one in found if one.has_findings and any(wanted(compared.case) for compared in one.cases)]
    return told, complaints


def read_records(
    sources: list[Path] | None, needed: bool = True, wanted: Wanted | None = None
) -> tuple[list[Record], list[str]]:
    """Records under the given places; raises :class:`NothingMeasured` where there are none, though they are needed."""
    from bench.machine.fingerprint import machine
    from bench.machine.paths import calibration_folder
    from bench.records import calibration, store

    places = _places(sources)
    if not places:
        if not needed:
            return [], []
        raise NothingMeasured("there is no folder results here: measure first, with pytest bench/ --benchmark-only.")
    with store.without_collecting():
        records, complaints = store.read(places)
        gc.freeze()  # this process ends soon, and records are no garbage: nobody need look for it among them
    for complaint in complaints:
        say(complaint)
    if wanted is not None and records:
        records = [record for record in records if wanted(record.case)]
        if not records and needed:
            raise NothingMeasured("no record is of such a case: see them all with python -m bench table.")
    if not records and needed:
        raise NothingMeasured(f"there are no records in {', '.join(map(str, places))}.")
    here = machine().fingerprint
    try:
        known, complaint = store.read_calibrations(calibration_folder(), here)
    except UsageError:  # nobody knows where the cache is: there is no calibration either
        return records, complaints
    if complaint:
        say(complaint)
    return calibration.stamped(records, known.calibrations, here), complaints


def _places(sources: list[Path] | None) -> list[Path]:
    """The places that are given; else the folder of results, if there is one."""
    return sources or [folder for folder in (Path("results"),) if folder.exists()]


def epoch(images: int) -> int:
    """The size of an epoch that was asked for."""
    from bench.analysis.throughput import COCO_TRAIN_IMAGES

    if images < 0:
        raise UsageError(f"epoch-images {images} is not allowed: use a whole number above 0.")
    return images or COCO_TRAIN_IMAGES
