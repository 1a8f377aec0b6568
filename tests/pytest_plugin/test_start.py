"""Notes at the start of a run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.environments.interpreter import Interpreter
from bench.machine.nvml import Card, Nvidia
from bench.machine.system_info import SystemInfo
from bench.pytest_plugin import request, start
from bench.pytest_plugin.request import RunRequest
from bench.pytest_plugin.resume import DEFAULTS, FREE
from tests.builders import make_environment

GIB = 2**30
RTX = ("NVIDIA GeForce RTX 4090", 24 * GIB)
Options = Callable[..., RunRequest]


def quiet(**changes: Any) -> SystemInfo:
    """A machine that nothing is wrong with, but for the changes."""
    facts: dict[str, Any] = {
        **{"system": "Linux", "architecture": "x86_64", "macos": None, "cpu": "a CPU", "processors": 8, "usable": 8},
        **{"load": 0.1, "memory": 32 * GIB, "available": 24 * GIB, "swap": 0, "swap_used": 0, "free": 100 * GIB},
    }
    return SystemInfo(**{**facts, **changes})


def interpreter(thermal: str | None = None) -> Interpreter:
    return Interpreter(path="/usr/bin/python3", environment=make_environment(), thermal=thermal)


@pytest.fixture
def parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Options:
    """Parse the options of a run on a machine whose interpreter is not asked."""
    monkeypatch.setattr(request, "inspect", lambda python, models: interpreter())

    def parse(**given: Any) -> RunRequest:
        usual = {
            **DEFAULTS,
            **FREE,
            "axis": [],
            "results": "results",
            "reports": "reports",
            "epoch_images": "0",
            "epochs": "0",
        }
        options = {**usual, "profile": None, **given}
        return RunRequest.parse(options.get, tmp_path)

    return parse


def test_a_precision_that_the_device_lacks_is_one_line(parsed: Options) -> None:
    run = parsed(device="cpu")
    selected = list(run.planned("a").values())
    assert start.unavailable(run, selected) == ["AMP: not available on cpu (Ultralytics turns it off)"]
    trained = [plan for plan in selected if plan.case.mode == "train"]
    assert start.unavailable(run, trained) == ["AMP: not available on cpu (Ultralytics turns it off)"]
    assert start.unavailable(run, run.cases) == []


def test_a_precision_that_the_user_names_stays_a_case(parsed: Options) -> None:
    run = parsed(device="cpu", amp="off,on")
    assert run.questions == ()
    assert len(run.cases) == 24
    assert start.unavailable(run, run.cases) == []


@pytest.mark.parametrize(
    ("cards", "lines"),
    [
        ([RTX] * 4, ["4 × NVIDIA GeForce RTX 4090 found; measuring one. All together: --device 0+1+2+3"]),
        ([RTX], []),
        (
            [RTX, ("Tesla T4", 15 * GIB), RTX],
            ["2 × NVIDIA GeForce RTX 4090 found; measuring one. All together: --device 0+2"],
        ),
        ([], []),
    ],
)
def test_several_cards_of_one_kind(
    parsed: Options, monkeypatch: pytest.MonkeyPatch, cards: list[tuple[str, int]], lines: list[str]
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    for module in ("bench.machine.fingerprint", "bench.pytest_plugin.start"):
        monkeypatch.setattr(f"{module}.nvidia_gpus", lambda: tuple(cards))
    assert list(start.several_cards(parsed())) == lines
    assert list(start.several_cards(parsed(device="0"))) == []


def test_nothing_is_wrong() -> None:
    assert list(start.warnings(quiet(), interpreter("nominal"), ["cpu"])) == []
    assert list(start.warnings(quiet(load=None, memory=None, available=None), interpreter(), ["cpu"])) == []


@pytest.mark.parametrize(
    ("changes", "thermal", "begins"),
    [
        ({"load": 4.5}, None, "load: 4.5 on 8 cores"),
        ({"on_battery": True}, None, "power: on battery"),
        ({"low_power": True}, None, "power: low power mode is on"),
        ({}, "heavy", "heat: thermal pressure is heavy"),
        ({"available": GIB}, None, "memory: 1.0 of 32.0 GiB are available"),
        ({"free": GIB / 2}, None, "disk: 0.5 GiB free"),
    ],
)
def test_what_makes_figures_worse_is_said_before_measuring(
    changes: dict[str, Any], thermal: str | None, begins: str
) -> None:
    [line] = start.warnings(quiet(**changes), interpreter(thermal), ["cpu"])
    assert line.startswith(begins)


def test_a_card_that_is_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "visible_cards", lambda: [0, 1])
    cards = (Card("a", total=10, used=1), Card("a", total=10, used=1, processes=2))
    [line] = start.warnings(quiet(nvidia=Nvidia(cards=cards)), interpreter(), ["0", "1"])
    assert line == "cuda 1: 2 processes compute on it: wait until it is free"


def test_all_notes(parsed: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "system_info", lambda cache, **known: quiet(load=4.5))
    run = parsed(device="cpu")
    notes = start.notes(run, list(run.planned("a").values()))
    assert [note.kind for note in notes] == ["unavailable", "warning"]
