"""Real Ultralytics on the CPU against itself, and against a device that computes something else."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest

from bench.cases.recipe import overrides_for
from bench.worker.devices.cpu import Cpu
from bench.worker.rejection import CaseRejected
from bench.worker.workloads import cpu_parity
from bench.worker.workloads.ultralytics import first_losses, made_data

ITEMS = ("box_loss", "cls_loss", "dfl_loss")


@pytest.fixture(scope="module")
def trainer(ultralytics: None, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A trainer whose set-up is over, on four images of 64 px."""
    from ultralytics.models.yolo.detect import DetectionTrainer

    folder = tmp_path_factory.mktemp("agreement")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(made_data, "POOL_IMAGES", 4)
        made = made_data.provide({"root": str(folder), "images": 4, "seed": 0})
    case = {"model": "yolov8n.yaml", "data": made["yaml"], "device": "cpu", "batch": 2, "imgsz": 64, "amp": False}
    places = {"task": "detect", "mode": "train", "project": str(folder), "name": "train"}
    trainer = DetectionTrainer(overrides={**overrides_for("train"), **case, **places})
    trainer._setup_train()
    return trainer


@pytest.fixture
def broken(trainer: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What is done to the losses and to what gradients come from, on the device's side alone."""
    import torch

    wrong = SimpleNamespace(items=1.0, loss=1.0, weights=1.0)
    kind = type(trainer.model)
    to, computes = kind.to, kind.loss

    def move(module: Any, device: Any) -> Any:
        moved = to(module, device)
        if isinstance(device, torch.device):  # that of the trainer; the CPU's side is asked for by its name
            moved.wrong = wrong
            with torch.no_grad():
                next(moved.parameters()).mul_(wrong.weights)
        return moved

    def loss(model: Any, *arguments: Any) -> Any:
        whole, items = computes(model, *arguments)
        if not hasattr(model, "wrong"):
            return whole, items
        if isinstance(items, dict):
            return whole * wrong.loss, {name: item * wrong.items for name, item in items.items()}
        return whole * wrong.loss, items * wrong.items

    monkeypatch.setattr(kind, "to", move)
    monkeypatch.setattr(kind, "loss", loss)
    return wrong


def test_the_cpu_agrees_with_itself_to_the_last_digit(trainer: Any) -> None:
    checks: dict[str, Any] = {"other": 1}
    first_losses.check(trainer, Cpu(), checks)
    here, there = checks["cpu_agreement"]["device"], checks["cpu_agreement"]["cpu"]
    assert here == there
    assert set(here) == {*ITEMS, "gradient_norm"}
    assert all(math.isfinite(value) and value > 0 for value in here.values())
    assert checks["other"] == 1


def test_the_trainers_own_model_is_untouched(trainer: Any) -> None:
    import torch

    criterion = getattr(trainer.model, "criterion", None)
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    mode = trainer.model.training
    first_losses.check(trainer, Cpu(), {})
    after = trainer.model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(parameter.grad is None for parameter in trainer.model.parameters())
    assert getattr(trainer.model, "criterion", None) is criterion
    assert trainer.model.training is mode


@pytest.mark.parametrize(
    ("factor", "sentence"), [(1.05, ""), (0.0, "is 0 "), (math.nan, "is nan "), (math.inf, "is inf ")]
)
def test_losses_that_are_off_are_refused_with_both_numbers(
    trainer: Any, broken: Any, factor: float, sentence: str
) -> None:
    broken.items = factor
    checks: dict[str, Any] = {}
    with pytest.raises(CaseRejected) as refused:
        first_losses.check(trainer, Cpu(), checks)
    assert refused.value.status == "invalid"
    reason = refused.value.reason
    assert reason.startswith("Training on cpu computes something else than on the CPU: ")
    here, there = checks["cpu_agreement"]["device"], checks["cpu_agreement"]["cpu"]
    for name in ITEMS:
        assert f"{name} is {here[name]:.5g} and on the CPU {there[name]:.5g}" in reason
        assert sentence in reason
    assert "gradient_norm" not in reason


@pytest.mark.parametrize("factor", [1.3, 0.0, math.nan])
def test_gradients_that_are_off_are_refused_though_the_losses_agree(trainer: Any, broken: Any, factor: float) -> None:
    broken.loss = factor
    with pytest.raises(CaseRejected, match=r"gradient_norm is .* and on the CPU ") as refused:
        first_losses.check(trainer, Cpu(), {})
    assert not any(name in refused.value.reason for name in ITEMS)


@pytest.mark.parametrize("factor", [0.0, math.nan])
def test_weights_that_are_lost_on_the_way_are_seen(trainer: Any, broken: Any, factor: float) -> None:
    broken.weights = factor
    with pytest.raises(CaseRejected, match="computes something else"):
        first_losses.check(trainer, Cpu(), {})


def test_a_difference_in_the_third_digit_is_none(trainer: Any, broken: Any) -> None:
    broken.items, broken.loss = 1.005, 1.005
    checks: dict[str, Any] = {}
    first_losses.check(trainer, Cpu(), checks)
    assert checks["cpu_agreement"]["device"] != checks["cpu_agreement"]["cpu"]


@pytest.mark.parametrize(
    ("here", "there", "agrees"),
    [
        (1.0, 1.0, True),
        (1.019, 1.0, True),
        (1.03, 1.0, False),
        (0.0, 0.0, True),
        (0.0, 1.0, False),
        (1.0, 0.0, False),
        (math.nan, 1.0, False),
        (1.0, math.nan, False),
        (math.nan, math.nan, False),
        (math.inf, math.inf, False),
    ],
)
def test_close(here: float, there: float, agrees: bool) -> None:
    assert cpu_parity.close(here, there, 0.02) is agrees


def test_both_sides_see_two_images(trainer: Any) -> None:
    batch = first_losses.first_batch(trainer)
    assert tuple(batch["img"].shape) == (first_losses.IMAGES, 3, 64, 64)
