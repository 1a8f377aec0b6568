"""The guide's table next to what was measured: ratios, where both sides of one are known."""

from __future__ import annotations

from typing import Any

import pytest

from bench.analysis.table import frame, newest_rows
from bench.cases import Case
from bench.claims.guide_table import SECONDS, by_device
from bench.report.inputs import Inputs, MachineInputs
from bench.report.sections import guide_table
from tests.builders import make_record, make_steps

UNITS = {"name": "torch", "unit": "image", "size_unit": "px", "epoch_items": 50_000}


def build(*records: Any) -> Any:
    inputs = Inputs(records=records, epoch_images=118_287)
    return guide_table.build(MachineInputs(newest_rows(frame(records)), inputs, records[0].machine.key))


def trained(model: str, seconds: float, imgsz: int = 32, **changes: Any) -> Any:
    steps = make_steps([seconds] * 8, images=128)
    case = {"mode": "train", "model": model, "device": "cpu", "amp": "off", "batch": 128, "imgsz": imgsz, **changes}
    return make_record(case=Case(**case), steps=steps, extra={"workload": UNITS})


def cells(table: Any, what: str, where: str) -> tuple[str, ...]:
    [row] = [row for row in table.rows if row[0] == what and row[1].startswith(where)]
    return tuple(row[2:4])


def test_a_machine_with_a_cpu_compares_models() -> None:
    table = build(trained("resnet18", 1.0), trained("vit-tiny-4", 4.0))
    assert cells(table, "ViT over ResNet18", "cpu (Core i9)") == ("2.66×", "4.00×")
    assert cells(table, "LSTM over ResNet18", "cpu (Core i9)")[1] == "—"
    assert cells(table, "ResNet18", "cpu (Core i9) over mps") == ("3.67×", "—")


def test_a_machine_with_a_gpu_compares_devices() -> None:
    table = build(trained("resnet18", 5.0), trained("resnet18", 1.0, device="0"))
    assert cells(table, "ResNet18", "cpu (Core i9) over cuda") == ("5.20×", "5.00×")


@pytest.mark.parametrize("changes", [{"amp": "bf16"}, {"batch": 64}, {"mode": "predict"}, {"imgsz": 224}])
def test_another_case_says_nothing_of_it(changes: dict[str, Any]) -> None:
    assert build(trained("resnet18", 1.0, **changes)) is None


def test_all_of_the_guides_devices_are_compared() -> None:
    assert len(by_device()) == 3 * len(SECONDS)


def test_the_note_says_what_the_guide_does_not_name() -> None:
    assert "names neither model variant, data nor batch" in build(trained("resnet18", 1.0)).note
