"""``python -m bench doctor`` on this machine, as it is typed."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from bench.cli import app
from bench.errors import UsageError
from bench.machine.doctor import State
from bench.runner import doctor


def typed(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["bench", "doctor", *arguments])
    with pytest.raises(SystemExit) as left:
        app.main()
    return int(left.value.code or 0)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("YOLOPACE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_it_looks_at_this_machine_and_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], cache: Path
) -> None:
    assert typed(monkeypatch, "--json") == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert {"interpreter", "cpu", "cuda", "mps", "memory", "disk"} <= rows.keys()
    assert rows["interpreter"]["status"] == "usable" and "torch" in rows["interpreter"]["detail"]
    assert all(row.keys() == {"name", "status", "detail", "remedy"} for row in rows.values())
    left = [path.name for path in cache.iterdir()] if cache.exists() else []
    assert left in ([], ["pycache"]), "compiled Python at most, where the shell forbids it elsewhere"


def test_as_text(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    machine, software = doctor.look("")
    monkeypatch.setattr(doctor, "look", lambda python: (machine, software))
    assert typed(monkeypatch) == 0
    out = capsys.readouterr().out
    assert "interpreter" in out and "\n                   " in out, "what to do stands below what was found"
    assert re.search(r"^interpreter +ok +Python", out, re.MULTILINE)
    assert re.match(r"Ready: cpu.*\. Not available: ", out.splitlines()[-1])


@pytest.mark.parametrize(
    ("python", "sentence"),
    [("no-such-python", "there is no such executable."), ("false", "does not answer")],
)
def test_an_interpreter_that_is_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], python: str, sentence: str
) -> None:
    assert typed(monkeypatch, "--python", python) == 2
    [line] = capsys.readouterr().err.strip().splitlines()
    assert sentence in line and "Traceback" not in line


def test_deep_trains_two_steps_in_each_precision(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Really, on the CPU."""
    machine, software = doctor.look("")
    monkeypatch.setattr(doctor, "look", lambda python: (machine, software))
    monkeypatch.setattr("bench.machine.fingerprint.devices", lambda: ["cpu"])
    assert typed(monkeypatch, "--deep", "--json") == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["training on cpu, amp off"]["status"] == State.USABLE
    assert rows["training on cpu, amp on"]["detail"].startswith("substituted: amp on requested")
    assert rows["training on cpu, amp bf16"]["detail"].startswith("unsupported: amp bf16 requested")


def test_a_torch_that_crashes_is_a_row_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ask = doctor.ask

    def crashes(path: str, word: str) -> object:
        if word == "doctor":
            raise UsageError("python does not answer (Illegal instruction): use Python 3.10+.")
        return ask(path, word)

    monkeypatch.setattr(doctor, "ask", crashes)
    assert typed(monkeypatch, "--json", "--deep") == 4
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["interpreter"]["status"] == "not usable" and "Illegal instruction" in rows["interpreter"]["remedy"]
    assert "memory" in rows and "cpu" not in rows


def test_what_stops_deep_is_a_row_too(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def close(self) -> None:
            pass

    def broken(*arguments: object) -> None:
        raise UsageError("python cannot import torch and ultralytics: libGL.so.1.")

    monkeypatch.setattr(doctor, "open_launcher", lambda interpreter: Broken())
    monkeypatch.setattr(doctor, "tried", broken)
    [row] = doctor.deep(None, ["cpu"])  # type: ignore[arg-type]
    assert row.status is State.UNUSABLE and "libGL" in row.detail


def test_a_low_power_mode_is_read_from_what_macos_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.platform, "system", lambda: "Darwin")
    for printed, expected in (
        ("Currently in use:\n lowpowermode         1\n sleep 1\n", True),
        (" lowpowermode 0\n", False),
        ("", None),
    ):
        monkeypatch.setattr(doctor, "command_output", lambda command, printed=printed: printed)
        assert doctor.low_power() is expected


def test_a_program_that_is_not_there_says_nothing() -> None:
    assert doctor.command_output(["no-such-program"]) == ""
    assert doctor.command_output(["false"]) == ""
