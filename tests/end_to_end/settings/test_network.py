"""What shapes the network: the size in its name, the channels and classes of the data set, its head."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.worker.rejection import CaseRejected
from bench.worker.workloads.ultralytics import models, read_settings
from bench.worker.workloads.ultralytics.models import built, channels, find_model, model_file
from tests.end_to_end.settings.seen import accepted, prediction, refused, training


def test_the_size_in_a_name_is_that_of_the_network(trainer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = training(trainer)
    assert runs["scale"] == "n"
    reason = "scale x requested, scale n would run: the size in the name is not that of the model: rename the file."
    assert refused(runs, model="yolov8x") == reason
    weights = {**runs, "weights": "from file", "architecture": "from weights"}
    assert refused(weights, model="/a/yolov8x.pt") == reason
    accepted(weights, model="/a/yolov8n.pt")
    accepted(weights, model="/a/best.pt")
    monkeypatch.setitem(trainer.model.yaml, "scales", {})
    assert training(trainer)["scale"] is None, "the letter of a file without sizes says nothing"


@pytest.mark.parametrize("name", ["yolov8-p2x", "yolov3n"])
def test_a_size_that_would_not_be_built_is_no_name(name: str) -> None:
    with pytest.raises(CaseRejected, match=f"model {name}: this Ultralytics does not know it"):
        model_file(name)


def test_a_size_in_the_name_of_a_users_file_is_built_or_refused(tmp_path: Path) -> None:
    import ultralytics

    shipped = Path(ultralytics.__file__).parent / "cfg/models/v8/yolov8.yaml"
    (tmp_path / "my8x.yaml").write_text(shipped.read_text("utf-8"))
    with pytest.raises(CaseRejected, match="Ultralytics would build size n"):
        model_file(str(tmp_path / "my8x.yaml"))


def test_what_shapes_the_network_is_read_back(trainer: Any, set_up_predictor: Any) -> None:
    own = {"channels": 3, "classes": 80, "head": "Detect", "reg_max": 16, "strides": [8, 16, 32], "end2end": False}
    for runs in (training(trainer), prediction(set_up_predictor())):
        assert {name: runs[name] for name in own} == own


def test_channels_of_the_data_set_count_in_both_modes(trainer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shape = {"channels": 10, "nc": 80, "names": {index: str(index) for index in range(80)}}
    monkeypatch.setattr(models, "shape_of", lambda data: shape)
    assert channels(built("yolov8n", find_model("yolov8n"), "a.yaml")) == 10
    with pytest.raises(CaseRejected, match="channels 10 requested, channels 3 would run: ") as caught:
        read_settings.fits_data(training(trainer), shape)
    assert caught.value.status == "substituted"
    read_settings.fits_data(training(trainer), {"nc": 80})


def test_classes_of_the_data_set_count_in_both_modes(trainer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shape = {"channels": 3, "nc": 2, "names": {0: "a", 1: "b"}}
    monkeypatch.setattr(models, "shape_of", lambda data: shape)
    model = built("yolov8n", find_model("yolov8n"), "a.yaml")
    assert (model.model[-1].nc, model.names) == (2, shape["names"])
    with pytest.raises(CaseRejected, match="classes 2 requested, classes 80 would run: "):
        read_settings.fits_data(training(trainer), shape)
    read_settings.fits_data(training(trainer), shape, classes=False)


def test_a_checkpoint_of_other_channels_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from ultralytics.nn.tasks import DetectionModel

    torch.save({"model": DetectionModel("yolov8n.yaml", ch=10, verbose=False)}, tmp_path / "best.pt")
    monkeypatch.setattr(models, "shape_of", lambda data: {"channels": 3, "nc": 80, "names": {}})
    for mode, status in (("train", "substituted"), ("predict", "unsupported")):
        with pytest.raises(CaseRejected, match="it takes images of 10 channels, and the dataset has 3") as caught:
            model_file(str(tmp_path / "best.pt"), mode, "a.yaml")
        assert caught.value.status == status
