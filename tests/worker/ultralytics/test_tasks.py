"""The table of tasks: which task a name or a file suggests, and what follows of it for a case."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.cases.model_argument import parse_model
from bench.cases.plan import expand_grid, profile
from bench.runner.jobs import data_job, workload_facts
from bench.worker.workloads.base import is_made, workloads
from bench.worker.workloads.ultralytics import overrides, tasks

NAMES = {
    "yolov8n": tasks.DETECT,
    "yolo11n-seg": tasks.SEGMENT,
    "yolov9c-seg": tasks.SEGMENT,
    "yolov8n-pose-p6": tasks.POSE,
    "yolo26x-obb": tasks.OBB,
    "yolov8-cls-resnet50": tasks.CLASSIFY,
    "rtdetr-l": tasks.RTDETR,
    "yolov8n-rtdetr": tasks.RTDETR,
    "resnet18": tasks.CLASSIFY,
    "vit_b_16": tasks.CLASSIFY,
    "yolo11n-pose.pt": tasks.POSE,
    "my-segments": tasks.DETECT,
}


@pytest.mark.parametrize("name", NAMES)
def test_the_task_of_a_name(name: str) -> None:
    assert tasks.task_of_model(name) is NAMES[name]


def test_the_task_of_a_file_is_that_of_its_last_layer(tmp_path: Path) -> None:
    text = "nc: 80\nbackbone:\n  - [-1, 1, Conv, [64, 3, 2]] # no Segment, [\nhead:\n  - [[15, 18], 1, {}, [nc, 32]]\n"
    for head in ("Segment", "Segment26", "Pose", "OBB", "Detect", "RTDETRDecoder", "nn.Linear"):
        (tmp_path / "best.yaml").write_text(text.format(head))
        assert tasks.task_of_model(str(tmp_path / "best.yaml")) is tasks.task_of(head)
    for content in ("", "backbone: []"):
        (tmp_path / "best.yaml").write_text(content)
        assert tasks.task_of_model(str(tmp_path / "best.yaml")) is tasks.DETECT
    (tmp_path / "best.pt").write_bytes(b"PK\x03\x04 cut off")
    assert tasks.task_of_model(str(tmp_path / "best.pt")) is tasks.DETECT
    assert tasks.task_of_model(str(tmp_path / "missing.pt")) is tasks.DETECT


def test_a_head_has_one_task() -> None:
    heads = [head for task in tasks.TASKS for head in task.heads]
    assert len(heads) == len(set(heads))
    assert tasks.task_of("WorldDetect") is tasks.task_of("YOLOESegment") is None


def test_a_case_of_each_task_has_its_own_data_size_and_overrides() -> None:
    models = ["yolov8n", "yolov8n-seg", "yolov8n-pose", "yolov8n-obb", "yolov8n-cls", "yolov8n-rtdetr"]
    values: dict[str, list[object]] = {"model": list(models), "mode": ["train"], "amp": ["off"]}
    planned = {plan.case.model: plan for plan in expand_grid(profile("smoke"), ["cpu"], values)}
    assert {model: plan.recipe.data for model, plan in planned.items()} == {
        "yolov8n": "coco-like",
        "yolov8n-seg": "coco-like-segment",
        "yolov8n-pose": "coco-like-pose",
        "yolov8n-obb": "dota-like",
        "yolov8n-cls": "imagenet-like",
        "yolov8n-rtdetr": "coco-like",
    }
    assert [planned[model].case.imgsz for model in ("yolov8n", "yolov8n-cls")] == [64, 224]
    assert planned["yolov8n"].recipe.fingerprint == planned["yolov8n-rtdetr"].recipe.fingerprint
    assert planned["yolov8n-seg"].recipe.overrides["mask_ratio"] == 4
    assert "mosaic" not in planned["yolov8n-cls"].recipe.overrides
    assert workload_facts(planned["yolov8n"].case) == workload_facts(planned["yolov8n-seg"].case) == {}
    assert workload_facts(planned["yolov8n-cls"].case)["workload"]["epoch_items"] == 1_281_167
    assert all(data_job(plan).made for plan in planned.values())


def test_every_made_set_is_made_and_the_densest_is_its_own() -> None:
    family = workloads()["ultralytics"]
    for task in tasks.TASKS:
        assert all(is_made(name) for name in task.data)
        assert tasks.task_of_data(task.data[1]).maker == task.maker
    assert family.data_for("yolov8n-seg", 640, dense=True) == "coco-like-segment-dense"


def test_overrides_of_detection_are_what_they_were() -> None:
    for mode in ("train", "predict"):
        assert overrides.overrides_of(mode, "detect") == overrides.OVERRIDES[mode]


def test_a_network_of_torchvision_keeps_the_name_of_its_trainer() -> None:
    assert parse_model("ultralytics:resnet18") == "ultralytics:resnet18"
    assert parse_model("ultralytics:yolov8n-seg") == "yolov8n-seg"
