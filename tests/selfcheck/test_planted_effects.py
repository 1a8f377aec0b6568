"""``python -m bench selfcheck --regress`` with workers that are played: effects of a known size, and what is scored."""

from __future__ import annotations

import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bench.cli import app
from bench.environments.builder import PreparedEnvironment
from bench.environments.interpreter import Interpreter
from bench.errors import UsageError
from bench.records.record import Environment
from bench.runner.launchers.local import SpawnLauncher
from bench.selfcheck import effects, planted_effects, trials
from bench.selfcheck.check import Check
from bench.selfcheck.planted_environment import COPIES, FLOOR
from tests.fake_workers import FAKE

ENVIRONMENT = Environment(python="3.11.0", packages={"torch": "2.9.0+cpu", "ultralytics": "8.4.0"}, yolopace="0")


class Patched:
    """An environment whose steps of a quarter of a second become longer by what is planted."""

    def __init__(self, folder: Path, name: str) -> None:
        self.python = str(folder / name)
        self.factor = folder / f"{name}-factor"
        self.planted: list[tuple[str, float]] = []

    def plant(self, where: str, seconds: float) -> None:
        self.planted.append((where, seconds))
        self.factor.write_text(str(1 + seconds / 0.25))


@pytest.fixture
def patched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[int, Patched]]:
    """Both patched copies by their numbers; ``base`` is the environment itself, without a patch."""
    monkeypatch.setenv("YOLOPACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("bench.compare.background_load.BackgroundLoadMonitor.interference", lambda self, workers: [])
    copies = {copy: Patched(tmp_path, f"copy-{copy}") for copy in COPIES}
    factors = {
        "base": "1",
        **{Path(environment.python).name: f"$(cat {environment.factor})" for environment in copies.values()},
    }
    for environment in copies.values():
        environment.plant("forward", 0.0)
    for name, factor in factors.items():
        python = tmp_path / name
        python.write_text(f'#!/bin/sh\nFAKE_FACTOR={factor} exec {sys.executable} -S {FAKE} "$@"\n')
        python.chmod(python.stat().st_mode | stat.S_IXUSR)

    def interpreter(path: str) -> Interpreter:
        return Interpreter(path=path, environment=ENVIRONMENT)

    def provide(specification: Any, exclude_newer: str, say: Any, replica: int = 0) -> PreparedEnvironment:
        assert str(specification) == "ultralytics==8.4.0,torch==2.9.0"
        return PreparedEnvironment(interpreter(str(tmp_path / "base")), ("torch==2.9.0",), "key", str(specification))

    monkeypatch.setattr(planted_effects, "provide", provide)
    monkeypatch.setattr(planted_effects, "resolve", lambda specification: specification)
    monkeypatch.setattr(planted_effects, "prepare", lambda resolved, say, copy: copies[copy])
    monkeypatch.setattr(planted_effects, "inspect", interpreter)
    monkeypatch.setattr(trials, "open_launcher", SpawnLauncher)
    yield copies
    assert {environment.factor.read_text() for environment in copies.values()} == {"1.0"}  # nothing stays planted


def checked(names: str, comparisons: int, keep: Path | None = None) -> dict[str, Check]:
    interpreter = Interpreter(path="python", environment=ENVIRONMENT)
    checks = planted_effects.checks(interpreter, effects.chosen(names), comparisons, keep, print)
    return {check.name: check for check in checks}


def test_nothing_is_planted_in_a_copy_and_found_to_be_the_same(patched: dict[int, Patched]) -> None:
    checks = checked("none", 2)
    assert checks["The same against its copy"].figure == "same 2 of 2"
    assert "median 4 pairs" in checks["The same against its copy"].how
    usual = checks["The same against its copy, the usual way"]
    assert usual.figure == "slower 0 of 2, faster 0 of 2"
    assert "from +0.0 to +0.0 %" in usual.how


def test_a_planted_effect_is_found_with_its_error(patched: dict[int, Patched]) -> None:
    checks = checked("+5%", 2)
    check = checks["5 % planted in forward"]
    assert check.figure.startswith("slower 2 of 2; the interval holds what was planted in ")
    assert "margin 3 %; median 8 pairs" in check.how
    assert "found +0.00 % more than was planted" in check.how
    base, head = (patched[copy].planted for copy in COPIES)
    assert ("forward", FLOOR) in base
    assert ("forward", pytest.approx(FLOOR + 0.0127)) in head
    assert checks["5 % planted in forward, the usual way"].figure == "slower 2 of 2, faster 0 of 2"


def test_less_than_the_usual_way_can_see(patched: dict[int, Patched]) -> None:
    checks = checked("+2%", 1)
    assert checks["2 % planted in forward"].figure.startswith("slower 1 of 1; ")
    assert checks["2 % planted in forward, the usual way"].figure == "slower 0 of 1, faster 0 of 1"


def test_parts_are_tried_a_few_times_and_it_is_said_how_often_they_were_named(patched: dict[int, Patched]) -> None:
    checks = checked("data", 20)
    # The played workers tell of no parts.
    figure = checks["5 % planted in data"].figure
    assert figure.startswith("slower 3 of 3; ") and figure.endswith("; that part grew most in 0 of 3")


def test_comparisons_are_kept_and_gone_on_with(patched: dict[int, Patched], tmp_path: Path) -> None:
    keep = tmp_path / "kept"
    checked("+5%", 1, keep)
    assert sorted(path.name for path in keep.iterdir()) == ["+5%-001"]
    before = (keep / "+5%-001" / trials.FACTS).read_bytes()
    unfinished = keep / "+5%-002"
    unfinished.mkdir()
    (unfinished / "comparison.json").write_text("{}")  # a comparison that was stopped starts again
    checks = checked("+5%", 2, keep)
    assert checks["5 % planted in forward"].figure.startswith("slower 2 of 2")
    assert (keep / "+5%-001" / trials.FACTS).read_bytes() == before
    planted = len(patched[COPIES[0]].planted)
    assert checked("+5%", 2, keep)["5 % planted in forward"].figure == checks["5 % planted in forward"].figure
    assert len(patched[COPIES[0]].planted) == planted + 1  # nothing was planted but nothing
    (keep / "+5%-001" / trials.FACTS).write_text("no JSON")
    with pytest.raises(UsageError, match=r"cannot be read: .* Remove its folder to measure that one again"):
        checked("+5%", 2, keep)


def test_a_folder_that_cannot_be_written_to(patched: dict[int, Patched], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written to"):
        checked("none", 1, tmp_path / "file")


def test_ctrl_c_shows_what_there_is(patched: dict[int, Patched], monkeypatch: pytest.MonkeyPatch) -> None:
    before = trials.compare
    calls: list[int] = []

    def interrupted(*arguments: Any) -> trials.Trial:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return before(*arguments)

    monkeypatch.setattr(trials, "compare", interrupted)
    monkeypatch.setattr("bench.environments.interpreter.inspect", lambda python: Interpreter("python", ENVIRONMENT))
    done = CliRunner().invoke(
        app.build(["selfcheck"]), ["selfcheck", "--regress", "--effects", "none", "--comparisons", "5"]
    )
    assert done.exit_code == 0
    assert "same 1 of 1" in done.output


def test_an_effect_that_does_not_exist() -> None:
    with pytest.raises(UsageError, match=r"effect '\+7%' is unknown: use some of none,\+5%,\+2%,optimizer,data"):
        effects.chosen("none, +7%")
    assert [effect.name for effect in effects.chosen("data,none,data")] == ["data", "none"]
    assert len(effects.chosen("")) == 5
