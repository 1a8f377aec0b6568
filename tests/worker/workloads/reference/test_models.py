"""The table of reference models, against the models that torch builds."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from bench.worker.workloads import base
from bench.worker.workloads.reference.loop import architecture_of, build
from bench.worker.workloads.reference.models import MODELS, why_no_size

SETUPS = [(name, size) for name, model in MODELS.items() for size in model.setups]


@pytest.mark.parametrize(("name", "size"), SETUPS)
def test_a_model_has_the_parameters_of_the_table(name: str, size: int) -> None:
    with torch.device("meta"):
        model = build(name, size, MODELS[name].setups[size])
    assert sum(p.numel() for p in model.parameters()) == MODELS[name].setups[size].parameters
    assert architecture_of(model) == MODELS[name].architecture


@pytest.mark.parametrize(("name", "size"), [setup for setup in SETUPS if setup[0] != "lstm256"])
def test_a_model_has_the_operations_of_the_table(name: str, size: int) -> None:
    with torch.device("meta"):
        model = build(name, size, MODELS[name].setups[size])
        model.eval()
        counter: Any = FlopCounterMode(display=False)
        with counter:
            model(torch.empty(1, 3, size, size))
    assert counter.get_total_flops() / 1e9 == pytest.approx(MODELS[name].setups[size].gflops, rel=2e-3)


def test_the_operations_of_an_lstm_follow_from_its_sizes() -> None:
    gflops = 2 * 4 * 256 * (28 + 256) * 28 / 1e9
    assert gflops == pytest.approx(MODELS["lstm256"].setups[28].gflops, rel=2e-3)


def test_an_unknown_size_is_refused_in_one_sentence() -> None:
    assert why_no_size("resnet18", 64) == "imgsz 64 requested: resnet18 runs at 32 or 224 px."
    assert why_no_size("lstm256", 30) == "imgsz 30 requested: lstm256 runs at 28 steps."
    assert not why_no_size("resnet18", 224)


def test_a_name_of_a_reference_model_needs_no_family() -> None:
    assert {base.family_of(name).name for name in MODELS} == {"torch"}
    assert base.canonical_model("torch:resnet18") == "resnet18"
    assert base.family_of("ultralytics:resnet18").name == "ultralytics"


def test_a_model_that_the_family_does_not_have() -> None:
    why = base.workloads()["torch"].why_unknown("resnet19", {}, "")
    assert why == "model 'resnet19' is no reference model: use resnet18, vit_b_16, vit-tiny-4, lstm256."


@pytest.mark.parametrize(("name", "size"), SETUPS)
def test_units_and_work_follow_from_the_table(name: str, size: int) -> None:
    family, setup = base.family_of(name), MODELS[name].setups[size]
    assert family.units(name, size)["epoch_items"] == setup.epoch_items
    case = {"mode": "train", "model": name, "batch": 2, "imgsz": size}
    assert family.work(case) == pytest.approx(2 * setup.gflops * 47_000)


def test_a_record_from_elsewhere_may_name_a_model_that_is_unknown_here() -> None:
    assert base.family_of("torch:later1").units("later1", 32)["unit"] == "image"
