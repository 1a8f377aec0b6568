"""The registry of workloads: which family a model belongs to, and what it refuses."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from bench.cases.model_argument import parse_model
from bench.cases.plan import expand_grid, profile
from bench.environments.interpreter import Interpreter
from bench.errors import UsageError
from bench.pytest_plugin.options import check_model
from bench.worker.workloads import base
from tests.builders import make_environment


class Plain(base.Workload):
    name = "plain"
    modes = ("train",)
    data = "plain-data"
    further_axes = ("threads",)

    def claims(self, model: str) -> bool:
        return model in ("tiny", "yolov8n")


@pytest.fixture
def plain_workload() -> Iterator[base.Workload]:
    base.register(Plain())
    yield base.workloads()["plain"]
    base.unregister("plain")


def test_models_that_no_family_claims_are_left_to_the_first(plain_workload: base.Workload) -> None:
    assert base.family_of("tiny") is plain_workload
    assert base.family_of("yolo11n").name == base.family_of("some-net").name == "ultralytics"


def test_of_two_families_that_claim_a_name_the_last_has_it_unless_one_is_named(plain_workload: base.Workload) -> None:
    assert base.family_of("yolov8n") is plain_workload
    assert base.family_of("ultralytics:yolov8n").name == "ultralytics"
    assert parse_model("ultralytics:yolov8n") == "ultralytics:yolov8n"


def test_a_family_that_need_not_be_named_is_left_out_of_the_case(plain_workload: base.Workload) -> None:
    assert parse_model("plain:tiny") == "tiny"
    assert parse_model("ultralytics:yolo11n") == "yolo11n"


def test_an_unknown_family_is_one_sentence() -> None:
    families = ", ".join(base.workloads())
    with pytest.raises(
        UsageError, match=re.escape(f"model 'hf:bert-base': there is no workload 'hf': use {families}.")
    ):
        parse_model("hf:bert-base")
    assert base.family_of("hf:bert-base").name == "ultralytics", "a record of it can still be read"


def test_a_model_that_its_family_does_not_have(plain_workload: base.Workload) -> None:
    interpreter = Interpreter("python", make_environment())
    check_model("tiny", interpreter)
    with pytest.raises(UsageError, match="model 'huge' is unknown to the workload plain"):
        check_model("plain:huge", interpreter)


def test_a_name_that_cannot_stand_before_a_model_is_refused() -> None:
    class Odd(base.Workload):
        name = "Not a name"

    with pytest.raises(ValueError, match="use lower-case letters"):
        base.register(Odd())


def planned(values: dict[str, list[object]], data: str = "") -> list[str]:
    return [plan.case.id for plan in expand_grid(profile("smoke"), ["cpu"], {"amp": ["off"], **values}, data)]


def test_a_mode_that_a_family_lacks_is_no_case_of_the_profile(plain_workload: base.Workload) -> None:
    names = planned({"model": ["tiny", "yolo11n"]})
    assert [name for name in names if "tiny" in name] == ["train-tiny-cpu-fp32-b16-i64"]
    assert [name for name in names if name.startswith("predict")] == ["predict-yolo11n-cpu-fp32-b16-i64"]


def test_a_mode_that_was_asked_for_and_a_family_lacks_is_refused(plain_workload: base.Workload) -> None:
    with pytest.raises(
        UsageError, match=re.escape("mode 'predict' is not one of the workload plain: use --mode train.")
    ):
        planned({"model": ["tiny"], "mode": ["train", "predict"]})


def test_an_axis_that_a_family_does_not_take_is_refused_by_name(plain_workload: base.Workload) -> None:
    assert planned({"model": ["tiny"], "threads": [2]}) == ["train-tiny-cpu-fp32-b16-i64-threads2"]
    with pytest.raises(
        UsageError, match=re.escape("axis 'cache' is not taken by the workload plain: it takes threads.")
    ):
        planned({"model": ["tiny"], "cache": ["ram"]})


def test_a_family_without_data_of_users_refuses_them(plain_workload: base.Workload) -> None:
    with pytest.raises(UsageError, match="the workload plain runs on a dataset of its own: leave out --data"):
        planned({"model": ["tiny"]}, "/data/mine.yaml")


def test_recipes_have_the_data_and_overrides_of_their_family(plain_workload: base.Workload) -> None:
    plans = expand_grid(profile("smoke"), ["cpu"], {"model": ["tiny", "yolo11n"], "mode": ["train"], "amp": ["off"]})
    recipes = {plan.case.model: plan.recipe for plan in plans}
    assert (recipes["tiny"].data, recipes["yolo11n"].data) == ("plain-data", "coco-like")
    assert recipes["tiny"].fingerprint != recipes["yolo11n"].fingerprint
