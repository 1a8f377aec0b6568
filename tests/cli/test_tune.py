"""``yolopace tune``: what is searched for given options, and bad input."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.cli import tune as command
from bench.cli.recorded import read_results
from bench.errors import UsageError
from bench.machine import fingerprint
from bench.records.store import Store
from bench.tune.service import TuneRequest
from tests.builders import make_record
from tests.tune.made import PROVEN, make_tuning


@pytest.fixture(autouse=True)
def one_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprint, "devices", lambda: ["cpu"])


def request(axes: dict[str, list[object]] | None = None, present: str = "", allow: str = "") -> TuneRequest:
    return command._request(axes or {}, present, allow, "", 0, "")


def test_the_present_settings_are_the_defaults_of_ultralytics() -> None:
    assert request().space.present.id == "train-yolov8n-cpu-fp32-b16-i640"
    assert request({"device": ["0"]}).space.present.id == "train-yolov8n-0-amp-b16-i640"
    assert request({"mode": ["predict"]}).space.present.id == "predict-yolov8n-cpu-fp32-b1-i640"
    assert request({"model": ["yolov8n-cls"]}).space.present.imgsz == 224


def test_an_option_with_one_value_is_a_present_setting() -> None:
    asked = request({"batch": [8], "imgsz": [320]})
    assert (asked.space.present.batch, asked.space.present.imgsz, asked.present_named) == (8, 320, False)
    assert "batch" not in asked.space.values


def test_an_option_with_several_values_is_searched() -> None:
    asked = request({"batch": [16, 8, 32]})
    assert asked.space.present.batch == 16
    assert asked.space.values["batch"] == [8, 32]
    assert "cache" in asked.space.values
    assert not [row for row in asked.left_out if row.settings == "batch"]


def test_named_axes_replace_the_defaults() -> None:
    assert request({"threads": [1, 2]}).space.values == {"threads": [1, 2]}


def test_the_users_own_settings() -> None:
    asked = request(present="batch=8,cache=ram")
    assert asked.present_named
    assert asked.space.present.id == "train-yolov8n-cpu-fp32-b8-i640-cacheram"
    assert asked.space.values["cache"] == ["disk"]


@pytest.mark.parametrize(
    ("axes", "present", "allow", "sentence"),
    [
        ({"model": ["yolov8n", "yolo11n"]}, "", "", "model has several values: tune searches the settings of one case"),
        ({"batch": [8]}, "batch=16", "", "batch is named twice: by --batch and by --present."),
        ({}, "", "speed", "allow 'speed' is unknown"),
        ({}, "size=3", "", "present 'size=3' is no setting"),
        ({"mode": ["predict"]}, "workers=3", "", "axis 'workers' is not taken by prediction"),
        ({"mode": ["predict"], "cache": ["ram"]}, "", "", "axis 'cache' is not taken by prediction"),
        ({"cache": ["ram"]}, "cache=ram", "", "no setting is left to search"),
        (
            {"threads": list(range(1, 201)), "nbs": list(range(1, 201))},
            "",
            "",
            "40,400 combinations are too many to search",
        ),
    ],
)
def test_bad_input(axes: dict[str, list[object]], present: str, allow: str, sentence: str) -> None:
    with pytest.raises(UsageError) as refused:
        request(axes, present, allow)
    assert str(refused.value).startswith(sentence)


def test_a_report_reads_searches_too(tmp_path: Path) -> None:
    tuning, record = make_tuning(proof=PROVEN), make_record(run="tune-a")
    kept = Store(tmp_path, tuning.run)
    assert kept.save(tuning) == kept.save(record) == ""
    recorded = read_results([tmp_path], lambda case, any_batch=False: True)
    assert (recorded.tunings, len(recorded.records), recorded.complaints) == ([tuning], 1, [])
    assert read_results([tmp_path], lambda case, any_batch=False: not any_batch).tunings == []


def test_a_search_that_continues_keeps_its_measurements_and_takes_the_new_budget() -> None:
    known = make_tuning(proof=PROVEN, stopped=True)
    continued = command._continued(known, make_tuning(budget=900.0, margin=0.05))
    assert (continued.budget, continued.margin, continued.winner) == (900.0, 0.05, None)
    assert continued.proof is not None and continued.proof.margin == 0.05
    assert continued.run == known.run
