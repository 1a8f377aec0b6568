"""The section of ceilings: in the units of their models."""

from __future__ import annotations

import pytest

from bench.report.sections import ceilings
from tests.builders import make_ceiling


@pytest.mark.parametrize(
    ("model", "imgsz", "unit", "size"),
    [
        ("yolov8n", 160, "image", "160 px"),
        ("lstm256", 28, "sequence", "28 steps"),
        ("bert-tiny", 128, "sequence", "128 tokens"),
    ],
)
def test_a_model_has_its_units(model: str, imgsz: int, unit: str, size: str) -> None:
    section = ceilings.section([make_ceiling(model=model, imgsz=imgsz)])
    assert section is not None
    [plot] = section.plots
    assert f"Memory per {unit}" in section.columns
    assert size in section.rows[0].cells[0]
    assert f"Batch ({unit}s per step)" in plot.svg and f"per {unit}" in plot.alt and size in plot.svg
    assert (" px" in plot.svg) is ("on images full of boxes" in section.note) is (unit == "image")


def test_several_units_are_items() -> None:
    section = ceilings.section([make_ceiling(), make_ceiling(model="lstm256", imgsz=28)])
    assert section is not None and "Memory per item" in section.columns
    assert "boxes" not in section.note
