"""What the tests of this folder say about a live trainer or predictor."""

from __future__ import annotations

from typing import Any

import pytest

from bench.cases.recipe import pins_for
from bench.worker import effective
from bench.worker.devices import Device
from bench.worker.devices.cpu import Cpu
from bench.worker.refusal import Refused
from bench.worker.workloads import read_back
from tests.effective.conftest import CASE, PREDICTION


def training(trainer: Any, device: Device | None = None) -> dict[str, Any]:
    """All settings of a trainer and its process."""
    return {**read_back.of_trainer(trainer, device or Cpu()), **effective.torch_settings()}


def prediction(predictor: Any, images: int = 8) -> dict[str, Any]:
    """All settings of a predictor and its process."""
    return {**read_back.of_predictor(predictor, images, Cpu()), **effective.torch_settings()}


def refused(runs: dict[str, Any], pins: dict[str, Any] | None = None, **asked: Any) -> str:
    """Why a case is refused that asked for ``asked`` and the recipe's pins, or for ``pins`` in their place."""
    case = PREDICTION if "nms" in runs else CASE
    with pytest.raises(Refused) as caught:
        effective.compare({**case, **asked}, pins_for(case["mode"]) if pins is None else pins, runs)
    assert caught.value.status == "substituted"
    return caught.value.reason


def accepted(runs: dict[str, Any], pins: dict[str, Any] | None = None, **asked: Any) -> None:
    """A case that asked for ``asked`` is not refused."""
    case = PREDICTION if "nms" in runs else CASE
    effective.compare({**case, **asked}, pins_for(case["mode"]) if pins is None else pins, runs)
