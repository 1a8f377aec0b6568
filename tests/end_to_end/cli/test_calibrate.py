"""``python -m bench calibrate`` with workers that are played, and what tables make of it."""

import pytest

from bench.cli import io
from bench.cli.calibrate import calibrate as command_calibrate
from bench.compare import calibration as runner
from bench.errors import NothingMeasured
from bench.machine.fingerprint import machine
from bench.machine.paths import calibration_folder
from bench.records import store
from bench.records.calibration import Calibration
from tests.builders import make_record


@pytest.fixture
def calibrate(launcher, tmp_path, monkeypatch):
    """The command, with the model that its workers play."""
    monkeypatch.setattr("bench.environments.interpreter.inspect", lambda python: launcher.interpreter)
    monkeypatch.setattr("bench.runner.launchers.local.open_launcher", lambda *_: launcher)
    monkeypatch.setattr("bench.compare.calibration.MAX_PROCESSES", 8)
    monkeypatch.setattr("bench.compare.calibration.PAIRS", 3)
    monkeypatch.setattr("bench.compare.background_load.BackgroundLoadMonitor.interference", lambda self, workers: [])

    def command(model, **options):
        expand = cli_expand(model)
        monkeypatch.setattr("bench.compare.calibration.expand_grid", expand)
        command_calibrate(**{"device": "cpu", "time_budget": "60s", "results": tmp_path, "python": "", **options})

    return command


def kept() -> list[Calibration]:
    """The calibrations of this machine."""
    return store.read_calibrations(calibration_folder(), machine())[0].calibrations


def cli_expand(model):
    from bench.cases.plan import expand_grid

    return lambda chosen, devices, values: expand_grid(chosen, devices, {**values, "model": [model]})


def test_what_was_found_is_said_in_plain_words_and_kept(calibrate, capsys, tmp_path):
    calibrate("wobbles")
    out, err = capsys.readouterr()
    # Each process is 2 % slower, then 2 % faster than the middle: eight have a standard deviation of 2.14 %.
    assert (
        "cpu, training (train-wobbles-cpu-fp32-b4-i160)\n"
        "  run-to-run variation  2.1 % (SD of 8 processes)\n"
        "  single process        known to ± 5.1 %\n"
        "  separate runs         4 / 8 / 12 pairs give ± "
    ) in out
    assert "cpu, prediction (predict-wobbles-cpu-fp32-b4-i160)\n" in out
    assert max(map(len, out.splitlines()[:-1])) <= 120
    assert err.startswith("measuring cpu against itself for ")
    [folder] = tmp_path.glob("calibration-*")
    file = calibration_folder() / f"{machine().key}.json"
    assert out.rstrip().endswith(f"calibration: {file}; records: {folder}")
    assert len([line for line in err.splitlines() if "images/s" in line]) == 16
    by_mode = {calibration.mode: calibration for calibration in kept()}
    assert by_mode["train"].stdev == pytest.approx(0.02138, rel=1e-3)
    assert (by_mode["train"].processes, by_mode["train"].run) == (8, folder.name)


def test_a_newer_calibration_takes_the_place_of_the_older(calibrate):
    calibrate("swings")
    calibrate("wobbles")
    calibrations = kept()
    assert [calibration.case for calibration in calibrations] == [
        "predict-wobbles-cpu-fp32-b4-i160",
        "train-wobbles-cpu-fp32-b4-i160",
    ]


def test_what_was_not_measured_says_why_and_nothing_is_kept(calibrate, capsys):
    with pytest.raises(NothingMeasured, match="nothing is kept"):
        calibrate("broken")
    out, _ = capsys.readouterr()
    assert "cpu, train-broken-cpu-fp32-b4-i160: ValueError: no." in out
    assert not calibration_folder().exists()


def test_where_all_windows_have_interference_its_kind_is_named(calibrate, capsys):
    with pytest.raises(NothingMeasured, match=r"remove the most .* \(the machine ran on its battery\)\.$"):
        calibrate("on-battery")
    assert "measured 8 times, fewer than 3 without interference" in capsys.readouterr().out


def test_a_rough_calibration_leaves_a_fuller_one_in_its_place_and_says_so(calibrate, capsys, monkeypatch):
    calibrate("wobbles")
    monkeypatch.setattr("bench.compare.calibration.MAX_PROCESSES", 4)
    calibrate("wobbles")
    out, _ = capsys.readouterr()
    assert "  warning: 4 processes give a rough estimate" in out
    assert "cpu, train: an earlier calibration of more processes is kept" in out
    assert {calibration.processes for calibration in kept()} == {8}


def test_without_a_time_it_takes_that_of_the_runner(calibrate, monkeypatch):
    budgets = []
    measure = runner.calibrate
    monkeypatch.setattr(runner, "calibrate", lambda *all: budgets.append(all[3]) or measure(*all))
    calibrate("wobbles", time_budget="")
    assert budgets == [runner.DEFAULT_BUDGET * (1 - runner.PAIRS_SHARE)]


def test_too_short_a_time_says_so(calibrate, capsys):
    with pytest.raises(NothingMeasured, match=r"nothing is kept: use a longer --time-budget"):
        calibrate("wobbles", time_budget="0.01s")
    out, _ = capsys.readouterr()
    assert "measured 1 times, fewer than 3 without interference" in out


def test_tables_widen_older_records_of_this_machine_by_it(calibrate, capsys, tmp_path):
    old = make_record(run="old", machine=machine())
    store.Store(tmp_path / "results", "old").save(old)
    [before] = io.read_records([tmp_path / "results"])
    assert before.calibration is None
    calibrate("wobbles")
    [after] = io.read_records([tmp_path / "results"])
    assert after.calibration.case == "train-wobbles-cpu-fp32-b4-i160"
    [kept], _ = store.read([tmp_path / "results"])
    assert kept == old, "files stay as they are"
