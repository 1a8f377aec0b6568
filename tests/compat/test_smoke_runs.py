"""One environment after another: what breaks in one costs its own row. The interpreters are played, uv too."""

import pytest
import typer

from bench.cli.compat import compat
from bench.compat import smoke_runs
from bench.environments.specification import Specification
from bench.errors import NothingMeasured, UsageError
from bench.records import store
from bench.runner.launchers.local import SpawnLauncher
from tests.builders import make_environment, make_record
from tests.fake_workers import plan

from ..environments.uv_index import Uv

PLANS = [plan("yolov8n"), plan("yolov8n", mode="predict"), plan("refuses-amp", amp="on"), plan("broken")]


@pytest.fixture
def uv(tmp_path, monkeypatch):
    return Uv(tmp_path, monkeypatch)


@pytest.fixture
def attempt(uv, tmp_path, monkeypatch):
    """Tries specifications with the cases above: what came of each, and what was said."""
    monkeypatch.setattr(smoke_runs, "expand_grid", lambda *_: PLANS)
    monkeypatch.setattr(smoke_runs, "open_launcher", SpawnLauncher)

    def run(*texts):
        messages = []
        wanted = [Specification.parse(text) for text in texts]
        return list(smoke_runs.run(wanted, tmp_path / "runs", messages.append)), messages

    return run


def statuses(tried):
    return [record.outcome.status.value for record in tried.records]


def test_each_environment_is_a_run_of_its_own(attempt, tmp_path):
    tried, messages = attempt("ultralytics==8.3.230,torch==2.6.0", "ultralytics==8.4.0")
    assert [environment_run.name for environment_run in tried] == [
        "8.3.230 with torch 2.6.0",
        "8.4.0 with torch 2.15.0",
    ]
    assert [statuses(environment_run) for environment_run in tried] == [
        ["measured", "measured", "substituted", "failed"]
    ] * 2
    assert [environment_run.failure for environment_run in tried] == ["", ""]
    assert store.runs(tmp_path / "runs") == ["compat-8.3.230-2.6.0", "compat-8.4.0-2.15.0"]
    records, _ = store.read([tmp_path / "runs"])
    assert {record.environment.ultralytics for record in records} == {"8.3.230", "8.4.0"}
    assert messages[0] == "[1/2] ultralytics==8.3.230,torch==2.6.0"
    assert "  train-refuses-amp-cpu-amp-b4-i64: substituted" in messages


def test_the_runs_of_several_environments_are_no_run_of_results(attempt, tmp_path):
    attempt("ultralytics==8.4.0")
    (tmp_path / "runs").rename(tmp_path / "results-compat")
    (tmp_path / "results").mkdir()
    (tmp_path / "results-compat").rename(tmp_path / "results" / "compat-20261122")
    assert store.runs(tmp_path / "results") == []
    assert store.files([tmp_path / "results"]) == []
    assert len(store.files([tmp_path / "results" / "compat-20261122"])) == len(PLANS)


def test_what_cannot_be_built_or_inspected_does_not_stop_the_others(attempt, uv, tmp_path):
    script = uv.folder / "python.sh"
    good = script.read_text()
    tried, _ = attempt("ultralytics==8.4.999", "ultralytics==8.4.0")
    assert [(environment_run.name, len(environment_run.records)) for environment_run in tried] == [
        ("ultralytics==8.4.999", 0),
        ("8.4.0 with torch 2.15.0", len(PLANS)),
    ]
    assert "no version of ultralytics==8.4.999" in tried[0].failure
    script.write_text("#!/bin/sh\necho 'libpython is not here' >&2\nexit 127\n")
    [mute], _ = attempt("ultralytics==8.4.0,torch==2.7.0")
    assert "does not answer (libpython is not here)" in mute.failure
    script.write_text(good)
    assert attempt("ultralytics==8.4.0,torch==2.6.0")[0][0].failure == ""


def test_an_environment_that_breaks_while_it_runs_keeps_its_records(attempt, monkeypatch):
    wait, waited = SpawnLauncher.wait, []

    def breaks(self, *arguments):
        waited.append(1)
        if len(waited) == 2:
            raise UsageError("cannot import torch.")
        wait(self, *arguments)

    monkeypatch.setattr(SpawnLauncher, "wait", breaks)
    tried, messages = attempt("ultralytics==8.4.0", "ultralytics==8.4.190")
    assert [(statuses(environment_run)[:2], environment_run.failure) for environment_run in tried] == [
        (["measured"], "cannot import torch."),
        (["measured", "measured"], ""),
    ]
    assert "  cannot import torch." in messages


def test_ctrl_c_still_gives_what_was_seen_of_the_environment_under_way(attempt, monkeypatch, tmp_path):
    wait, waited = SpawnLauncher.wait, []

    def stops(self, *arguments):
        waited.append(1)
        if len(waited) == 6:
            raise KeyboardInterrupt
        wait(self, *arguments)

    monkeypatch.setattr(SpawnLauncher, "wait", stops)
    wanted = [Specification.parse(f"ultralytics=={version}") for version in ("8.4.0", "8.4.190", "8.3.230")]
    runs = smoke_runs.run(wanted, tmp_path / "runs", lambda text: None)
    first, second = next(runs), next(runs)
    assert (len(first.records), first.failure) == (len(PLANS), "")
    assert (second.name, second.failure) == ("8.4.190 with torch 2.15.0", "It was stopped.")
    assert statuses(second) == ["measured"]
    with pytest.raises(KeyboardInterrupt):
        next(runs)


def test_the_same_environment_is_tried_once(attempt):
    tried, messages = attempt("ultralytics", "ultralytics==8.4.190,torch==2.15.0")
    assert [environment_run.name for environment_run in tried] == ["8.4.190 with torch 2.15.0"]
    assert messages[-1] == "  that is the same environment as one before"


def test_results_that_cannot_be_written_end_it(attempt, tmp_path):
    (tmp_path / "runs").write_text("a file is in the way")
    with pytest.raises(UsageError, match="results cannot be written"):
        attempt("ultralytics==8.4.0")


def test_by_default_both_ends_are_tried_with_the_oldest_torch_too(uv):
    wanted = [str(specification) for specification in smoke_runs.specifications()]
    assert wanted == [
        "ultralytics==8.3.230",
        "ultralytics==8.4.0",
        "ultralytics==8.4.60",
        "ultralytics==8.4.120",
        "ultralytics==8.4.155",
        "ultralytics==8.4.190",
        "ultralytics==8.3.230,torch==2.6.0",
        "ultralytics==8.4.190,torch==2.6.0",
    ]


def test_the_oldest_versions_are_the_floor_of_the_worker():
    assert smoke_runs.ULTRALYTICS[0] == "8.3.230"
    assert smoke_runs.TORCH == "torch>=2.6"


def exit_status(monkeypatch, tmp_path, *tried):
    """Exit status of the command where environments end like this."""
    monkeypatch.setattr(smoke_runs, "run", lambda *_: iter(tried))
    try:
        compat(environment=["ultralytics"], results=tmp_path, exclude_newer="")
    except typer.Exit as stop:
        return int(stop.exit_code)
    except NothingMeasured as error:
        return int(error.code)
    return 0


def test_the_exit_status_tells_whether_all_is_fine(monkeypatch, tmp_path, capsys):
    both = [make_record(), make_record(mode="predict")]
    fine, failed = smoke_runs.EnvironmentRun("a", both, ""), smoke_runs.EnvironmentRun("b", [], "It cannot be built.")
    assert exit_status(monkeypatch, tmp_path, fine) == 0
    assert exit_status(monkeypatch, tmp_path, fine, failed) == 1
    assert exit_status(monkeypatch, tmp_path, failed) == 4
    assert capsys.readouterr().out.count("| Ultralytics") == 3


def test_an_interrupt_still_shows_the_environments_before_it(monkeypatch, tmp_path, capsys):
    def interrupted(*_):
        yield smoke_runs.EnvironmentRun("a", [make_record(environment=make_environment(ultralytics="8.4.77"))], "")
        raise KeyboardInterrupt

    monkeypatch.setattr(smoke_runs, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        compat(environment=["ultralytics"], results=tmp_path, exclude_newer="")
    assert "8.4.77" in capsys.readouterr().out
