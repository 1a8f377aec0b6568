"""What runtimes of exported models share: refusals, precisions by layer, busy threads."""

from __future__ import annotations

import os
import threading
from typing import Any

import pytest

from bench.cases.ultralytics_axes import FORMATS
from bench.worker.rejection import CaseRejected
from bench.worker.workloads.ultralytics import formats
from bench.worker.workloads.ultralytics.formats import base

CASE = {"mode": "predict", "model": "yolov8n", "device": "cpu", "amp": "off", "batch": 1, "imgsz": 64}


def test_the_axis_has_every_runtime_and_the_original() -> None:
    assert ("pt", *formats.NAMES) == FORMATS


@pytest.mark.parametrize("name", formats.NAMES)
def test_every_runtime_describes_itself(name: str) -> None:
    runtime = formats.find(name)
    assert runtime.name == name and runtime.title and runtime.suffix
    assert set(runtime.precisions) <= set(base.QUANTIZE) and "off" in runtime.precisions
    assert runtime.kinds


def test_formats_that_never_ran_on_hardware_say_so() -> None:
    assert {name for name in formats.NAMES if not formats.find(name).on_hardware} == {"coreml", "engine"}


def test_the_format_of_a_case_is_the_original_without_the_axis() -> None:
    assert formats.format_of(CASE) == "pt"
    assert formats.format_of({**CASE, "further": [["compile", "on"], ["format", "onnx"]]}) == "onnx"


@pytest.fixture
def absent(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interpreter without any package of a runtime."""
    monkeypatch.setattr(base.importlib.util, "find_spec", lambda name: None)


@pytest.mark.usefixtures("absent")
def test_a_missing_package_comes_with_the_line_that_installs_it() -> None:
    sentence = formats.find("onnx").why_missing(making=True)
    assert sentence.startswith("format onnx needs packages that ") and "(onnx, onnxruntime, onnxslim)" in sentence
    assert "pip install 'onnx>=1.16,<2' 'onnxruntime>=1.20' 'onnxslim>=0.1.82', or the extra export of" in sentence
    assert "onnxslim" not in formats.find("onnx").why_missing(making=False)
    assert "nncf" in formats.find("openvino").why_missing(making=True, amp="int8")
    assert "nncf" not in formats.find("openvino").why_missing(making=True, amp="off")
    assert formats.find("torchscript").why_missing(making=True) == ""


def refusal(name: str, kind: str = "cpu", making: bool = True, **axes: Any) -> CaseRejected:
    with pytest.raises(CaseRejected) as caught:
        base.check(formats.find(name), {**CASE, **axes}, kind, making)
    return caught.value


@pytest.mark.usefixtures("ultralytics", "absent")
def test_packages_are_asked_for_last_and_settle_the_format_alone() -> None:
    refused = refusal("ncnn")
    assert (refused.status, refused.scope) == ("unsupported", ("mode", "format"))
    assert "pip install ncnn 'pnnx==20260526', or the extra ncnn" in refused.reason


@pytest.mark.usefixtures("ultralytics")
@pytest.mark.parametrize(
    ("name", "kind", "device"), [("openvino", "cuda", "0"), ("engine", "cpu", "cpu"), ("onnx", "cpu", "cpu+cpu")]
)
def test_a_device_without_the_runtime_is_unsupported(name: str, kind: str, device: str) -> None:
    refused = refusal(name, kind, device=device)
    assert refused.status == "unsupported"
    assert refused.reason.startswith(f"format {name} requested on {device}: ")
    assert refused.scope == ("mode", "device", "format")


@pytest.mark.usefixtures("ultralytics")
@pytest.mark.parametrize(
    ("name", "amp", "reason"),
    [
        ("onnx", "bf16", "amp bf16 requested: format onnx offers off, on, int8."),
        ("ncnn", "on", "amp on requested: format ncnn offers off."),
        ("torchscript", "on", "amp on requested: Ultralytics exports TorchScript in float16 on a GPU only."),
    ],
)
def test_a_precision_that_a_format_does_not_have_is_unsupported(name: str, amp: str, reason: str) -> None:
    refused = refusal(name, amp=amp)
    assert (refused.status, refused.reason, refused.scope) == ("unsupported", reason, base.SCOPE)


@pytest.mark.usefixtures("ultralytics")
def test_an_old_ultralytics_is_unsupported(monkeypatch: pytest.MonkeyPatch) -> None:
    from ultralytics.nn.autobackend import AutoBackend

    monkeypatch.setattr(AutoBackend, "_BACKEND_MAP", {})
    assert "measured with ultralytics>=8.4.150" in refusal("onnx").reason


@pytest.mark.parametrize(
    ("layers", "asked", "amp"),
    [
        ({"f32": 64}, "off", "off"),
        ({"f32": 64}, "on", "off"),  # fp16 on a CPU, as ONNX Runtime runs it
        ({"f32": 64}, "bf16", "off"),
        ({"bf16": 64}, "off", "bf16"),  # "fp32" of OpenVINO
        ({"f32": 63, "bf16": 1}, "off", "bf16"),
        ({"f32": 57, "i8": 7}, "int8", "off"),  # int8 of ONNX Runtime
        ({"f32": 4, "i8": 60}, "int8", "int8"),
        ({"i8": 40, "u8": 20, "f32": 4}, "int8", "int8"),
        ({"f32": 4, "i8": 60}, "off", "int8"),
        ({}, "off", "unknown"),
        ({"weird": 2}, "off", "weird"),
    ],
)
def test_the_precision_is_that_of_the_layers(layers: dict[str, int], asked: str, amp: str) -> None:
    assert base.precision_of(layers, asked)[0] == amp


def test_a_mixture_is_counted_in_words() -> None:
    _, why = base.precision_of({"f32": 57, "i8": 7}, "int8")
    assert why == "of 64 convolutions and matrix products, 57 in f32, 7 in i8"
    assert base.precision_of({"f32": 64}, "off")[1] == ""


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="Linux says which threads compute")
def test_busy_threads_are_those_that_compute() -> None:
    asleep = threading.Event()
    idle = threading.Thread(target=asleep.wait, daemon=True)
    idle.start()
    try:
        assert base.busy_threads(lambda: sum(range(20_000)), seconds=0.1) == 1
    finally:
        asleep.set()
        idle.join()


def test_busy_threads_are_unknown_without_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "_thread_ticks", lambda: None)
    assert base.busy_threads(lambda: None) is None
