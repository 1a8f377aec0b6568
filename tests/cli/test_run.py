"""``yolopace run``: what it hands to pytest, and its help; and the groups of options of other commands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bench.cli import app, run
from bench.cli.help_groups import group_of, unwrapped
from bench.errors import UsageError
from bench.pytest_plugin.command_line import run_options
from bench.pytest_plugin.first_line import WRITTEN

PANELS = ["What to measure", "How precisely", "Output", "Advanced"]


@pytest.fixture
def handed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The arguments and plugins that pytest gets."""
    calls: list[Any] = []

    def main(arguments: list[str], plugins: list[Any]) -> int:
        calls.append((arguments, plugins))
        if "--unknown" not in arguments:
            plugins[0].pytest_configure()  # as pytest does where it understood all options
        return 4

    monkeypatch.setattr(pytest, "main", main)
    return calls


def test_all_arguments_go_to_pytest_and_its_exit_status_comes_back(
    handed: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        app.run(["run", "--profile", "smoke", "-k", "train", "-v", "--benchmark-json=b.json"])
    assert ended.value.code == 4
    [(arguments, _)] = handed
    assert Path(arguments[0]).name == "bench" and "--benchmark-only" in arguments
    assert arguments[-5:] == ["--profile", "smoke", "-k", "train", "-v", "--benchmark-json=b.json"][-5:]
    assert capsys.readouterr().out.endswith(" · smoke profile\n")


def test_an_option_that_pytest_does_not_know_is_a_usage_error(handed: list[Any]) -> None:
    """pytest ends with 4 then, which is the status of a run that measured nothing."""
    assert run.measure(["--unknown"]) == 2
    assert run.measure([]) == 4


def test_the_first_line_is_written_once(handed: list[Any]) -> None:
    run.measure([])
    [(_, [plugin])] = handed
    manager = pytest.PytestPluginManager()
    plugin.pytest_addoption(manager)
    assert manager.has_plugin(WRITTEN)


def test_an_extension_before_the_command_goes_to_pytest(
    handed: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "mine.py"
    file.write_text("")
    monkeypatch.setattr("bench.extensions.load", lambda paths: None)
    with pytest.raises(SystemExit):
        app.run(["--extension", str(file), "run", "--plan"])
    assert handed[0][0][-3:] == ["--extension", str(file), "--plan"]


def test_an_installation_without_the_cases_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(run, "FOLDER", tmp_path)
    with pytest.raises(UsageError, match=r"has no test_\*\.py files"):
        run.measure([])


def help_of(name: str) -> str:
    return CliRunner().invoke(app.build([name]), [name, "--help"], terminal_width=80).output


def test_the_help_of_run_has_every_option_of_a_run_in_groups() -> None:
    text = help_of("run")
    assert [panel for panel in re.findall(r"╭─ ([\w ]+?) ─", text) if panel != "Options"] == PANELS
    assert [option.name for option in run_options() if option.group and f" {option.name} " not in text] == []
    assert "--granularity" not in text, "old names are not listed"
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("name", ["ceiling", "regress", "sweep", "bisect"])
def test_long_commands_have_their_options_in_groups(name: str) -> None:
    panels = re.findall(r"╭─ ([\w ]+?) ─", help_of(name))
    assert [panel for panel in PANELS if panel in panels] == panels[1:]
    assert panels[:2] == ["Options", "What to measure"]


def test_short_commands_have_one_list() -> None:
    assert re.findall(r"╭─ ([\w ]+?) ─", help_of("doctor")) == ["Options"]


def test_an_option_has_the_same_group_in_every_command() -> None:
    groups = {option.name.removeprefix("--"): option.group for option in run_options() if option.group}
    shared = ["model", "batch", "workers", "axis", "time-budget", "results", "reports", "threads", "data"]
    assert {name: group_of(name) for name in shared} == {name: groups[name] for name in shared}


def test_paragraphs_of_a_help_are_broken_by_the_terminal_alone() -> None:
    def command() -> None:
        """First line.

        A paragraph that goes
        on.
        """

    assert unwrapped(command) == "First line.\n\nA paragraph that goes on."


def test_commands_are_listed_in_groups() -> None:
    text = CliRunner().invoke(app.build([]), ["--help"]).output
    assert re.findall(r"╭─ ([\w ]+?) ─", text) == ["Options", *app.GROUPS]
