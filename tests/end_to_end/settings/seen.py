"""What the tests of this folder say about a live trainer or predictor."""

from __future__ import annotations

from typing import Any

import pytest

from bench.cases.recipe import overrides_for
from bench.worker import effective_settings
from bench.worker.devices import Device
from bench.worker.devices.cpu import Cpu
from bench.worker.rejection import CaseRejected
from bench.worker.workloads.ultralytics import read_settings
from tests.end_to_end.settings.conftest import CASE, PREDICTION


def training(trainer: Any, device: Device | None = None) -> dict[str, Any]:
    """All settings of a trainer and its process."""
    return {**read_settings.read_trainer(trainer, device or Cpu()), **effective_settings.torch_settings()}


def prediction(predictor: Any, images: int = 8) -> dict[str, Any]:
    """All settings of a predictor and its process."""
    return {**read_settings.read_predictor(predictor, images, Cpu()), **effective_settings.torch_settings()}


def refused(runs: dict[str, Any], overrides: dict[str, Any] | None = None, **asked: Any) -> str:
    """Why a case is refused that asked for ``asked`` and the recipe's overrides, or for ``overrides``."""
    case = PREDICTION if "nms" in runs else CASE
    with pytest.raises(CaseRejected) as caught:
        effective_settings.compare(
            {**case, **asked}, overrides_for(case["mode"]) if overrides is None else overrides, runs
        )
    assert caught.value.status == "substituted"
    return caught.value.reason


def accepted(runs: dict[str, Any], overrides: dict[str, Any] | None = None, **asked: Any) -> None:
    """A case that asked for ``asked`` is not refused."""
    case = PREDICTION if "nms" in runs else CASE
    effective_settings.compare({**case, **asked}, overrides_for(case["mode"]) if overrides is None else overrides, runs)
