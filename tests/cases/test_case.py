from __future__ import annotations

import itertools
import re

import pytest

from bench.cases import Case
from bench.cases.case import ID, parse_case
from bench.errors import UsageError
from tests.builders import make_case

MODELS = ["yolov8n", "yolo11n", "yolov8n.pt", "/a/best.pt", "/b/best.pt", "/c/my model (2).yaml"]


def every_case() -> list[Case]:
    return [
        Case(*values)
        for values in itertools.product(
            ["train", "predict"], MODELS, ["cpu", "mps", "0", "1", "0+1"], ["off", "on", "bf16"], [1, 16], [64, 640]
        )
    ]


@pytest.mark.parametrize(
    ("changes", "case_id"),
    [
        ({"batch": 4}, "train-yolov8n-cpu-fp32-b4-i160"),
        ({"mode": "predict", "device": "0+1", "amp": "on", "imgsz": 640}, "predict-yolov8n-0+1-amp-b16-i640"),
        ({"device": "mps", "amp": "bf16"}, "train-yolov8n-mps-bf16-b16-i160"),
        ({"model": "yolov8n.pt"}, "train-yolov8n.pt-cpu-fp32-b16-i160"),
    ],
)
def test_id(changes: dict[str, object], case_id: str) -> None:
    assert make_case(**changes).id == case_id


def test_ids_are_unique() -> None:
    cases = every_case()
    assert len({case.id for case in cases}) == len(cases) == 720


def test_ids_are_unique_on_a_file_system_that_ignores_case() -> None:
    cases = every_case()
    assert len({case.id.lower() for case in cases}) == len(cases)


def test_ids_are_fit_for_file_names() -> None:
    for case in every_case():
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]*", case.id), case.id


def test_a_file_shows_its_name_and_six_digits_of_its_path() -> None:
    here, there = make_case(model="/a/best.pt"), make_case(model="/b/best.pt")
    assert re.fullmatch(r"best\.pt_[0-9a-f]{6}", here.model_name)
    assert re.fullmatch(r"best\.pt_[0-9a-f]{6}", there.model_name)
    assert here.model_name != there.model_name


def test_the_name_of_a_file_is_stable() -> None:
    assert make_case(model="/a/best.pt").model_name == "best.pt_380350"


def test_cases_are_values() -> None:
    assert make_case() == make_case()
    assert len({make_case(), make_case(), make_case(batch=4)}) == 2
    with pytest.raises(AttributeError):
        make_case().batch = 4  # type: ignore[misc]


def test_an_id_is_read_back() -> None:
    cases = [case for case in every_case() if "/" not in case.model]
    assert [parse_case(case.id) for case in cases] == cases
    dashed = make_case(model="rtdetr-l", device="cpu+cpu")
    assert parse_case(f" {dashed.id} ") == dashed


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no id of a case"),
        ("yolov8n", "is no id of a case"),
        ("train-yolov8n-cpu-fp16-b4-i160", "is no id of a case"),
        ("train-yolov8n-cpu-fp32-b4-i160--p2", "is no id of a case"),
        ("tune-yolov8n-cpu-fp32-b4-i160", "mode 'tune' is unknown"),
        ("train-yolov8n-tpu-fp32-b4-i160", "device 'tpu' is unknown"),
        ("train-yolov8n-cpu-fp32-b0-i160", "batch '0' is not allowed"),
        ("train-best.pt_380350-cpu-fp32-b4-i160", "is of a model file"),
    ],
)
def test_what_is_no_id_says_so(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_case(text)


def test_a_mode_with_an_underscore_has_an_id_that_can_be_parsed():
    case = Case("fine_tune", "yolov8n_p2-x", "cpu", "off", 4, 160)
    assert ID.fullmatch(case.id).groups() == ("fine_tune", "yolov8n_p2-x", "cpu", "fp32", "4", "160", "")
