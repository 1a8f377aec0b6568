"""``yolopace fleet``: arguments, what is printed, exit statuses, and what is read back."""

import sys

import pytest

from bench import extensions
from bench.cli import app
from bench.cli import fleet as command
from bench.cli.fleet_member import is_offered, option_getter
from bench.cli.recorded import read_results
from bench.errors import ExitCode, UsageError
from bench.records import store
from tests.fleet.canned import NAMES, World, canned_record, die, lose, sending, unreachable

A, B, C = NAMES


def asked(tmp_path, **changes):
    given = {"on": "here", "local": 0, "spread": False, "results": tmp_path, "run": "r", "resume": "", "options": {}}
    return command.requested(**(given | changes))


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"device": "7z"}, "device '7z' is unknown"),
        ({"profile": "nope"}, "profile 'nope' is unknown"),
        ({"axis": ["nope=1"]}, "nope"),
        ({"results": "x"}, "'results' is not one of a single machine"),
        ({"python": "x"}, "'python' is not one of a single machine"),
        ({"nope": "x"}, "option 'nope' is unknown"),
        ({"batch": 2}, "options are texts"),
        ({"target_ci": "0"}, "target-ci '0' is not allowed"),
        ({"time_budget": "soon"}, "'soon'"),
        ({"m": "x"}, "'m' is not one of a single machine"),
        ({"k": "b2 and ("}, "-k 'b2 and \\(' cannot be read"),
    ],
)
def test_impossible_options_are_refused_before_any_machine_is_asked(tmp_path, options, why):
    with pytest.raises(UsageError, match=why):
        asked(tmp_path, options=options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", ["ceiling", "train,ceiling", "predict"])
def test_ceilings_are_asked_for_as_of_one_machine(tmp_path, mode):
    assert asked(tmp_path, options={"mode": mode})[2].options == {"mode": mode}


def test_a_run_that_goes_on_keeps_its_options_and_machines(tmp_path):
    world = World(tmp_path)
    world.run_all()
    with pytest.raises(UsageError, match="run r goes on with the options of its start: leave out --batch"):
        asked(tmp_path, on="", run="", resume="r", options={"batch": "8"})
    with pytest.raises(UsageError, match="leave out --run and --spread"):
        asked(tmp_path, resume="r")
    for name in ("r", "last"):
        run, specs, _ = asked(tmp_path, on="", run="", resume=name)
        assert (run, specs) == ("r", world.specs)
    for name in ("s", "../r", "r/"):
        with pytest.raises(UsageError, match="is no run of a fleet"):
            asked(tmp_path, on="", run="", resume=name)
    with pytest.raises(UsageError, match="already: choose another name"):
        asked(tmp_path)


@pytest.mark.parametrize(
    ("faults", "code"),
    [
        ({}, ExitCode.OK),
        ({("a", B): [die]}, ExitCode.OK),
        ({("a", B): [die, die]}, ExitCode.REGRESSION),
        ({("a", "connect"): [unreachable()]}, ExitCode.REGRESSION),
        ({("a", "connect"): [unreachable()], ("b", "connect"): [unreachable()]}, ExitCode.NOTHING_MEASURED),
        ({("a", B): [sending(b"x")]}, ExitCode.REGRESSION),
        ({("a", B): [lose], ("a", "connect"): [None, unreachable(final=True)]}, ExitCode.REGRESSION),
    ],
)
def test_exit_statuses(tmp_path, capsys, faults, code):
    coordinator = World(tmp_path, faults=faults).run_all()
    coordinator.rescue()
    assert command.conclude(coordinator, "r", tmp_path) is code
    printed = capsys.readouterr().out
    assert ("report: yolopace report" in printed) == (code is not ExitCode.NOTHING_MEASURED)
    assert ("--resume r" in printed) == (code is ExitCode.REGRESSION and die not in faults.get(("a", B), []))
    assert (tmp_path / "r").exists() == (code is not ExitCode.NOTHING_MEASURED)


def test_options_that_no_machine_takes_are_wrong_use(tmp_path):
    refused = sending(b'{"type": "refused", "reason": "model \'x\' is unknown.", "code": 2}')
    coordinator = World(tmp_path, faults={("a", "plan"): [refused], ("b", "plan"): [refused]}).run_all()
    assert command.conclude(coordinator, "r", tmp_path) is ExitCode.WRONG_USE


def test_status_says_what_is_left(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("YOLOPACE_CACHE", str(tmp_path / "cache"))
    results = tmp_path / "results"
    World(results, faults={("a", B): [lose], ("a", "connect"): [None, unreachable(final=True)]}).run_all()
    command.show_status(results, "")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "run r, started 2026-11-22T18:45:12Z: not running"
    assert lines[1] == "a (ssh://a): not running (was gone); 2 of 3 left; it cannot be reached."
    assert lines[2] == "b (ssh://b): finished; 0 of 3 left"
    assert lines[3] == f"go on: yolopace fleet --resume r --results {results}"


def test_tables_read_the_folders_of_all_machines(tmp_path):
    World(tmp_path).run_all()
    every = sorted((machine, name) for machine in "ab" for name in NAMES)
    for source in (tmp_path, tmp_path / "r"):
        records = read_results([source], lambda case, any_batch=False: True).records
        assert sorted((record.run.rpartition("-")[2], record.name) for record in records) == every
    assert len(store.read([tmp_path / "r" / "a"])[0]) == 3
    assert store.runs(tmp_path) == []  # --resume of a single run does not take it
    assert store.runs(tmp_path / "r") == ["a", "b"]


def test_a_record_is_that_of_a_local_run_of_the_same_name(tmp_path):
    World(tmp_path).run_all()
    local = store.Store(tmp_path / "local", "r-a")
    for name in NAMES:
        assert local.save(canned_record("a", name)) == ""
        assert (local.folder / f"{name}.json").read_bytes() == (tmp_path / "r/a" / f"{name}.json").read_bytes()


def test_a_machine_leaves_out_devices_that_it_does_not_have(monkeypatch):
    monkeypatch.setattr("bench.cli.fleet_member.visible_cards", lambda: [0, 1])
    monkeypatch.setattr("bench.cli.fleet_member.devices", lambda: ["0", "cpu"])
    offered = {device: is_offered(device) for device in ("cpu", "0", "1", "2", "0+1", "0+2", "mps", "xpu:1", "2x0")}
    assert [device for device, is_here in offered.items() if is_here] == ["cpu", "0", "1", "0+1", "xpu:1"]


def test_options_have_the_defaults_of_a_run():
    option = option_getter({"device": "cpu", "axis": ["workers=0"]})
    assert (option("device"), option("axis"), option("results"), option("plan")) == (
        "cpu",
        ["workers=0"],
        "results",
        False,
    )
    assert (option("k"), option("batch"), option("resume")) == ("", None, "")


@pytest.mark.parametrize("flag", command.REFUSED)
def test_options_that_a_fleet_does_not_take_say_what_to_use(monkeypatch, capsys, flag):
    monkeypatch.setattr(sys, "argv", ["yolopace", "fleet", "--on", "here", flag, *([] if flag == "--plan" else ["3"])])
    with pytest.raises(SystemExit) as ended:
        app.main()
    assert ended.value.code == ExitCode.WRONG_USE
    assert f"a fleet does not take {flag}: {command.REFUSED[flag]}." in capsys.readouterr().err


def test_a_run_goes_on_with_the_extensions_of_its_start(tmp_path, monkeypatch):
    toy = tmp_path / "toy.py"
    toy.write_text("def register():\n    pass\n")
    monkeypatch.setattr(extensions, "_loaded", {})
    monkeypatch.setenv(extensions.VARIABLE, "")
    extensions.load([str(toy)])
    World(tmp_path / "results").run_all()
    resume = {"results": tmp_path / "results", "on": "", "run": "", "resume": "r"}
    assert asked(tmp_path, **resume)[0] == "r"
    monkeypatch.setattr(extensions, "_loaded", {})
    with pytest.raises(UsageError, match=r"run r goes on with the extensions of its start, which are: toy \("):
        asked(tmp_path, **resume)
