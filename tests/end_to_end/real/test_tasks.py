"""Every task of Ultralytics at a tiny size, from the made data to the record; detection has tests of its own."""

import msgspec
import pytest

from bench.cases.recipe import overrides_for
from bench.worker.workloads.base import family_of, own_name
from tests.end_to_end.real.conftest import run_one, tiny

LOSSES = {
    "yolov8n-seg": {"box_loss", "seg_loss", "cls_loss", "dfl_loss"},
    "yolov8n-pose": {"box_loss", "pose_loss", "kobj_loss", "cls_loss", "dfl_loss"},
    "yolov8n-obb": {"box_loss", "cls_loss", "dfl_loss"},
    "yolov8n-cls": {"loss"},
    "yolov8n-rtdetr": {"giou_loss", "cls_loss", "l1_loss"},
}
NEWER = {"sem_loss", "angle_loss"}
"""Losses that came with Ultralytics 8.4.0."""

SIZES = {"yolov8n-cls": 32, "yolov8n-rtdetr": 128}


def tiny_case(mode, model):
    planned = tiny(mode, model=model, batch=2, imgsz=SIZES.get(model, 64))
    data = family_of(model).data_for(own_name(model), 64)
    overrides = {**overrides_for(mode, model=model), **({"nbs": 2} if mode == "train" else {})}
    recipe = msgspec.structs.replace(planned.recipe, overrides=overrides, data=data)
    return msgspec.structs.replace(planned, recipe=recipe)


@pytest.mark.parametrize("model", LOSSES)
def test_a_task_trains(model, forking, tmp_path):
    record = run_one(forking, tmp_path, tiny_case("train", model))
    assert record.outcome.status.value == "measured", record.outcome.reason
    assert LOSSES[model] <= set(record.checks["loss"]) <= LOSSES[model] | NEWER
    assert record.checks["moved"] > record.checks["parameters"] / 2
    assert record.data.name == record.recipe.data
    assert set(record.phases) >= {"preprocess", "forward", "backward", "optimizer"}


@pytest.mark.parametrize("model", ["yolov8n-seg", "yolov8n-pose", "yolov8n-obb"])
def test_random_weights_find_objects(model, forking, tmp_path):
    record = run_one(forking, tmp_path, tiny_case("predict", model))
    assert record.outcome.status.value == "measured", record.outcome.reason
    assert record.extra["detections_per_image"] > 1
    assert record.effective["conf"] == 0.25
    assert (record.effective["nms"] == "ultralytics") == (model == "yolov8n-obb")


def test_a_network_of_torchvision_is_classified_by_its_own_name(forking, tmp_path):
    record = run_one(forking, tmp_path, tiny_case("predict", "ultralytics:resnet18"))
    assert record.outcome.status.value == "measured", record.outcome.reason
    assert record.effective["parameters"] == 11_689_512
    assert (record.effective["nms"], record.effective["architecture"]) == ("none", "of torchvision")
    assert record.name == "predict-ultralytics~resnet18-cpu-fp32-b2-i64"
    assert "detections_per_image" not in record.extra
