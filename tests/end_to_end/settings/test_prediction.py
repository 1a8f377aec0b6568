"""Inference, and what is not offered."""

import json
import sys
from types import SimpleNamespace

import numpy
import pytest

from bench.cases.axes import MODES, parse_mode
from bench.cases.recipe import overrides_for
from bench.errors import UsageError
from bench.worker import effective_settings
from bench.worker.devices.mps import Mps
from bench.worker.rejection import CaseRejected
from bench.worker.workloads.ultralytics.models import model_file
from bench.worker.workloads.ultralytics.predict import one_batch
from tests.end_to_end.settings.seen import accepted, prediction, refused


@pytest.fixture(scope="module")
def listing(data, tmp_path_factory):
    """The source of a prediction case of batch 6: a text file."""
    session = SimpleNamespace(data=data, scratch=str(tmp_path_factory.mktemp("scratch")), case={"batch": 6})
    return one_batch(session)


@pytest.fixture(scope="module")
def warm(set_up_predictor):
    """A predictor that has made its first call."""
    predictor = set_up_predictor()
    predictor.done_warmup = True
    return predictor


@pytest.mark.parametrize("argument", ["quantize", "half"])
def test_half_precision_on_a_cpu_is_left_out_and_is_noticed(set_up_predictor, argument):
    from ultralytics.utils import DEFAULT_CFG_DICT

    if argument not in DEFAULT_CFG_DICT:
        pytest.skip(f"this Ultralytics has no {argument}")
    predictor = set_up_predictor(**{argument: 16 if argument == "quantize" else True})
    assert refused(prediction(predictor), amp="on").startswith("amp on requested, amp off would run")


def test_a_rectangular_letterbox_has_fewer_pixels_and_is_noticed(set_up_predictor):
    image = numpy.zeros((48, 64, 3), numpy.uint8)
    for rect in (True, False):
        predictor = set_up_predictor(rect=rect)
        predictor.imgsz = [128, 128]
        shapes = {im.shape[:2] for im in predictor.pre_transform([image, image])}
        assert shapes == ({(96, 128)} if rect else {(128, 128)})
        if rect:
            predictor.shape = (8, 3, 96, 128)
            assert refused(prediction(predictor), imgsz=128).startswith("imgsz 128 requested, imgsz 96x128 would run")
            predictor.shape = (8, 3, 128, 128)
            assert "rect False requested, rect True would run." in refused(prediction(predictor), imgsz=128)


def test_a_list_of_arrays_is_one_batch_and_a_text_file_is_not(listing):
    from ultralytics.data.loaders import LoadImagesAndVideos, LoadPilAndNumpy, LoadTensor

    arrays = [numpy.zeros((8, 8, 3), numpy.uint8)] * 6
    assert LoadPilAndNumpy(arrays).bs == 6  # whatever batch was asked
    import torch

    assert LoadTensor(torch.zeros(6, 3, 32, 32)).bs == 6  # and whatever size
    assert [len(paths) for paths, _, _ in LoadImagesAndVideos(str(listing), batch=2)] == [2, 2, 2]
    assert [len(paths) for paths, _, _ in LoadImagesAndVideos(str(listing), batch=6)] == [6]


def test_a_batch_that_is_another_is_noticed(warm, monkeypatch):
    assert refused(prediction(warm, images=4)).startswith("batch 8 requested, batch 4 would run")
    monkeypatch.setattr(warm, "shape", (2, 3, 64, 64))
    assert refused(prediction(warm)).startswith("batch 8 requested, batch 2 would run")


def test_a_source_of_one_batch_leaves_nothing_to_read_ahead(listing):
    """On CUDA newer Ultralytics reads the next batch while it predicts, if there is one."""
    from ultralytics.data.loaders import LoadImagesAndVideos

    loader = LoadImagesAndVideos(str(listing), batch=6)
    assert (loader.nf, loader.ni, len(loader)) == (6, 6, 1)


def test_a_predictor_serves_one_case(predicted, trained):
    """Kept between calls it would keep device and precision too: the process ends with its case."""
    assert predicted.effective["batch"] == predicted.case.batch == 2
    assert predicted.effective["device"] == trained.effective["device"] == "cpu"


def test_the_clock_starts_when_a_call_has_been_made(set_up_predictor, warm, predicted):
    predictor = set_up_predictor()
    assert predictor.done_warmup is False
    assert refused(prediction(predictor)) == "warmed_up True requested, warmed_up False would run."
    accepted(prediction(warm))
    assert predicted.effective["warmed_up"] is True


def test_fusing_layout_and_format_are_read_back(set_up_predictor):
    import torch

    predictor = set_up_predictor()
    runs = prediction(predictor)
    assert (runs["fused"], runs["format"]) == (True, "pt")
    inner = getattr(predictor.model, "backend", predictor.model).model
    for layout, expected in ((torch.channels_last, True), (torch.contiguous_format, False)):
        inner.to(memory_format=layout)
        assert prediction(predictor)["channels_last"] is expected


def test_the_workspace_of_cublas_is_read_back(predicted, monkeypatch):
    """Ultralytics sets it for every model that is made by ``YOLO(...)``."""
    from ultralytics import YOLO

    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    assert "CUBLAS_WORKSPACE_CONFIG" not in effective_settings.torch_settings()["variables"]
    YOLO("yolov8n.yaml")
    now = effective_settings.torch_settings()["variables"].get("CUBLAS_WORKSPACE_CONFIG")
    assert predicted.effective["variables"].get("CUBLAS_WORKSPACE_CONFIG") == now
    assert predicted.effective["deterministic"] is False


def test_whose_suppression_runs_is_read_back(warm, monkeypatch):
    """Ultralytics takes torchvision's if anything has imported it, and its own if not."""
    runs = prediction(warm)
    assert runs["end2end"] is False
    assert runs["nms"] == ("torchvision" if "torchvision" in sys.modules else "ultralytics")
    monkeypatch.setitem(sys.modules, "torchvision", SimpleNamespace())
    assert prediction(warm)["nms"] == "torchvision"
    monkeypatch.delitem(sys.modules, "torchvision")
    assert prediction(warm)["nms"] == "ultralytics"


def test_the_head_that_runs_is_read_back(set_up_predictor):
    """The default of a model with two heads changed between 8.4.121 and 8.4.155."""
    from ultralytics.utils import DEFAULT_CFG_DICT

    runs = prediction(set_up_predictor(model="yolo26n.yaml"))
    assert runs["nms"] == "none" if runs["end2end"] else runs["nms"] != "none"
    if DEFAULT_CFG_DICT.get("nms", False) is None:  # where it chooses the head
        assert runs["end2end"] is False
        assert prediction(set_up_predictor(model="yolo26n.yaml", nms=False))["nms"] == "none"


def test_suppression_that_runs_out_of_time_spoils_the_window(warm, monkeypatch):
    """The images that are left have no boxes then: a speed of less work."""
    import torch
    from ultralytics.utils import nms

    before = prediction(warm)
    clock = iter(range(0, 10**6, 1000))
    monkeypatch.setattr(nms, "time", SimpleNamespace(time=lambda: next(clock)))
    boxes = torch.rand(2, 84, 50)
    kept_boxes = nms.non_max_suppression(boxes, 0.1)
    assert len(kept_boxes[0]) and not len(kept_boxes[1])
    with pytest.raises(CaseRejected, match="NMS time limit"):
        effective_settings.check_unchanged(before, prediction(warm))


def test_trying_kernels_is_read_back_and_its_change_spoils_the_window(warm, monkeypatch):
    """A stream as source switches it on for the whole process; a case's source is a text file, its process its own."""
    import torch

    before = prediction(warm)
    assert before["cudnn_benchmark"] is False
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    with pytest.raises(CaseRejected, match="cudnn_benchmark from False to True"):
        effective_settings.check_unchanged(before, prediction(warm))


def test_the_clock_waits_for_mps_itself(monkeypatch):
    """Ultralytics' own profiler reads the time while the work is still in the queue."""
    import torch
    from ultralytics.utils import ops

    waited = []
    monkeypatch.setattr(torch.mps, "synchronize", lambda: waited.append("mps"))
    profile = ops.Profile(device=torch.device("mps"))
    with profile:
        pass
    assert waited == []
    Mps().synchronize()
    assert waited == ["mps"]


@pytest.mark.parametrize(
    ("name", "value", "runs"),
    [
        ("conf", 0.25, 0.001),
        ("iou", 0.7, 0.9),
        ("max_det", 300, 1000),
        ("augment", False, True),
        ("agnostic_nms", False, True),
        ("visualize", False, True),
        ("verbose", False, True),
        ("save", False, True),
    ],
)
def test_what_makes_a_prediction_more_work_is_pinned_and_noticed(warm, monkeypatch, name, value, runs):
    assert overrides_for("predict")[name] == value
    monkeypatch.setattr(warm.args, name, runs)
    assert refused(prediction(warm)) == f"{name} {value} requested, {name} {runs} would run."


def test_read_back_of_a_predictor_is_small_and_knows_every_pin(warm):
    runs = prediction(warm)
    assert len(json.dumps({**runs, "variables": {}})) < 1600
    assert {{"compile": "compiled"}.get(override, override) for override in overrides_for("predict")} <= set(runs)


def test_validation_by_itself_is_not_offered():
    assert MODES == ("train", "predict")
    with pytest.raises(UsageError, match="mode 'val' is unknown"):
        parse_mode("val")


@pytest.mark.parametrize(
    "name",
    [
        "yolov8n.onnx",
        "yolov8n.engine",
        "yolov8n.torchscript",
        "yolov8n.mnn",
        "yolov8n.mlpackage",
        "yolov8n.tflite",
        "yolov8n_openvino_model",
        "yolov8n_ncnn_model",
        "yolov8n_saved_model",
    ],
)
def test_an_exported_model_cannot_be_asked_for(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CaseRejected, match="this Ultralytics does not know it") as caught:
        model_file(name)
    assert caught.value.status == "unsupported"
