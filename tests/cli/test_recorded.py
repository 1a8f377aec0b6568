"""Which results ``table`` and ``report`` read, with and without named folders."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import msgspec
import pytest

from bench.cli import app
from bench.errors import NothingMeasured
from bench.machine import fingerprint
from bench.machine.description import Machine
from bench.records.store import Store
from tests.builders import make_ceiling, make_machine, make_record
from tests.report.conftest import timed

ROOT = Path(__file__).resolve().parents[2]
HERE, TWIN = make_machine(id="aaaaaaaaaaaa"), make_machine(id="bbbbbbbbbbbb")
EXAMPLE = Path("results/examples/linux-cpu")


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder on a known machine."""
    from bench.cli import recorded

    assert Path("results") == recorded.RESULTS
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("YOLOPACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(fingerprint, "machine", lambda: HERE)
    return tmp_path


def save(run: str, machine: Machine, batch: int = 4) -> None:
    """Write a run of one measured case."""
    Store(Path("results"), run).save(timed(20.0, batch, run=run, machine=machine))


def copy_examples() -> None:
    """Put the committed examples where a clone has them."""
    shutil.copytree(ROOT / "results" / "examples", "results/examples")


def typed(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """Run a command as it is typed, and return its exit status."""
    monkeypatch.setattr(sys, "argv", ["bench", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        app.main()
    return int(left.value.code or 0)


def runs_of(output: str) -> list[str]:
    """Runs of a table in the format csv."""
    return [line.partition(",")[0] for line in output.splitlines()[1:]]


@pytest.mark.parametrize("command", ["table", "report"])
@pytest.mark.parametrize("examples", [False, True])
def test_with_nothing_measured_commands_say_how_to_measure(
    command: str, examples: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if examples:
        copy_examples()
    assert typed(monkeypatch, command) == NothingMeasured.code == 4
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    assert "nothing was measured" in err and "yolopace run" in err
    assert not Path("reports").exists()


def test_without_a_folder_this_machines_runs_are_shown_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    copy_examples()
    for run, machine in (("old", make_machine()), ("own", HERE), ("twin", TWIN)):
        save(run, machine)
    Store(Path("results"), "twin").save(make_ceiling(run="twin", machine=TWIN))
    assert typed(monkeypatch, "table", "--format", "csv") == 0
    out, err = capsys.readouterr()
    assert runs_of(out) == ["old", "own"]
    assert all(f",{HERE.id}," in line for line in out.splitlines()[1:]), "an old run is of this machine"
    assert err == "1 run of other machines left out: to see all, name results, or the folders of some\n"
    assert typed(monkeypatch, "report", "--format", "html") == 0
    page = Path("reports/index.html").read_text(encoding="utf-8")
    assert 'id="machine-1"' in page and 'id="machine-2"' not in page and "Largest batch that trains" not in page


def test_runs_of_other_machines_alone_are_not_shown_unless_they_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    save("twin", TWIN)
    assert typed(monkeypatch, "table") == 4
    _, err = capsys.readouterr()
    assert "results has runs of other machines alone" in err and "or name folders, such as results." in err
    assert typed(monkeypatch, "table", "results", "--format", "csv") == 0
    assert runs_of(capsys.readouterr().out) == ["twin"]


def test_examples_are_read_where_they_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    copy_examples()
    save("own", HERE)
    assert typed(monkeypatch, "table", EXAMPLE, "--format", "csv") == 0
    assert set(runs_of(capsys.readouterr().out)) == {"linux-cpu"}
    assert typed(monkeypatch, "table", "results", "--format", "csv") == 0
    assert runs_of(capsys.readouterr().out) == ["own"], "examples lie too deep for their neighbours"


def test_runs_of_the_examples_are_called_as_their_folders() -> None:
    for folder in (ROOT / "results" / "examples").iterdir():
        for file in folder.iterdir():
            if file.name == ".options.json":  # what the run was asked for
                continue
            assert msgspec.json.decode(file.read_bytes())["run"] == folder.name


def test_a_ceiling_alone_is_this_machines_result(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Store(Path("results"), "a").save(make_ceiling(run="a", machine=HERE))
    Store(Path("results"), "b").save(make_record(run="b", machine=TWIN))
    assert typed(monkeypatch, "table", "--format", "csv") == 0
    assert runs_of(capsys.readouterr().out) == ["a"]
