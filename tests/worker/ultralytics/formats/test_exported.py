"""What an exported model runs in a predictor: true batch and size, threads, suppression, head."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from bench.worker import effective_settings
from bench.worker.devices.cpu import Cpu
from bench.worker.protocol import RequestedAxis
from bench.worker.rejection import CaseRejected
from bench.worker.workloads import workloads
from bench.worker.workloads.ultralytics.formats import base, exported, find
from bench.worker.workloads.ultralytics.formats.exported import ExportedModel
from tests.jobs import case_job

ORIGINAL = {"task": "detect", "head": "Detect", "classes": 80, "channels": 3, "end2end": False, "gflops": 1.0}
EXPORT = {"file": "model.onnx", "folder": "/nowhere", "model": ORIGINAL, "format": "onnx"}


class Backend:
    """Ultralytics' backend of a model, which keeps nothing of what it is called with."""

    def forward(self, images: Any) -> Any:
        return images


def model_of(reading: base.Reading, monkeypatch: pytest.MonkeyPatch, name: str = "onnx", **axes: Any) -> Any:
    """An exported model of a case whose runtime says ``reading``, and the predictor that runs it."""
    case = {"mode": "predict", "batch": 8, "imgsz": 160, "further": [["format", name]], **axes}
    session = SimpleNamespace(
        job=case_job(case, export=EXPORT),
        device=Cpu(),
        threads=2,
        workload=workloads()["ultralytics"],
        scratch="/nowhere",
    )
    session.case = session.job.case
    monkeypatch.setattr(exported, "check", lambda *arguments, **named: None)
    model = ExportedModel(session)  # type: ignore[arg-type]
    monkeypatch.setattr(type(find(name)), "read_back", lambda self, backend, facts: reading)
    model._facts = {"amp": session.case["amp"]}
    arguments = {"rect": False, "conf": 0.25}
    predictor = SimpleNamespace(
        model=SimpleNamespace(backend=Backend(), nhwc=False, metadata={"args": {}}, end2end=False, format=name),
        args=SimpleNamespace(**arguments),
        done_warmup=True,
        callbacks={},
    )
    return model, predictor


def images(number: int, height: int = 160, width: int = 160) -> Any:
    return SimpleNamespace(shape=(number, 3, height, width))


def refusal(model: Any, predictor: Any, *called: Any) -> CaseRejected | None:
    """How the case ends after a call of the predictor in which the backend is called with some images."""
    model.observe(predictor, lambda: [predictor.model.backend.forward(batch) for batch in called])
    case = model.session.case
    text = dict(case["further"])["format"]
    asked = [RequestedAxis("format", text, [], "format", text)]
    runs = {**model.settings(predictor), "weights": "random", "architecture": "of Ultralytics"}
    try:
        effective_settings.compare(
            workloads()["ultralytics"], case, model.required(), runs, asked, model.hints(predictor)
        )
    except CaseRejected as refused:
        return refused
    return None


RIGHT = base.Reading("off", "cpu", 2, "CPUExecutionProvider")


def test_a_case_that_runs_as_asked_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    model, predictor = model_of(RIGHT, monkeypatch)
    assert refusal(model, predictor, images(8)) is None
    assert "forward" not in vars(predictor.model.backend), "nothing is wrapped while the clock runs"


@pytest.mark.parametrize(
    ("reading", "axes", "called", "sentence"),
    [
        (RIGHT, {}, [images(1)] * 8, "batch 8 requested, batch 1 in 8 calls would run: ONNX Runtime runs the images"),
        (RIGHT, {"batch": 1}, [images(8)], "batch 1 requested, batch 8 would run: ONNX Runtime runs the images"),
        (RIGHT, {"imgsz": 320}, [images(8)], "imgsz 320 requested, imgsz 160 would run"),
        (RIGHT, {}, [images(8, 128)], "imgsz 160 requested, imgsz 128x160 would run"),
        (
            base.Reading("bf16", "cpu", 2, "CPU", "of 64 convolutions and matrix products, 64 in bf16"),
            {},
            [images(8)],
            "amp off requested, amp bf16 would run: ONNX Runtime computes so here (of 64 convolutions and matrix "
            "products, 64 in bf16).",
        ),
        (base.Reading("off", "cpu", 2, "CPU"), {"amp": "on"}, [images(8)], "amp on requested, amp off would run"),
        (base.Reading("off", "GPU", 2, "GPU"), {}, [images(8)], "device cpu requested, device GPU would run"),
        (base.Reading("off", "cpu", 1, "CPU"), {}, [images(8)], "threads 2 requested, threads 1 would run"),
    ],
)
def test_what_runs_otherwise_is_substituted(
    monkeypatch: pytest.MonkeyPatch, reading: base.Reading, axes: dict[str, Any], called: list[Any], sentence: str
) -> None:
    refused = refusal(*model_of(reading, monkeypatch, **axes), *called)
    assert refused is not None and refused.status == "substituted"
    assert refused.reason.startswith(sentence)


def test_a_runtime_of_single_images_has_no_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """NCNN loops over the images of a batch within its backend."""
    refused = refusal(*model_of(RIGHT, monkeypatch, "ncnn"), images(8))
    assert refused is not None and refused.reason.startswith("batch 8 requested, batch 1 would run: NCNN runs")
    assert refusal(*model_of(RIGHT, monkeypatch, "ncnn", batch=1), images(1)) is None


def test_another_format_is_substituted(monkeypatch: pytest.MonkeyPatch) -> None:
    model, predictor = model_of(RIGHT, monkeypatch)
    predictor.model.format = "torchscript"
    refused = refusal(model, predictor, images(8))
    assert refused is not None and refused.reason == "format onnx requested, format torchscript would run."


def test_suppression_inside_the_export_is_substituted(monkeypatch: pytest.MonkeyPatch) -> None:
    model, predictor = model_of(RIGHT, monkeypatch)
    predictor.model.metadata = {"args": {"nms": True}}
    refused = refusal(model, predictor, images(8))
    assert refused is not None and "nms embedded would run" in refused.reason


def test_another_head_is_substituted(monkeypatch: pytest.MonkeyPatch) -> None:
    model, predictor = model_of(RIGHT, monkeypatch)
    predictor.model.end2end = True
    refused = refusal(model, predictor, images(8))
    assert refused is not None and "end2end False requested, end2end True would run" in refused.reason


def test_channels_may_come_last(monkeypatch: pytest.MonkeyPatch) -> None:
    model, predictor = model_of(RIGHT, monkeypatch)
    predictor.model.nhwc = True
    assert refusal(model, predictor, SimpleNamespace(shape=(8, 160, 160, 3))) is None


def test_threads_that_a_runtime_does_not_say_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exported, "busy_threads", lambda call: call() and 1)
    model, predictor = model_of(base.Reading("off", "cpu", None, "CPU"), monkeypatch)
    refused = refusal(model, predictor, images(8))
    assert refused is not None and refused.reason.startswith("threads 2 requested, threads 1 would run")


def test_arguments_of_the_predictor(monkeypatch: pytest.MonkeyPatch) -> None:
    assert model_of(RIGHT, monkeypatch)[0].arguments == {"model": "model.onnx", "compile": False}
    assert model_of(RIGHT, monkeypatch, amp="on")[0].arguments["quantize"] == 16
    assert "quantize" not in model_of(RIGHT, monkeypatch, amp="int8")[0].arguments


@pytest.mark.parametrize(
    ("requested", "status"),
    [
        (RequestedAxis("compile", "on", ["compile"], "compile_mode", "default"), "substituted"),
        (RequestedAxis("channels_last", "on", ["channels_last"], "channels_last", True), "unsupported"),
    ],
    ids=lambda value: getattr(value, "axis", value),
)
def test_axes_of_torch_do_not_fit_an_export(
    monkeypatch: pytest.MonkeyPatch, requested: RequestedAxis, status: str
) -> None:
    model, predictor = model_of(RIGHT, monkeypatch)
    model.observe(predictor, lambda: predictor.model.backend.forward(images(8)))
    runs = {**model.settings(predictor), "weights": "random", "architecture": "of Ultralytics"}
    with pytest.raises(CaseRejected) as caught:
        effective_settings.compare(
            workloads()["ultralytics"], model.session.case, model.required(), runs, [requested], model.hints(predictor)
        )
    assert caught.value.status == status
