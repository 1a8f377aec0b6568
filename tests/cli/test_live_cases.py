"""The cases of a live comparison, and the packages that both environments need for them."""

from __future__ import annotations

import pytest

from bench.cli.live.cases import CaseChoice
from bench.environments.interpreter import Interpreter
from bench.errors import UsageError
from tests.builders import make_environment

MISSING = "ultralytics is not installed for /its/python: install ultralytics>=8.3.230 there."
RESNET18, YOLO = "train-resnet18-cpu-fp32-b8-i32", "train-yolov8n-cpu-fp32-b4-i64"


@pytest.fixture
def sides() -> list[Interpreter]:
    """An interpreter with torch alone, and one with everything."""
    alone = Interpreter("/its/python", make_environment(), lacking={"ultralytics": MISSING})
    return [alone, Interpreter("/other/python", make_environment())]


def chosen(*ids: str) -> CaseChoice:
    return CaseChoice.parse(list(ids), {}, "", 0)


def test_a_reference_model_needs_no_ultralytics_on_either_side(sides: list[Interpreter]) -> None:
    assert [plan.case.id for plan in chosen(RESNET18).planned(sides)] == [RESNET18]


@pytest.mark.parametrize("reverse", [False, True])
def test_a_side_that_can_run_none_of_the_cases_is_wrong_use(sides: list[Interpreter], reverse: bool) -> None:
    with pytest.raises(UsageError, match="ultralytics is not installed"):
        chosen(YOLO).planned(sides[::-1] if reverse else sides)


def test_cases_that_a_side_can_run_are_compared_beside_others(sides: list[Interpreter]) -> None:
    assert [plan.case.id for plan in chosen(YOLO, RESNET18).planned(sides)] == [YOLO, RESNET18]
