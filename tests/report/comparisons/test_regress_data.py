from __future__ import annotations

import json
from typing import Any

import pytest

from bench.compare.findings import evaluate, exit_code
from bench.records.comparison import Comparison
from bench.report.comparisons.regress.context import context
from bench.report.comparisons.rendering import render_json
from bench.text import clean
from tests.builders import make_compared, make_comparison, make_side
from tests.report.comparisons.comparisons import HOSTILE, eventful, hostile


def read(comparison: Comparison) -> Any:
    return json.loads(render_json(context(evaluate(comparison), "")))


def test_the_keys_that_programs_rely_on() -> None:
    content = read(eventful())
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
    } <= set(content)
    assert (content["verdict"], content["exit_code"]) == ("slower", 1)
    assert content["low"] < content["ratio"] < content["high"]
    assert content["packages"] == [{"name": "torch", "base": "2.14.1", "head": "2.15.0"}]
    first = content["cases"][0]
    assert (first["id"], first["verdict"], first["alarm"]) == ("train-yolov8n-cpu-fp32-b4-i160", "slower", "slower")
    assert first["ratio"] == pytest.approx(1.0498, abs=1e-3) and first["pairs"] == 4
    assert (first["interim"]["pairs"], first["confirmation"]["pairs"]) == (4, 4)
    assert first["base"]["seconds_per_step"] == pytest.approx(0.25)
    assert first["parts"][0]["name"] == "backward"
    assert sum(part["share_of_change"] for part in first["parts"]) == pytest.approx(1.0)
    assert content["cases"][3]["memory"]["verdict"] == "more"
    assert content["cases"][4]["head"]["status"] == "out_of_memory"
    assert content["settings"][1].items() >= {"key": "mosaic", "base": 1.0, "head": 0.0, "cases": [first["id"]]}.items()


def test_what_is_not_known_is_null() -> None:
    content = read(make_comparison([make_compared(), make_compared([0.05], batch=4)]))
    none, single = content["cases"]
    assert none["verdict"] is none["ratio"] is none["memory"] is none["base"]["status"] is None
    assert single["ratio"] == pytest.approx(1.0513, abs=1e-4) and single["low"] is single["high"] is None
    assert read(make_comparison())["ratio"] is None


def test_every_comparison_is_strict_json_with_its_exit_code() -> None:
    for comparison in (eventful(), hostile(), make_comparison()):
        content = read(comparison)
        assert content["exit_code"] == exit_code(evaluate(comparison))
        assert [case["id"] for case in content["cases"]] == [compared.case.id for compared in comparison.cases]
    assert read(hostile())["margin_from"] == clean(HOSTILE), "but for control characters, text stays what it is"


def test_the_cutoff_of_packages_is_shown_where_packages_were_chosen() -> None:
    named = make_comparison([make_compared([0.0] * 4)], exclude_newer="2026-11-20")
    assert "Package cutoff" in dict(map(tuple, read(named)["about"]))
    path = make_side(asked="python:/opt/venv/bin/python")
    bare = make_comparison([make_compared([0.0] * 4)], exclude_newer="2026-11-20", base=path, head=path)
    assert "Package cutoff" not in dict(map(tuple, read(bare)["about"]))
