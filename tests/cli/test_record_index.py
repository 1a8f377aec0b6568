"""Tables and reports by way of the index have the bytes that they have without it."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.cli import app, reading_pool
from bench.records import store
from bench.records.fleet import FILE_NAME as FLEET
from bench.records.store import index as index_files

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "results" / "examples"
SOURCES = ("linux-cpu", "workloads", "ceilings", "regress-ultralytics", "formats", "claims-cpu")
OLD = ROOT / "tests" / "records" / "old"

Typed = Callable[..., tuple[str, str]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of every kind: see the comments."""
    folder = tmp_path_factory.mktemp("made") / "results"
    for name in SOURCES:  # several processes per case, further axes, ceilings, a comparison
        shutil.copytree(EXAMPLES / name, folder / name)
    shutil.copytree(OLD, folder / "old")  # older schemas, without IDs of their machine
    (folder / "linux-cpu" / "broken.json").write_text("{")
    (folder / "workloads" / "empty.json").write_text("")
    (folder / "nothing").mkdir()
    (folder / "nothing" / "other.json").write_text('{"schema": 99}')
    fleet = folder / "fleet"
    for name in ("one", "two"):  # a run of two machines that has its records in inner folders
        shutil.copytree(EXAMPLES / "linux-cpu-160px", fleet / name)
        for file in (fleet / name).glob("*.json"):
            content = json.loads(file.read_text())
            content["run"] = f"fleet-{name}"
            content["machine"]["id"] = ("a" if name == "one" else "b") * 12
            content["case"]["model"] = f"/data/{name}/best.pt"  # files of one name
            file.write_text(json.dumps(content))
    (fleet / FLEET).write_text("{}")
    shutil.copytree(EXAMPLES / "sweep-ultralytics-8.4.185", folder / "sweep")
    shutil.copytree(folder / "sweep", folder / "sweep-copy")  # the same run in two folders
    return folder


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Typed]:
    """Type a command line, with an index for ever so few records where it says so; return what it prints."""
    monkeypatch.setenv("YOLOPACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(index_files, "NEWEST_SECONDS", -10)

    def type_command(*arguments: object, indexed: bool, terminal: bool = False) -> tuple[str, str]:
        monkeypatch.setattr(store, "MANY", 1 if indexed else 10**6)
        monkeypatch.setattr("bench.cases.model_labels._labels", {})
        monkeypatch.setattr("bench.cli.terminal.is_terminal", lambda stream: terminal and stream is sys.stdout)
        monkeypatch.setattr(sys, "argv", ["bench", *map(str, arguments)])
        with pytest.raises(SystemExit):
            app.main()
        out, err = capsys.readouterr()
        return out, err

    yield type_command


OPTIONS = (
    ("--format", "csv"),
    ("--format", "json"),
    ("--format", "md"),
    ("--wide",),
    ("--format", "csv", "--epoch-images", "5000"),
    ("--format", "csv", "--only", "mode=predict,device=cpu", "--only", "amp=off"),
    ("--format", "csv", "--only", "model=one/best.pt"),
    ("--only", "batch=123"),
)


@pytest.mark.parametrize("options", OPTIONS, ids=" ".join)
def test_a_table_is_the_same(made: Path, typed: Typed, options: tuple[str, ...]) -> None:
    plain = typed("table", made, *options, indexed=False)
    assert typed("table", made, *options, indexed=True) == plain  # it makes the index
    assert typed("table", made, *options, indexed=True) == plain


def test_a_brief_table_is_the_same(made: Path, typed: Typed) -> None:
    plain = typed("table", made, indexed=False, terminal=True)
    assert "broken.json is left out" in plain[1] and "measured" in plain[0]
    assert typed("table", made, indexed=True, terminal=True) == plain


@pytest.mark.parametrize("source", [".", "linux-cpu", "sweep", "old", "fleet", "nothing"])
def test_a_table_of_some_folders_is_the_same(made: Path, typed: Typed, source: str) -> None:
    plain = typed("table", made / source, made / "formats", "--format", "json", indexed=False)
    assert typed("table", made / source, made / "formats", "--format", "json", indexed=True) == plain


def test_a_report_is_the_same(made: Path, typed: Typed, tmp_path: Path) -> None:
    pages = []
    few = [made / name for name in ("claims-cpu", "sweep", "sweep-copy")]
    typed("table", *few, indexed=True)
    for indexed in (False, True):
        output = tmp_path / "page"
        _, err = typed("report", *few, "--output", output, "--format", "html,csv", indexed=indexed)
        files = sorted(file for file in output.rglob("*") if file.is_file())
        pages.append((err, {file.name: file.read_bytes() for file in files}))
        shutil.rmtree(output)
    assert pages[1] == pages[0]


def test_an_index_reads_no_record_again(
    made: Path, typed: Typed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "few"
    shutil.copytree(made / "linux-cpu", folder / "linux-cpu")
    first = typed("table", folder, "--format", "csv", indexed=True)
    with monkeypatch.context() as patch:
        patch.setattr(store, "read_files", None)
        assert typed("table", folder, "--format", "csv", indexed=True) == first
    name = sorted((folder / "linux-cpu").glob("predict*.json"))[0]
    name.write_text(name.read_text() + "\n")  # the same record
    (folder / "linux-cpu" / "broken.json").unlink()
    assert typed("table", folder, "--format", "csv", indexed=True) == (first[0], "")


@pytest.mark.parametrize("damage", ["cut", "empty", "changed", "folder", "another key"])
def test_a_damaged_index_changes_nothing(made: Path, typed: Typed, tmp_path: Path, damage: str) -> None:
    first = typed("table", made / "linux-cpu", "--format", "csv", indexed=True)
    [kept] = (tmp_path / "cache" / "index").iterdir()
    content = kept.read_bytes()
    if damage == "folder":
        kept.unlink()
        kept.mkdir()
    else:
        broken = {"cut": content[:-100], "empty": b"", "changed": content[:-1] + bytes([content[-1] ^ 1])}
        kept.write_bytes(broken.get(damage, b"x" + content[1:]))
    assert typed("table", made / "linux-cpu", "--format", "csv", indexed=True) == first
    if damage != "folder":
        assert kept.read_bytes() == content


def test_a_cache_that_cannot_be_written_stops_nothing(made: Path, typed: Typed, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    plain = typed("table", made / "linux-cpu", "--format", "csv", indexed=False)
    assert typed("table", made / "linux-cpu", "--format", "csv", indexed=True) == plain


def test_files_that_changed_just_now_are_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.json").write_text("{}")
    state = store.FolderState(tmp_path, ["a.json"], b"")
    state.keep(tmp_path / "index", b"kept")
    assert state.load(tmp_path / "index") is None
    state.looked += 3 * 10**9
    state.keep(tmp_path / "index", b"kept")
    assert state.load(tmp_path / "index") == b"kept"
    assert store.FolderState(tmp_path, ["a.json"], b"other").load(tmp_path / "index") is None
    os.utime(tmp_path / "a.json", ns=(1, 1))
    assert store.FolderState(tmp_path, ["a.json"], b"").load(tmp_path / "index") is None


def _double(number: int) -> int:
    return 2 * number


def _ends(parent: int) -> int:
    if os.getpid() != parent:
        os._exit(9)  # as the system ends a process for lack of memory
    return 1


def test_a_pool_returns_results_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.cli.reading_pool.threading.active_count", lambda: 1)
    monkeypatch.setattr("os.sched_getaffinity", lambda number: {0, 1}, raising=False)
    assert list(reading_pool.spread(_double, range(20))) == [2 * number for number in range(20)]
    assert list(reading_pool.spread(_ends, [os.getpid()] * 3)) == [1, 1, 1]
