"""nox takes a Python for its environments that the pinned packages have wheels for."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

NOXFILE = Path(__file__).resolve().parents[1] / "noxfile.py"
PROJECT = tomllib.loads(NOXFILE.with_name("pyproject.toml").read_text(encoding="utf-8"))["project"]
PREFIX = "Programming Language :: Python :: "
TESTED = [line.removeprefix(PREFIX) for line in PROJECT["classifiers"] if line.startswith(PREFIX)]


def fake_nox() -> types.ModuleType:
    """A module with what the noxfile needs while it is imported; nox itself is not in the tests' environment."""
    nox = types.ModuleType("nox")
    nox.options = types.SimpleNamespace()  # type: ignore[attr-defined]
    nox.project = types.SimpleNamespace(load_toml=lambda name: {}, python_versions=lambda project: TESTED)  # type: ignore[attr-defined]
    nox.session = lambda **options: lambda function: function  # type: ignore[attr-defined]
    return nox


@pytest.fixture
def noxfile(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    monkeypatch.setitem(sys.modules, "nox", fake_nox())
    monkeypatch.setenv("UV_PYTHON_INSTALL_BIN", "0")
    namespace: dict[str, Any] = {"__name__": "noxfile"}
    exec(compile(NOXFILE.read_text(encoding="utf-8"), str(NOXFILE), "exec"), namespace)
    yield namespace


def machine_with(*versions: str) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Play ``uv python find`` on a machine that has these versions."""

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        version = command[-1]
        there = version in versions
        return subprocess.CompletedProcess(command, 0 if there else 2, f"/opt/python{version}\n" if there else "")

    return run


def test_the_tested_versions_begin_with_the_lowest_that_the_project_allows() -> None:
    assert PROJECT["requires-python"] == f">={TESTED[0]}"
    assert sorted(TESTED, key=lambda version: int(version.split(".")[1])) == TESTED


@pytest.mark.parametrize("running", TESTED)
def test_a_tested_python_that_runs_nox_is_taken(noxfile: dict[str, Any], running: str) -> None:
    assert noxfile["choose_python"](running) is None


@pytest.mark.parametrize("running", ["3.9", "3.10", "3.14", "3.15"])
def test_else_the_newest_tested_python_of_the_machine(
    noxfile: dict[str, Any], monkeypatch: pytest.MonkeyPatch, running: str
) -> None:
    monkeypatch.setattr(subprocess, "run", machine_with("3.9", "3.11", "3.12", "3.14"))
    assert noxfile["choose_python"](running) == "/opt/python3.12"


def test_else_uv_downloads_the_newest_tested_python(noxfile: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", machine_with("3.9"))
    assert noxfile["choose_python"]("3.9") == TESTED[-1]


@pytest.mark.parametrize(("there", "remarks"), [(False, 1), (True, 0)])
def test_the_first_installation_says_how_much_it_is(
    noxfile: dict[str, Any], tmp_path: Path, there: bool, remarks: int
) -> None:
    if there:
        (tmp_path / "lib/python3.13/site-packages/torch").mkdir(parents=True)
    messages: list[str] = []
    installed: list[tuple[tuple[str, ...], bool]] = []
    session = types.SimpleNamespace(
        virtualenv=types.SimpleNamespace(location=str(tmp_path)),
        log=messages.append,
        install=lambda *arguments, silent: installed.append((arguments, silent)),
    )
    noxfile["install"](session, "--editable", ".")
    assert installed == [(("--editable", "."), False)]
    assert len(messages) == remarks
    assert all("download" in line and "GB" in line for line in messages)


def test_the_oldest_python_that_starts_nox_can_read_the_noxfile() -> None:
    ast.parse(NOXFILE.read_text(encoding="utf-8"), feature_version=(3, 9))
