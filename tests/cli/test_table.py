"""``yolopace table``: a brief table on a terminal, and all columns where they are asked for or in a pipe."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench.cli import app
from bench.records.store import Store
from tests.builders import make_record, make_steps


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("YOLOPACE_CACHE", str(tmp_path / "cache"))
    store = Store(tmp_path, "run")
    assert store.save(make_record(steps=make_steps([0.25, 0.26] * 8), run="run")) == ""
    return store.folder


def typed(monkeypatch: pytest.MonkeyPatch, *arguments: object, terminal: bool) -> int:
    monkeypatch.setattr("bench.cli.terminal.is_terminal", lambda stream: terminal and stream is sys.stdout)
    monkeypatch.setattr(sys, "argv", ["bench", "table", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        app.main()
    return int(ended.value.code or 0)


def test_a_terminal_gets_few_columns_and_how_to_get_all(
    results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert typed(monkeypatch, results, terminal=True) == 0
    out, err = capsys.readouterr()
    assert out.startswith("run: 1 of 1 case measured") and max(map(len, out.splitlines())) <= 80
    assert err == "all columns: --wide; for other programs: --format csv or --format json\n"


@pytest.mark.parametrize(("options", "terminal"), [([], False), (["--wide"], True), (["--format", "md"], True)])
def test_all_columns(
    results: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    terminal: bool,
) -> None:
    assert typed(monkeypatch, results, *options, terminal=terminal) == 0
    out, err = capsys.readouterr()
    assert out.startswith("| run ") and out.count("|") > 100 and err == ""
