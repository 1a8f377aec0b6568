from __future__ import annotations

import shlex
from typing import Any

import pytest

from bench.analysis.reference import reference_cases
from bench.analysis.table import frame
from bench.records.record import Record
from bench.report.headline.recommendation import Recommendation, recommend, ultralytics_device
from tests.analysis.test_reference import LOUD, at
from tests.builders import make_case, make_recipe


def advice(*records: Record) -> Recommendation:
    table = frame(records)
    reference = reference_cases(table)["train"]
    record = next(record for record in records if record.id == reference.row["id"])
    recommendation = recommend(table, reference, record, [])
    assert recommendation is not None
    return recommendation


def test_the_batch_with_what_it_brings_and_needs() -> None:
    recommendation = advice(at(30), at(20, batch=4))
    assert recommendation.case == "yolov8n at 640 px on cpu"
    assert recommendation.sentences == (
        "Batch 16 is 50 % faster than batch 4 and needs 1.15 GiB.",
        "Measured with optimizer=SGD.",
    )


def test_a_small_or_unclear_gain_is_not_overstated() -> None:
    assert advice(at(32.7), at(30, batch=4)).sentences[0].startswith("Batch 16 is 9.0 % faster")
    assert advice(at(31, LOUD), at(30, LOUD, batch=4)).sentences[0].startswith("Batch 16 is about as fast as batch 4 (")
    assert advice(at(31, (1.0, 1.0)), at(30, (1.0, 1.0), batch=4)).sentences[0].startswith("Batch 16 seems faster")
    assert advice(at(31)).sentences[0].endswith("no other batch was measured.")


def test_the_commands_of_ultralytics() -> None:
    recommendation = advice(at(400, device="0+1", amp="on", model="yolo11n"))
    assert recommendation.shell == (
        "yolo train model=yolo11n.pt data=your-data.yaml imgsz=640 batch=16 device=0,1 amp=True"
    )
    assert recommendation.python == (
        'YOLO("yolo11n.pt").train(data="your-data.yaml", imgsz=640, batch=16, device="0,1", amp=True)'
    )


def test_further_axes_and_own_data_are_in_the_commands_and_quoted() -> None:
    case = make_case(model="/x/my best.pt", imgsz=640, further=(("cache", "ram"), ("workers", 2)))
    recipe = make_recipe(data='/x/it"s my.yaml')
    recommendation = advice(at(30, case=case, recipe=recipe))
    assert shlex.split(recommendation.shell)[2:] == [
        "model=/x/my best.pt",
        'data=/x/it"s my.yaml',
        *("imgsz=640", "batch=16", "device=cpu", "amp=False", "cache=ram", "workers=2"),
    ]
    called: list[Any] = []

    class YOLO:
        def __init__(self, model: str) -> None:
            called.append(model)

        def train(self, **arguments: Any) -> None:
            called.append(arguments)

    eval(recommendation.python, {"YOLO": YOLO})
    assert called[0] == "/x/my best.pt" and called[1]["data"] == '/x/it"s my.yaml' and called[1]["workers"] == 2


@pytest.mark.parametrize(
    ("device", "argument"),
    [("cpu", "cpu"), ("mps", "mps"), ("0", "0"), ("0+1+2", "0,1,2"), ("cpu+cpu", None), ("2x0+1", None)],
)
def test_devices_of_ultralytics(device: str, argument: str | None) -> None:
    assert ultralytics_device(device) == argument


def test_a_device_that_ultralytics_cannot_use_has_no_command() -> None:
    recommendation = advice(at(30, device="cpu+cpu"))
    assert not recommendation.shell and not recommendation.python
    assert "Ultralytics itself cannot train on cpu+cpu" in recommendation.sentences[-1]


@pytest.mark.parametrize(
    ("model", "argument"),
    [("yolo26s-seg", "yolo26s-seg.pt"), ("yolov8-p2", "yolov8-p2.yaml"), ("yolov9t", "yolov9t.pt")],
)
def test_models_of_ultralytics(model: str, argument: str) -> None:
    assert f" model={argument} " in advice(at(30, model=model)).shell


def test_other_workloads_have_no_recommendation() -> None:
    record = at(30, model="resnet18", extra={"workload": {"name": "torch_reference"}})
    table = frame([record])
    assert recommend(table, reference_cases(table)["train"], record, []) is None
