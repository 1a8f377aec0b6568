"""The options that a run keeps for ``--resume``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.errors import UsageError
from bench.pytest_plugin.resume import DEFAULTS, FREE, GetOption, requested_options, with_kept_options


def given(**options: Any) -> GetOption:
    """Options as pytest has them, where those are given."""
    usual = {**dict.fromkeys(DEFAULTS), **FREE, "axis": []}
    return {**usual, **options}.get


STARTED = {
    "profile": "smoke",
    "batch": "4,8",
    "axis": ["workers=0,2"],
    "processes": "3",
    "with_val": True,
    "k": "train and b4",
}


def resumed(**options: Any) -> GetOption:
    return with_kept_options(given(**options), requested_options(given(**STARTED)), "x")


def test_options_that_are_not_given_are_those_of_the_run() -> None:
    option = resumed()
    assert (option("profile"), option("batch"), option("imgsz")) == ("smoke", "4,8", None)
    assert (option("with_val"), option("energy"), option("processes")) == (True, False, "3")
    assert (option("k"), option("m")) == ("train and b4", "")
    assert option("workers") or option("axis") == ["workers=0,2"]


@pytest.mark.parametrize(
    "options",
    [
        STARTED,
        {"batch": "8, 4"},
        {"axis": ["workers=2,0"]},
        {"workers": "0,2"},
        {"processes": "5", "target_ci": "2%", "phase_timeout": "20m"},
        {"time_budget": "1h"},
    ],
)
def test_options_that_agree_with_those_of_the_run(options: dict[str, Any]) -> None:
    option = resumed(**options)
    assert option("profile") == "smoke"
    assert option("processes") == options.get("processes", "3")
    assert option("time_budget") == options.get("time_budget")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"profile": "quick"}, "with --profile smoke: leave out --profile quick,"),
        ({"batch": "4"}, "with --batch 4,8: leave out --batch 4,"),
        ({"imgsz": "64"}, "without --imgsz: leave out --imgsz 64,"),
        ({"axis": ["workers=0"]}, "with --workers 0,2: leave out --workers 0,"),
        ({"energy": True}, "without --energy: leave out --energy,"),
        ({"threads": "2"}, "without --threads: leave out --threads 2,"),
        ({"k": "predict"}, "with -k 'train and b4': leave out -k predict,"),
        ({"m": "slow"}, "without -m: leave out -m slow,"),
        ({"data": "mine.yaml"}, "without --data: leave out --data mine.yaml,"),
    ],
)
def test_options_that_contradict_those_of_the_run(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError) as refused:
        resumed(**options)
    assert str(refused.value) == f"run x was started {sentence} or start a new run without --resume."


def test_a_run_that_kept_no_options_takes_those_that_are_given() -> None:
    option = given(profile="full")
    assert with_kept_options(option, None, "x") is option


def test_a_run_of_an_earlier_version_takes_the_selection_that_is_given() -> None:
    kept = requested_options(given(profile="smoke"))
    del kept.options["k"]
    option = with_kept_options(given(k="train"), kept, "x")
    assert (option("profile"), option("k")) == ("smoke", "train")


def test_a_run_may_go_on_in_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    model = tmp_path / "a,b.yaml"
    model.write_text("backbone: []\nhead: []\nnc: 1\n")
    (tmp_path / "mine.yaml").write_text("")
    monkeypatch.chdir(tmp_path)
    kept = requested_options(given(data="mine.yaml", model="yolov8n,a,b.yaml"))
    monkeypatch.chdir(tmp_path / "elsewhere")
    option = with_kept_options(given(data="../mine.yaml", model="../a,b.yaml,yolov8n"), kept, "x")
    assert option("data") == str(tmp_path / "mine.yaml")
    assert option("model") == f"yolov8n,{model}"
