"""The axis of formats: where it stands in a case, and what it changes in a plan."""

from __future__ import annotations

from typing import Any

import pytest

from bench.cases import Case
from bench.cases.axes import NOT_ASKED, find_axis, parse_options, value_text
from bench.cases.case import parse_case
from bench.cases.plan import PlannedRun, expand_grid, profile
from bench.errors import UsageError

VALUES: dict[str, list[Any]] = {"mode": ["predict"], "model": ["yolov8n"], "amp": ["off"], "batch": [1], "imgsz": [160]}


def planned(**values: list[Any]) -> list[PlannedRun]:
    return expand_grid(profile("smoke"), ["cpu"], {**VALUES, **values})


def test_a_case_of_the_original_has_the_id_that_it_always_had() -> None:
    first, second = planned(format=["pt", "onnx"])
    assert first.case.id == "predict-yolov8n-cpu-fp32-b1-i160"
    assert second.case.id == "predict-yolov8n-cpu-fp32-b1-i160-formatonnx"
    assert first.case == planned()[0].case and first.case.further == ()
    assert parse_case(second.case.id) == second.case
    assert parse_case(f"{first.case.id}-formatpt") == first.case


def test_tables_say_pt_where_a_case_has_no_format() -> None:
    assert planned()[0].case.value("format") == NOT_ASKED
    assert value_text("format", NOT_ASKED) == "pt"
    assert value_text("workers", NOT_ASKED) == "default"


def test_formats_are_of_prediction_alone() -> None:
    with pytest.raises(UsageError, match="axis 'format' is not taken by training: use --mode predict"):
        expand_grid(profile("smoke"), ["cpu"], {"format": ["onnx"]})


def test_an_unknown_format_is_no_guess() -> None:
    with pytest.raises(UsageError, match="format 'onx' is unknown: use pt, torchscript, onnx, openvino, "):
        parse_options({"format": "onx"})


def test_int8_is_a_precision_with_its_own_id() -> None:
    [plan] = planned(format=["openvino"], amp=["int8"])
    assert plan.case.id == "predict-yolov8n-cpu-int8-b1-i160-formatopenvino"
    assert parse_case(plan.case.id) == plan.case


def test_formats_are_compared_on_one_set_of_weights() -> None:
    assert [plan.recipe.seeded for plan in planned(format=["pt", "onnx"])] == [True, True]
    assert not planned()[0].recipe.seeded
    assert not planned(format=["pt"], model=["/models/best.pt"])[0].recipe.seeded, "it has weights"


def test_recipes_from_before_formats_keep_their_fingerprints() -> None:
    usual, seeded = planned()[0].recipe, planned(format=["pt"])[0].recipe
    assert usual.fingerprint != seeded.fingerprint


def test_an_export_takes_time_before_the_first_case() -> None:
    axis = find_axis("format")
    assert axis.prepare_seconds("engine") > axis.prepare_seconds("onnx") > 0
    values = {name: options[0] for name, options in VALUES.items()}
    assert Case.of({**values, "device": "cpu", "format": "pt"}).asked == []
