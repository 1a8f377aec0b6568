"""Accuracy of trainings that the user did: a CSV file with the columns ``model``, ``amp`` and ``map``."""

from __future__ import annotations

import csv
import statistics
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.analysis.intervals import half_width
from bench.cases.axes import parse_amp
from bench.errors import UsageError

COLUMNS = ("model", "amp", "map")

MARGIN = 0.005
"""Largest difference of mAP that counts as none: half a point."""


class Accuracy(msgspec.Struct, frozen=True):
    """Accuracy of one training.

    Attributes:
        model: that was trained.
        amp: ``off``, or the mixed precision that it was trained in.
        map: mAP of its best weights, from 0 to 1.
    """

    model: str
    amp: str
    map: float


def read_accuracy(file: Path) -> list[Accuracy]:
    """Read a file of accuracies.

    Raises:
        UsageError: where it cannot be read, lacks a column, or has a value that is no mAP.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            rows = list(csv.DictReader(opened, skipinitialspace=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"accuracy {str(file)!r} cannot be read: {error}.") from error
    figures = []
    for number, row in enumerate(rows, 2):
        values = [(row.get(name) or "").strip() for name in COLUMNS]
        try:
            figure, _ = float(values[2]), parse_amp(values[1])
        except (ValueError, UsageError):
            figure = -1.0
        if not all(values) or not 0 <= figure <= 1:
            raise UsageError(
                f"accuracy {str(file)!r}, line {number}: write {','.join(COLUMNS)}, with a mAP from 0 to 1, "
                "as in yolov8n,on,0.372."
            )
        figures.append(Accuracy(values[0].removesuffix(".yaml"), values[1], figure))
    if not figures:
        raise UsageError(f"accuracy {str(file)!r} is empty: write {','.join(COLUMNS)} and a line per training.")
    return figures


class Difference(msgspec.Struct, frozen=True):
    """Mean mAP with mixed precision less that without it, with its interval.

    Attributes:
        model: of both.
        point, low, high: the difference; infinite ends with a single training on either side, since seeds differ.
    """

    model: str
    point: float
    low: float
    high: float


def differences(figures: Sequence[Accuracy], amp: str = "on") -> list[Difference]:
    """Return the difference that a mixed precision makes, for every model that was trained with it and without."""
    differing = []
    for model in dict.fromkeys(figure.model for figure in figures):
        sides = [[each.map for each in figures if (each.model, each.amp) == (model, value)] for value in (amp, "off")]
        if all(sides):
            point = statistics.fmean(sides[0]) - statistics.fmean(sides[1])
            half = sum(half_width(side) ** 2 if len(side) > 1 else float("inf") for side in sides) ** 0.5
            differing.append(Difference(model, point, point - half, point + half))
    return differing
