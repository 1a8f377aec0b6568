"""``python -m bench regress`` with environments and workers that are played: what it prints, writes and ends with."""

from __future__ import annotations

import json
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bench.cli import app
from bench.cli.live import pairs
from bench.environments.builder import PreparedEnvironment
from bench.environments.interpreter import Interpreter
from bench.errors import BenchError, UsageError
from bench.records.comparison import Comparison
from bench.records.record import Environment
from bench.records.store import Store, read_comparison
from bench.runner.launchers.local import SpawnLauncher
from tests.fake_workers import FAKE

CASE = "train-yolov8n-cpu-fp32-b4-i160"

Command = Callable[..., tuple[int, str]]

MODELS = {"yolov8": "nsmlx", "yolo11": "nsmlx", "runs-on-base-alone": ""}


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs the command in an empty folder; ``ultralytics==8.4.0+10`` is 10 % slower than ``ultralytics==8.4.0``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("YOLOPACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    monkeypatch.setattr("bench.compare.background_load.BackgroundLoadMonitor.interference", lambda self, workers: [])
    monkeypatch.setattr(
        "bench.runner.launchers.local.open_launcher", lambda interpreter, network=False: SpawnLauncher(interpreter)
    )

    def provide(specification: Any, exclude_newer: str, say: Any, replica: int = 0) -> PreparedEnvironment:
        version = str(specification).rpartition("==")[2]
        if version.startswith("9"):
            raise UsageError(f"no environment can be made of {specification}: there is no such version.")
        slower = float(version.partition("+")[2] or 0) / 100
        python = tmp_path / f"python-{version}-{replica}"
        python.write_text(f'#!/bin/sh\nFAKE_FACTOR={1 + slower} exec {sys.executable} -S {FAKE} "$@"\n')
        python.chmod(python.stat().st_mode | stat.S_IXUSR)
        environment = Environment(python="3.11.0", packages={"torch": "2.9", "ultralytics": version}, yolopace="0")
        packages = ("torch==2.9", f"ultralytics=={version}")
        interpreter = Interpreter(
            path=str(python),
            environment=environment,
            offers={"ultralytics": {"models": MODELS}},
        )
        return PreparedEnvironment(interpreter, packages, key=version, requested=str(specification))

    monkeypatch.setattr("bench.environments.builder.provide", provide)

    def run(*arguments: str, base: str = "8.4.0", head: str = "8.4.0+10", case: str = CASE) -> tuple[int, str]:
        chosen = ["--case", case] if case else []
        asked = ["regress", "--base", f"ultralytics=={base}", "--head", f"ultralytics=={head}", *chosen, *arguments]
        done = CliRunner().invoke(app.build(asked), asked)
        if isinstance(done.exception, BenchError):  # what main() makes of it
            return int(done.exception.code), f"{done.output}yolopace: {done.exception}"
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.exit_code, done.output

    return run


def kept(folder: Path = Path("results")) -> Comparison:
    [file] = folder.glob("regress-*/comparison.json")
    return read_comparison(file.parent)


def test_a_slower_head_is_called_so_with_figures_page_and_exit_code(command: Command, tmp_path: Path) -> None:
    code, output = command("--json", "found.json")
    assert code == 1
    assert "ultralytics 8.4.0 → 8.4.0+10; nothing else differs" in output
    assert f"{CASE}\n    SLOWER  head takes 10.0 % longer" in output
    assert "4 of 8 pairs count" in output
    comparison = kept()
    assert [len(case.interim) for case in comparison.cases] == [4]
    assert [len(case.confirmation) for case in comparison.cases] == [4]
    content = json.loads(Path("found.json").read_text())
    assert (content["verdict"], content["exit_code"]) == ("slower", 1)
    [page] = Path("reports").glob("regress-*/index.html")
    assert "10.0\N{NO-BREAK SPACE}% longer" in page.read_text(encoding="utf-8")
    assert f"page: {page}" in output and f"records: {Path('results') / comparison.run}" in output


def test_a_faster_head_is_fine(command: Command) -> None:
    code, output = command(base="8.4.0+10", head="8.4.0")
    assert code == 0
    assert f"{CASE}\n    FASTER  head takes 9.1 % less time" in output


def test_the_same_twice_is_a_check_of_yolopace_itself_and_says_so(command: Command) -> None:
    code, output = command(head="8.4.0")
    assert code == 0
    assert "base and head are the same (A/A test): any difference is noise, or an error of yolopace" in output
    assert f"{CASE}\n    SAME  head" in output
    comparison = kept()
    assert comparison.self_comparison
    assert Path("python-8.4.0-1").exists()  # a copy, which was installed separately


def test_a_margin_that_was_asked_for_is_used(command: Command) -> None:
    code, output = command("--margin", "20%")
    assert code == 0
    assert f"{CASE}\n    SAME  head" in output
    assert (kept().margin, kept().margin_from) == (0.2, "as asked")


def test_without_a_case_it_takes_the_small_one_of_its_profile(command: Command) -> None:
    command("--time-budget", "0.001s", case="")
    assert [case.case.id for case in kept().cases] == [CASE]


def test_cases_can_be_named_by_their_axes(command: Command) -> None:
    command("--mode", "predict", "--batch", "1,2", "--device", "cpu", "--time-budget", "0.001s", case="")
    assert [case.case.id for case in kept().cases] == [
        "predict-yolov8n-cpu-fp32-b1-i160",
        "predict-yolov8n-cpu-fp32-b2-i160",
    ]


def test_a_budget_leaves_it_undecided_and_resume_goes_on(command: Command) -> None:
    code, output = command("--time-budget", "0.001s")
    assert code == 3
    assert "time budget used up with 1 case undecided: --resume continues" in output
    before = kept()
    assert len(before.cases[0].pairs) < 4
    code, output = command("--resume")
    assert code == 1
    after = kept()
    assert (after.run, len(after.cases[0].pairs)) == (before.run, 8)
    assert after.cases[0].pairs[: len(before.cases[0].pairs)] == before.cases[0].pairs
    code, output = command("--resume")  # all is decided: it is shown again
    assert code == 1 and kept() == after


def test_a_run_can_be_named_and_a_name_is_given_once(command: Command) -> None:
    code, _ = command("--run", "torch-upgrade")
    assert code == 1
    assert read_comparison(Path("results/torch-upgrade")).run == "torch-upgrade"
    assert Path("reports/torch-upgrade/index.html").exists()
    for arguments, sentence in (
        (["--run", "torch-upgrade"], "run 'torch-upgrade' is in results already"),
        (["--run", "../away"], "cannot be the name of a folder"),
        (["--run", "other", "--resume"], "leave one of them out"),
    ):
        code, output = command(*arguments)
        assert code == 2 and sentence in output


def test_resume_judges_again_by_another_margin(command: Command) -> None:
    command()
    code, _ = command("--resume", "--margin", "15%")
    assert code == 0
    assert kept().margin == 0.15


def test_resume_takes_the_newest_that_is_not_decided_and_its_date(command: Command) -> None:
    command("--time-budget", "0.001s", "--run", "a-first")
    command("--run", "z-decided")
    dated = read_comparison(Path("results/a-first")).exclude_newer
    assert dated.startswith("20") and dated.endswith("Z")
    code, _ = command("--resume")
    assert code == 1
    comparison = read_comparison(Path("results/a-first"))
    assert (len(comparison.cases[0].pairs), comparison.exclude_newer) == (8, dated)


def test_what_failed_is_tried_again_by_resume(command: Command) -> None:
    command("--run", "one", "--time-budget", "0.001s")
    kept_one = read_comparison(Path("results/one"))
    kept_one.cases[0].error = "head: it died"
    Store.at(Path("results/one")).save(kept_one)
    code, _ = command("--resume")
    assert code == 1
    assert read_comparison(Path("results/one")).cases[0].error == ""


def test_a_page_that_cannot_be_written_hides_no_regression(command: Command) -> None:
    Path("reports").write_text("a file")
    code, output = command()
    assert code == 1
    assert "the page cannot be written" in output
    code, output = command("--resume", "--margin", "50%")
    assert code == 2


def test_an_index_that_knows_no_dates_is_asked_without(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    from bench.environments import builder

    before = builder.provide

    def provide(specification: Any, exclude_newer: str, say: Any, replica: int = 0) -> PreparedEnvironment:
        if exclude_newer:
            raise UsageError("no release has a date.")
        return before(specification, exclude_newer, say, replica)

    monkeypatch.setattr(builder, "provide", provide)
    code, _ = command()
    assert code == 1 and kept().exclude_newer == ""
    code, output = command("--exclude-newer", "2026-01-01")
    assert code == 2 and "no release has a date" in output


def test_nothing_is_left_of_one_that_could_not_begin(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Any, workload: str = "") -> None:
        raise UsageError("python cannot import torch and ultralytics: no.")

    monkeypatch.setattr(SpawnLauncher, "wait", broken)
    code, output = command()
    assert code == 2 and "cannot import torch" in output
    assert list(Path("results").iterdir()) == []


def test_nothing_to_resume(command: Command) -> None:
    code, output = command("--resume")
    assert code == 2
    assert "results holds no comparison of these environments and cases on this machine: leave --resume out." in output


def test_ctrl_c_keeps_what_was_measured_and_says_what_is_known(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(comparison: Comparison) -> Any:
        def stop_after_two_pairs(compared: Any, trouble: str) -> None:
            if len(compared.pairs) == 2:
                raise KeyboardInterrupt

        return stop_after_two_pairs

    monkeypatch.setattr(pairs, "progress", stopped)
    code, output = command()
    assert code == 3
    assert "stopped: --resume continues with what was measured" in output
    assert "records: results/regress-" in output
    assert f"{CASE}\n    INCONCLUSIVE  head" in output and "2 pairs" in output
    assert len(kept().cases[0].pairs) == 2


def test_the_summary_of_a_step_is_written_where_github_wants_it(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    (tmp_path / "summary.md").write_text("before\n")
    code, _ = command("--time-budget", "0.001s")
    assert code == 3
    text = (tmp_path / "summary.md").read_text()
    assert text.startswith("before\n") and "inconclusive" in text
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path))
    code, output = command("--time-budget", "0.001s")
    assert code == 3 and "the summary of this step cannot be written" in output


def test_a_case_that_only_base_can_run_is_a_regression(command: Command) -> None:
    code, output = command("--model", "runs-on-base-alone", case="")
    assert code == 1
    assert "No such thing." in output
    [compared] = kept().cases
    assert not compared.both_runnable


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"base": "9.0"}, "no environment can be made of ultralytics==9.0: there is no such version."),
        ({"case": "yolov8n"}, "case 'yolov8n' is no id of a case"),
        ({"case": "train-nothing-cpu-fp32-b4-i160"}, "model 'nothing' is unknown to Ultralytics"),
        ({"arguments": ["--mode", "train"]}, "name cases by --case or by --mode and the like, not by both."),
        ({"arguments": ["--margin", "five"]}, "margin 'five' is not allowed"),
        ({"arguments": ["--memory-margin", "0%"]}, "memory-margin '0%' is not allowed"),
        ({"arguments": ["--time-budget", "soon"]}, "'soon' is no duration"),
        ({"arguments": ["--threads", "-1"]}, "threads -1 is not allowed"),
        ({"arguments": ["--data", "none.yaml"]}, "data 'none.yaml': there is no such file"),
        ({"arguments": ["--json", "no/found.json"]}, "no/found.json cannot be written: there is no folder"),
        ({"arguments": ["--device", "tpu"], "case": ""}, "device 'tpu' is unknown"),
    ],
)
def test_wrong_use_is_a_sentence_and_measures_nothing(
    command: Command, arguments: dict[str, Any], sentence: str
) -> None:
    code, output = command(*arguments.pop("arguments", []), **arguments)
    assert code == 2
    assert sentence in output
    assert not Path("results").exists()


@pytest.mark.parametrize(
    ("specification", "sentence"),
    [
        ("numpy==2.0", "names neither torch nor ultralytics"),
        ("torch = 2", "is no requirement"),
        ("python:", "names no interpreter"),
        ("./nowhere", "nowhere"),
        ("python:/nowhere/python", "there is no such executable"),
    ],
)
def test_a_specification_that_is_none(tmp_path: Path, specification: str, sentence: str) -> None:
    done = CliRunner().invoke(app.build(["regress"]), ["regress", "--base", specification, "--head", "torch"])
    assert isinstance(done.exception, UsageError)
    assert sentence in str(done.exception)
