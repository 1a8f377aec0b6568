"""What older versions of Ultralytics cannot train is unsupported, by the sentence of the axis that was asked for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from bench.worker.rejection import CaseRejected
from bench.worker.workloads.ultralytics import train

LACKING = [
    (
        NotImplementedError("Optimizer 'None' not found in list of available optimizers {'SGD'}."),
        {"optimizer": "MuSGD"},
        "optimizer MuSGD requested: this Ultralytics has no such optimizer.",
        ("mode", "optimizer"),
    ),
    (
        TypeError("DetectionModel does not support len()"),
        {"compile": True},
        "compile requested: this Ultralytics cannot train a model that this torch compiled: DetectionModel does not",
        ("mode", "compile"),
    ),
    (
        TypeError("'multi_scale=0.5' is of invalid type float. 'multi_scale' must be a bool."),
        {"multi_scale": 0.5},
        "multi_scale requested: this Ultralytics takes no share of the image size (it came with 8.4.0).",
        ("mode", "multi_scale"),
    ),
    (
        TypeError("Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64."),
        {"amp": "forced-fp16"},
        "amp forced-fp16 requested: this torch cannot unscale gradients here: Cannot convert a MPS Tensor to float64",
        ("mode", "device", "amp"),
    ),
]


def run(monkeypatch: pytest.MonkeyPatch, error: Exception, arguments: dict[str, Any]) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(train, "find_model", lambda *_: SimpleNamespace(task=None, may_be_zero=()))
    monkeypatch.setattr(train, "arguments_of", lambda *_: arguments)
    monkeypatch.setattr(train, "train", fail)
    session: Any = SimpleNamespace(
        case={"amp": "off", "model": "yolov8n", **arguments}, asked=[], data={}, overrides=arguments
    )
    train.run(session)


@pytest.mark.parametrize(("error", "arguments", "reason", "axes"), LACKING)
def test_it_is_unsupported(
    monkeypatch: pytest.MonkeyPatch, error: Exception, arguments: dict[str, Any], reason: str, axes: tuple[str, ...]
) -> None:
    with pytest.raises(CaseRejected) as caught:
        run(monkeypatch, error, arguments)
    assert (caught.value.status, caught.value.scope) == ("unsupported", axes)
    assert caught.value.reason.startswith(reason)


@pytest.mark.parametrize("error", [NotImplementedError("Something else."), TypeError("does not support len()")])
def test_another_error_stays_what_it_is(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    with pytest.raises(type(error)):
        run(monkeypatch, error, {"optimizer": "SGD"})


def test_nothing_trains_in_int8() -> None:
    with pytest.raises(CaseRejected) as caught:
        train.run(SimpleNamespace(case={"amp": "int8"}))  # type: ignore[arg-type]
    assert (caught.value.status, caught.value.scope) == ("unsupported", ("mode", "amp"))
