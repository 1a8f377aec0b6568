"""Arguments before typer reads them: extensions are taken out, and options that were renamed keep their old name."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from bench.cli import app
from bench.cli.arguments import RENAMED, current_spelling, without_extensions
from bench.errors import UsageError


def test_extensions_are_taken_out_wherever_they_stand() -> None:
    arguments = ["--extension", "a.py", "table", "--extension=b.py", "results", "--", "--extension", "c.py"]
    assert without_extensions(arguments) == ["table", "results", "--", "--extension", "c.py"]


def test_an_extension_without_a_file() -> None:
    with pytest.raises(UsageError, match=r"^--extension needs a Python file\.$"):
        without_extensions(["table", "--extension"])


def test_old_names_work_with_a_remark(capsys: pytest.CaptureFixture[str]) -> None:
    assert current_spelling(["ceiling", "--most=8", "--cards", "8GiB"]) == [
        "ceiling",
        "--max=8",
        "--memory-sizes",
        "8GiB",
    ]
    assert capsys.readouterr().err.splitlines() == [
        "--most is now --max: the old name works until the next release.",
        "--cards is now --memory-sizes: the old name works until the next release.",
    ]


def test_names_of_another_command_stay() -> None:
    assert current_spelling(["regress", "--with", "x"]) == ["regress", "--with", "x"]


@pytest.mark.parametrize("command", RENAMED)
def test_the_present_names_are_options_and_the_old_ones_are_hidden(command: str) -> None:
    shown = CliRunner().invoke(app.build([command]), [command, "--help"], env={"COLUMNS": "200"}).output
    for old, new in RENAMED[command].items():
        assert f"{new} " in shown
        assert f"{old} " not in shown
