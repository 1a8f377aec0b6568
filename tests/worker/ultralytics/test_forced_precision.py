"""Forced precision on the CPU with real Ultralytics: what acts, what agrees, and what is refused."""

from __future__ import annotations

import math
import re
from types import SimpleNamespace
from typing import Any

import pytest

from bench.cases.recipe import overrides_for
from bench.worker.rejection import CaseRejected
from bench.worker.workloads.ultralytics import forced_precision, made_data
from bench.worker.workloads.ultralytics.forced_precision import ForcedPrecision


@pytest.fixture(scope="module")
def trainer(ultralytics: None, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A trainer whose set-up is over, on eight images of 64 px."""
    from ultralytics.models.yolo.detect import DetectionTrainer

    folder = tmp_path_factory.mktemp("forced")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(made_data, "POOL_IMAGES", 8)
        made = made_data.provide({"root": str(folder), "images": 8, "seed": 0})
    case = {"model": "yolov8n.yaml", "data": made["yaml"], "device": "cpu", "batch": 2, "imgsz": 64, "amp": False}
    places = {"task": "detect", "mode": "train", "project": str(folder), "name": "train"}
    trainer = DetectionTrainer(overrides={**overrides_for("train"), **case, **places})
    trainer._setup_train()
    return trainer


def session(amp: str = "forced-bf16", kind: str = "cpu", size: int = 1, **overrides: Any) -> Any:
    return SimpleNamespace(
        case={"amp": amp},
        device=SimpleNamespace(kind=kind),
        process_group=SimpleNamespace(size=size),
        overrides=overrides,
    )


@pytest.mark.parametrize("amp", forced_precision.DTYPES)
def test_losses_and_gradients_agree_and_the_layers_say_what_ran(trainer: Any, amp: str) -> None:
    forced = ForcedPrecision(amp, "cpu")
    checks: dict[str, Any] = {}
    assert forced.effective == "off"
    forced_precision.check(forced, trainer, checks)
    assert forced.effective == amp and not forced.watches
    agreement = checks["forced_agreement"]
    assert agreement["layers"] == {forced.name: 63}
    assert agreement["forced"] != agreement["fp32"]
    assert 0.7 < agreement["gradient_ratio"] < 1.4
    assert not any(module._forward_hooks for module in trainer.model.modules())
    assert all(parameter.grad is None for parameter in trainer.model.parameters())


@pytest.mark.parametrize(
    ("items", "loss", "reason"),
    [
        (1.2, 1.0, "box_loss is "),
        (math.nan, 1.0, "box_loss is nan and in float32 "),
        (1.0, 4.0, "norms of gradients are [2-5]"),
        (1.0, 0.0, "norms of gradients are 0 times"),
        (1.0, math.nan, "norms of gradients are nan times"),
    ],
)
def test_what_does_not_agree_is_invalid_with_the_figures(
    trainer: Any, monkeypatch: pytest.MonkeyPatch, items: float, loss: float, reason: str
) -> None:
    import torch

    kind = type(trainer.model)
    computes = kind.loss

    def wrong(model: Any, *arguments: Any) -> Any:
        whole, parts = computes(model, *arguments)
        if not torch.is_autocast_enabled("cpu"):
            return whole, parts
        return whole * loss, {name: part * items for name, part in parts.items()}

    monkeypatch.setattr(kind, "loss", wrong)
    checks: dict[str, Any] = {}
    with pytest.raises(CaseRejected) as caught:
        forced_precision.check(ForcedPrecision("forced-bf16", "cpu"), trainer, checks)
    assert caught.value.status == "invalid"
    assert caught.value.reason.startswith("Training in bfloat16 does not agree with float32: ")
    assert re.search(reason, caught.value.reason)  # bfloat16 itself changes norms, by up to 1.4 times
    assert checks["forced_agreement"]


def test_autocast_that_does_nothing_is_invalid(trainer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    forced = ForcedPrecision("forced-bf16", "cpu")
    monkeypatch.setattr(forced, "autocast", lambda: torch.autocast("cpu", enabled=False))
    with pytest.raises(CaseRejected) as caught:
        forced_precision.check(forced, trainer, {})
    assert caught.value.status == "invalid"
    assert caught.value.reason == "amp forced-bf16 does not act: outputs of layers are 63 of float32."


def test_the_loops_own_autocast_counts_too(trainer: Any) -> None:
    forced = ForcedPrecision("forced-bf16", "cpu")
    forced.layers["bfloat16"] = 63
    with forced.autocast():
        forced.batch_prepared()
    assert (forced.within, forced.effective) == ("bfloat16", "forced-bf16")
    forced.batch_prepared()  # the loop has lost its autocast
    assert (forced.within, forced.effective) == ("float32", "off")


def test_ultralytics_own_autocast_is_back_after_training(ultralytics: None) -> None:
    import torch
    from ultralytics.engine import trainer as engine

    own = engine.autocast
    with forced_precision.in_the_loop(None):
        assert engine.autocast is own
    with forced_precision.in_the_loop(ForcedPrecision("forced-bf16", "cpu")), engine.autocast(False, device="cpu"):
        assert torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") is torch.bfloat16
    assert engine.autocast is own


def test_only_float16_scales_its_loss() -> None:
    assert ForcedPrecision("forced-fp16", "cpu").scaler().get_scale() == forced_precision.SCALE
    assert not ForcedPrecision("forced-bf16", "cpu").scaler().is_enabled()


def test_a_case_that_forces_nothing_has_none() -> None:
    assert forced_precision.of(session("on")) is None
    assert forced_precision.of(session()) is not None


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (session(kind="cuda"), "Ultralytics offers mixed precision on cuda itself; use amp on or bf16."),
        (session(size=2), "a forced precision is checked on one device; name one."),
        (session(compile=True), "it is read from hooks on layers, which a compiled model must not have."),
    ],
)
def test_what_is_not_forced_says_why(asked: Any, reason: str) -> None:
    with pytest.raises(CaseRejected) as caught:
        forced_precision.of(asked)
    assert caught.value.status == "unsupported"
    assert caught.value.reason == f"amp forced-bf16 requested: {reason}"


def test_a_torch_without_such_an_autocast_is_asked_by_a_product(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made up: an older torch refuses the dtype, or warns and stays in float32."""
    import contextlib
    import warnings

    def refuses(self: Any) -> Any:
        raise RuntimeError("User specified an unsupported autocast device_type 'cpu'")

    def warns(self: Any) -> Any:
        warnings.warn("In CPU autocast, but the target dtype is not supported. Disabling autocast.", stacklevel=1)
        return contextlib.nullcontext()

    for broken, message in ((refuses, "User specified an unsupported"), (warns, "In CPU autocast, but the target")):
        monkeypatch.setattr(ForcedPrecision, "autocast", broken)
        with pytest.raises(CaseRejected) as caught:
            forced_precision.of(session())
        assert caught.value.reason.startswith(
            f"amp forced-bf16 requested: this torch has no autocast to bfloat16 on cpu: {message}"
        )
