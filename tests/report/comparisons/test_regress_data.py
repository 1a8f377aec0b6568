from __future__ import annotations

import json
from typing import Any

import pytest

from bench.compare.findings import evaluate, exit_code
from bench.records.comparison import Comparison
from bench.report.comparisons.regress.context import context
from bench.report.comparisons.rendering import render_json
from bench.text import clean
from tests.builders import make_compared, make_comparison
from tests.report.comparisons.comparisons import HOSTILE, eventful, hostile


def read(comparison: Comparison) -> Any:
    return json.loads(render_json(context(evaluate(comparison), "")))


def test_the_keys_that_programs_rely_on() -> None:
    found = read(eventful())
    assert {
        "verdict",
        "ratio",
        "low",
        "high",
        "pairs",
        "margin",
        "memory_margin",
        "cases",
        "packages",
        "settings",
        "order_effect",
        "exit_code",
        "conclusion",
        "self_comparison",
    } <= set(found)
    assert (found["verdict"], found["exit_code"]) == ("slower", 1)
    assert found["low"] < found["ratio"] < found["high"]
    assert found["packages"] == [{"name": "torch", "base": "2.14.1", "head": "2.15.0"}]
    first = found["cases"][0]
    assert (first["id"], first["verdict"], first["alarm"]) == ("train-yolov8n-cpu-fp32-b4-i160", "slower", "slower")
    assert first["ratio"] == pytest.approx(1.0498, abs=1e-3) and first["pairs"] == 4
    assert (first["interim"]["pairs"], first["confirmation"]["pairs"]) == (4, 4)
    assert first["base"]["seconds_per_step"] == pytest.approx(0.25)
    assert first["parts"][0]["name"] == "backward"
    assert sum(part["share_of_change"] for part in first["parts"]) == pytest.approx(1.0)
    assert found["cases"][3]["memory"]["verdict"] == "more"
    assert found["cases"][4]["head"]["status"] == "out_of_memory"
    assert found["settings"][1].items() >= {"key": "mosaic", "base": 1.0, "head": 0.0, "cases": [first["id"]]}.items()


def test_what_is_not_known_is_null() -> None:
    found = read(make_comparison([make_compared(), make_compared([0.05], batch=4)]))
    none, one = found["cases"]
    assert none["verdict"] is none["ratio"] is none["memory"] is none["base"]["status"] is None
    assert one["ratio"] == pytest.approx(1.0513, abs=1e-4) and one["low"] is one["high"] is None
    assert read(make_comparison())["ratio"] is None


def test_every_comparison_is_strict_json_with_its_exit_code() -> None:
    for comparison in (eventful(), hostile(), make_comparison()):
        found = read(comparison)
        assert found["exit_code"] == exit_code(evaluate(comparison))
        assert [case["id"] for case in found["cases"]] == [one.case.id for one in comparison.cases]
    assert read(hostile())["margin_from"] == clean(HOSTILE), "but for control characters, text stays what it is"
