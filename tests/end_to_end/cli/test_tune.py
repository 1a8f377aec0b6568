"""``python -m bench tune`` as it is typed: one real search on the CPU, and bad input that only a measurement shows."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from bench.cli import app
from bench.records import store


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YOLOPACE_CACHE", str(tmp_path_factory.getbasetemp() / "tune-cache"))


def typed(monkeypatch: pytest.MonkeyPatch, folder: Path, *arguments: object) -> int:
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["bench", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        app.main()
    return int(left.value.code or 0)


SMALL = ("--device", "cpu", "--imgsz", 32, "--batch", 2)


def test_a_real_search_answers_and_its_records_are_those_of_a_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--cache", "ram", "--time-budget", "15s", "--epochs", 10, "--json", "answer.json")
    code = typed(monkeypatch, tmp_path, "tune", *SMALL, *options)
    answer = json.loads((tmp_path / "answer.json").read_text())
    assert code == (3 if answer["verdict"] == "not proven" else 0)
    first = capsys.readouterr().out.splitlines()[0]
    assert first.startswith(f"{answer['verdict'].upper()}  ")
    assert answer["present"] == "train-yolov8n-cpu-fp32-b2-i32"
    assert answer["tried"][0]["status"] == "measured"
    [tuning] = store.read_tunings([tmp_path / "results"])[0]
    assert (tmp_path / "reports" / tuning.run / "index.html").is_file()
    assert typed(monkeypatch, tmp_path, "table", "results", "--format", "json") == 0
    assert {row["run"] for row in json.loads(capsys.readouterr().out)} == {tuning.run}


def test_a_data_set_that_is_smaller_than_a_batch(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from bench.selfcheck.tune import make_images

    data = make_images(tmp_path / "data", 3, 32)
    before = sorted(path for path in (tmp_path / "data").rglob("*"))
    code = typed(monkeypatch, tmp_path, "tune", "--device", "cpu", "--imgsz", 32, "--batch", 16, "--data", data)
    assert code == 4
    assert "the present settings give no figure (substituted): batch 16 requested, batch 3 would run" in (
        capsys.readouterr().err
    )
    assert sorted(path for path in (tmp_path / "data").rglob("*")) == before
