"""Exported models, really exported and run: what is measured, what is substituted, and what stays in the cache."""

import importlib.util
import os
import signal
import tempfile
from pathlib import Path

import pytest

from bench.runner import measure, run
from tests.end_to_end.real.conftest import run_one, tiny

FORMATS = ("torchscript", "onnx", "openvino")
NEEDS = {"onnx": ("onnx", "onnxruntime", "onnxslim"), "openvino": ("openvino",), "ncnn": ("ncnn", "pnnx")}


NETWORK = """
nc: 80
backbone:
  - [-1, 1, Conv, [16, 3, 2]]
  - [-1, 1, Conv, [16, 3, 2]]
  - [-1, 1, Conv, [16, 3, 2]]
  - [-1, 1, Conv, [16, 3, 2]]
head:
  - [[2, 3], 1, Detect, [nc]]
"""
"""A network that is exported in a second."""


def case(name, **axes):
    lacking = [module for module in NEEDS.get(name, ()) if importlib.util.find_spec(module) is None]
    if lacking:
        pytest.skip(f"not installed: {', '.join(lacking)}")
    model = Path(tempfile.gettempdir()) / f"yolopace-tests-{os.getuid()}" / "small.yaml"
    model.parent.mkdir(exist_ok=True)
    model.write_text(NETWORK)
    return tiny("predict", **{"batch": 2, "model": str(model), **axes}, further=(("format", name),))


@pytest.fixture(scope="module")
def measured(forking, tmp_path_factory):
    """Measures a case once for all tests of this file."""
    known = {}

    def record(name, **axes):
        key = name, *axes.items()
        if key not in known:
            known[key] = run_one(forking, tmp_path_factory.mktemp("results"), case(name, **axes))
        return known[key]

    return record


@pytest.mark.parametrize("name", FORMATS)
def test_an_exported_model_is_measured_as_asked_and_agrees_with_its_original(measured, name):
    record = measured(name)
    assert record.outcome.status.value == "measured", record.outcome.reason
    effective = record.effective
    assert (effective["format"], effective["amp"], effective["device"]) == (name, "off", "cpu")
    assert (effective["batch"], effective["imgsz"], effective["threads"]) == (2, 64, 1)
    assert effective["nms"] == "torchvision" and effective["end2end"] is False
    parity = record.extra["parity"]
    assert 0 < parity["relative_l2"] <= parity["limit"] <= 1e-4
    assert parity["box_p99_px"] <= 0.02
    assert record.extra["detections_per_image"] > 0, "else scores that agree say little"
    assert list(record.phases) == ["preprocess", "forward", "postprocess"]
    assert record.extra["load_seconds"] > 0 and record.extra["first_call_seconds"] > 0


@pytest.mark.parametrize("name", FORMATS)
def test_the_record_says_what_the_export_is(measured, cache, name):
    export = measured(name).extra["export"]
    assert export["format"] == name and export["seconds"] > 0 and export["bytes"] > 10**5
    assert export["arguments"] == {"imgsz": 64, "batch": 2}
    assert set(export["packages"]) >= {"torch", "ultralytics"}
    left = {path.name for folder in (cache / "exports").iterdir() for path in folder.iterdir()}
    assert left <= {"made.json", "reference.npz", "model.torchscript", "model.onnx", "model_openvino_model"}


def test_a_second_run_exports_nothing(measured, forking, tmp_path):
    first = measured("torchscript").extra["export"]
    second = run_one(forking, tmp_path, case("torchscript")).extra["export"]
    assert second == {**first, "made": False}


def test_onnx_in_float16_computes_in_float32_on_a_cpu(measured):
    record = measured("onnx", amp="on")
    assert record.outcome.status.value == "substituted"
    assert record.outcome.reason.startswith("amp on requested, amp off would run: ONNX Runtime computes so here (of ")
    assert record.outcome.scope == ("mode", "device", "amp", "format")


def test_openvino_in_float16_computes_in_float32_on_a_cpu(measured):
    record = measured("openvino", amp="on")
    assert record.outcome.status.value == "substituted", record.effective["runtime"]
    assert record.outcome.reason.startswith("amp on requested, amp off would run: OpenVINO computes so here (of ")


def test_bfloat16_of_openvino_is_a_precision_of_its_own(measured):
    record = measured("openvino", amp="bf16")
    if record.outcome.status.value == "unsupported":
        assert record.outcome.reason.startswith("amp bf16 requested: OpenVINO offers ")
        return
    assert record.outcome.status.value == "measured", record.outcome.reason
    assert set(record.effective["runtime"]["types"]) == {"bf16"}
    assert record.extra["parity"]["relative_l2"] > 1e-5 and record.extra["parity"]["limit"] is None


@pytest.mark.parametrize(
    ("axes", "sentence"),
    [
        ({"batch": 4}, "batch 4 requested, batch 2 in 2 calls would run: ONNX Runtime runs the images"),
        ({"batch": 1}, "batch 1 requested, batch 2 would run: ONNX Runtime runs the images"),
        ({"imgsz": 96}, "imgsz 96 requested, imgsz 64 would run"),
    ],
)
def test_a_static_export_of_another_case_is_substituted(forking, tmp_path, monkeypatch, axes, sentence):
    """Ultralytics splits and pads batches, and takes the size of the export, without a word."""
    planned, other = case("onnx"), case("onnx", **axes)
    data = measure.look_for_data(forking, planned)
    export = measure.with_export(forking, planned, data)["export"]
    monkeypatch.setattr(run, "with_export", lambda launcher, planned, data: {**data, "export": export})
    record = run_one(forking, tmp_path, other)
    assert record.outcome.status.value == "substituted", record.outcome.reason
    assert record.outcome.reason.startswith(sentence)


def test_ncnn_computes_single_images_in_float32(forking, tmp_path):
    record = run_one(forking, tmp_path, case("ncnn", batch=1))
    assert record.outcome.status.value == "measured", record.outcome.reason
    assert (record.effective["amp"], record.effective["provider"], record.effective["threads"]) == ("off", "CPU", 1)
    assert record.extra["parity"]["relative_l2"] <= record.extra["parity"]["limit"]
    assert list(record.phases) == ["preprocess", "forward", "postprocess"]


def test_threads_of_a_runtime_are_those_that_were_asked_for(forking, tmp_path):
    record = run_one(forking, tmp_path, case("openvino", threads=2))
    assert record.outcome.status.value == "measured", record.outcome.reason
    assert record.effective["threads"] == 2


def test_a_killed_export_leaves_nothing(forking, tmp_path, cache, monkeypatch):
    planned = case("torchscript", imgsz=32)
    data = measure.look_for_data(forking, planned)
    before = sorted((cache / "exports").iterdir()) if (cache / "exports").exists() else []
    start = forking.start

    def killed(job):
        worker = start(job)
        os.kill(worker.pid, signal.SIGKILL)
        return worker

    with monkeypatch.context() as patch:
        patch.setattr(forking, "start", killed)
        with pytest.raises(measure.DatasetUnavailable) as caught:
            measure.with_export(forking, planned, data)
    assert caught.value.outcome.status.value == "failed"
    assert caught.value.outcome.reason.startswith("No export: ")
    assert sorted((cache / "exports").iterdir()) == before and not list((cache / "scratch").iterdir())
