"""What every command ends with where something unforeseen happens: never with 1, which would be a regression."""

from __future__ import annotations

import errno
import importlib.metadata
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench.cli import app, dependencies
from bench.errors import NotComparable


def test_a_full_disk_is_a_sentence_and_no_regression(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(arguments: list[str]) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "scratch")

    monkeypatch.setattr(app, "run", full)
    with pytest.raises(SystemExit) as ended:
        app.main()
    assert ended.value.code == 2
    expected = (
        "No space left on device (scratch). There is no room left on the disk: make room, or choose another folder."
    )
    assert capsys.readouterr().err == f"yolopace: {expected}\n"


def test_an_error_of_ours_ends_with_its_own_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(arguments: list[str]) -> None:
        raise NotComparable("they differ.")

    monkeypatch.setattr(app, "run", refused)
    with pytest.raises(SystemExit) as ended:
        app.main()
    assert ended.value.code == 3
    assert capsys.readouterr().err == "yolopace: they differ.\n"


def ended(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> object:
    """The exit status of a command that raises."""

    def raising(arguments: list[str]) -> None:
        raise error

    monkeypatch.setattr(app, "run", raising)
    with pytest.raises(SystemExit) as end:
        app.main()
    return end.value.code


def test_an_unforeseen_error_keeps_its_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert ended(monkeypatch, ZeroDivisionError("division by zero")) == 2
    [file] = tmp_path.iterdir()
    message = "an error in yolopace itself (ZeroDivisionError: division by zero): please report it; its traceback is in"
    assert capsys.readouterr().err == f"yolopace: {message} {file}.\n"
    assert "ZeroDivisionError: division by zero" in file.read_text()


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (RuntimeError("can't start new thread"), "No more processes or threads may be started"),
        (MemoryError(), "There is not enough memory"),
        (ModuleNotFoundError("No module named 'pandas'"), "The Python package pandas is missing"),
        (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), "No more processes or threads"),
    ],
)
def test_what_the_system_refused_has_its_own_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException, remedy: str
) -> None:
    assert ended(monkeypatch, error) == 2
    err = capsys.readouterr().err
    assert remedy in err and err.count("\n") == 1


def test_a_pipe_to_somebody_else_that_broke_is_no_regression(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def as_click_does(arguments: list[str]) -> None:
        try:
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")
        except OSError:
            sys.exit(1)

    monkeypatch.setattr(app, "run", as_click_does)
    with pytest.raises(SystemExit) as end:
        app.main()
    assert end.value.code == 2
    assert capsys.readouterr().err.startswith("yolopace: Broken pipe")


def old_typer(name: str) -> str:
    return "0.15.0" if name == "typer" else "999"


def test_a_package_that_is_too_old_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.metadata, "version", old_typer)
    assert ended(monkeypatch, TypeError("make_metavar() missing 1 required positional argument: 'ctx'")) == 2
    bound = next(text for text in dependencies.requirements() if text.startswith("typer"))
    assert capsys.readouterr().err == (
        f"yolopace: typer 0.15.0 is too old, {bound} is needed: python -m pip install '{bound}'.\n"
    )


def test_help_is_there_even_then(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(importlib.metadata, "version", old_typer)
    monkeypatch.setattr(sys, "argv", ["bench", "--help"])

    def failing(arguments: list[str]) -> None:
        raise TypeError("make_metavar() missing 1 required positional argument: 'ctx'")

    monkeypatch.setattr(app, "run", failing)
    with pytest.raises(SystemExit) as end:
        app.main()
    assert end.value.code == 0
    out, err = capsys.readouterr()
    assert "  table      Print one row per case of a run" in out and "  regress " in out
    assert err.startswith("yolopace: typer 0.15.0 is too old")


@pytest.mark.parametrize(
    ("version", "bound", "old"),
    [
        ("0.15.4", "0.16", True),
        ("0.16.0", "0.16", False),
        ("0.16", "0.16.0", False),
        ("2.10.0", "2.9", False),
        ("2.2.0rc1", "2.2.2", True),
        ("2.15.0+cpu", "2.6", False),
    ],
)
def test_versions_are_compared_by_their_numbers(
    monkeypatch: pytest.MonkeyPatch, version: str, bound: str, old: bool
) -> None:
    monkeypatch.setattr(dependencies, "requirements", lambda: [f"thing>={bound}", "other"])
    monkeypatch.setattr(importlib.metadata, "version", lambda name: version)
    assert bool(dependencies.outdated()) is old


def test_what_is_installed_here_is_new_enough() -> None:
    assert dependencies.outdated() == ""


@pytest.mark.parametrize("name", app.COMMANDS)
def test_every_command_has_its_module_and_its_help(name: str) -> None:
    done = CliRunner().invoke(app.build([name]), [name, "--help"])
    assert done.exit_code == 0
    assert "--extension" in done.output


def test_the_list_of_commands_imports_none_of_them() -> None:
    code = (
        "import sys; from bench.cli import app; sys.argv = ['bench', '--help']\n"
        "try: app.main()\n"
        "except SystemExit: print('imported:', [name for name in app.COMMANDS if f'bench.cli.{name}' in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.rstrip().endswith("imported: []")
    assert all(f" {name} " in done.stdout for name in app.COMMANDS)
