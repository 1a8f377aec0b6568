"""Accuracies that a user wrote into a file."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from bench.claims.accuracy import Accuracy, differences, read_accuracy
from bench.errors import UsageError


def test_a_file_as_a_spreadsheet_writes_it(tmp_path: Path) -> None:
    file = tmp_path / "accuracy.csv"
    file.write_bytes(b"\xef\xbb\xbfseed,model,amp,map\r\n1, yolov8n.yaml, on, 0.372\r\n1,yolov8n,off,0.371\r\n")
    assert read_accuracy(file) == [Accuracy("yolov8n", "on", 0.372), Accuracy("yolov8n", "off", 0.371)]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "is empty: write model,amp,map and a line per training"),
        ("model,amp,map\n", "is empty"),
        ("model,map\nyolov8n,0.3\n", "line 2: write model,amp,map, with a mAP from 0 to 1"),
        ("model,amp,map\nyolov8n,on,0.3\nyolov8n,on,37.2\n", "line 3: write"),
        ("model,amp,map\nyolov8n,on\n", "line 2: write"),
        ("model,amp,map\nyolov8n,on,nan\n", "line 2: write"),
        ("model,amp,map\nyolov8n,True,0.3\n", "line 2: write"),
        ("\udcff", "cannot be read: 'utf-8' codec"),
    ],
)
def test_a_file_that_holds_no_accuracies_is_named(tmp_path: Path, content: str, sentence: str) -> None:
    file = tmp_path / "accuracy.csv"
    file.write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(UsageError) as error:
        read_accuracy(file)
    assert sentence in str(error.value) and str(file) in str(error.value)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_accuracy(tmp_path / "missing.csv")


def test_differences_have_an_interval_where_seeds_do() -> None:
    def trained(amp: str, *maps: float) -> list[Accuracy]:
        return [Accuracy("yolov8n", amp, figure) for figure in maps]

    [difference] = differences([*trained("on", 0.36, 0.37), *trained("off", 0.37, 0.38)])
    assert difference.point == pytest.approx(-0.01)
    assert difference.low < -0.01 < difference.high
    [single] = differences([*trained("on", 0.36), *trained("off", 0.37, 0.38)])
    assert (single.low, single.high) == (-math.inf, math.inf)
    assert differences(trained("on", 0.36, 0.37)) == differences([*trained("bf16", 0.3), *trained("off", 0.3)]) == []
