"""Agents over execnet on this machine: the code is sent, and processes that are killed leave nothing behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import psutil
import pytest

from bench.fleet import agent, links, package
from bench.fleet.coordinator import Coordinator
from bench.fleet.locks import run_name
from bench.fleet.machine_state import State
from bench.fleet.machines import MachineSpec
from bench.records import store
from tests.builders import make_ceiling, make_machine
from tests.fleet.canned import NAMES, canned_record, content_of, run_and_interrupt, wait_for

pytest.importorskip("execnet")

A, B, C = NAMES
ROOT = Path(__file__).resolve().parents[2]
MEMBER = Path(__file__).with_name("canned_member.py")


@pytest.fixture(autouse=True)
def canned_package(tmp_path, monkeypatch):
    """What is sent is a package whose member is canned; it goes into a cache of this test."""
    code = tmp_path / "sent"
    for name in ("bench/__init__.py", "bench/cli/__init__.py"):
        (code / name).parent.mkdir(parents=True, exist_ok=True)
        (code / name).touch()
    (code / "bench/cli/fleet_member.py").write_text(MEMBER.read_text())
    monkeypatch.setenv("YOLOPACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(package, "ROOT", code)
    package.digest.cache_clear()
    package.archive.cache_clear()
    yield
    package.digest.cache_clear()
    package.archive.cache_clear()


def machine_spec(tmp_path, name, **faults):
    options = {
        "disk": str(tmp_path / f"disk-{name}"),
        "planned": {"names": NAMES, "machine": msgspec.to_builtins(make_machine()), "environment": "e"},
        "records": {case: content_of(canned_record(name, case)) for case in NAMES},
        "failed": {
            case: content_of(canned_record(name, case, status="failed", reason="Its agent was lost.")) for case in NAMES
        },
        "faults": {case: fault for case, fault in faults.items()},
    }
    return MachineSpec(name, python=sys.executable, options=options)


def coordinator_of(tmp_path, *specs, **changes):
    given = {"started": "2026-11-22T18:45:12Z", "retry_seconds": (0.0,), **changes}
    return Coordinator("r", tmp_path / "results", specs, {}, links.connect, **given)


def processes(tmp_path, name):
    """Members of a machine that still run."""
    numbers = [int(path.name.partition("-")[2]) for path in (tmp_path / f"disk-{name}").glob("pid-*")]
    return [number for number in numbers if is_running(number)]


def is_running(number):
    try:
        return psutil.Process(number).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def starts(tmp_path, name):
    return {case: len((tmp_path / f"disk-{name}" / f"{case}.started").read_text()) for case in NAMES}


def test_records_come_byte_for_byte_and_faults_cost_the_running_case_alone(tmp_path):
    lines, faults = [], {A: ("member", 1), B: ("agent", 1), C: ("member", 2)}
    specs = [machine_spec(tmp_path, "a"), machine_spec(tmp_path, "b", **faults)]
    coordinator = coordinator_of(tmp_path, *specs, say=lines.append)
    coordinator.run()
    assert [machine.state for machine in coordinator.machines.values()] == [State.FINISHED] * 2
    for case in NAMES:
        assert (tmp_path / "results/r/a" / f"{case}.json").read_text() == specs[0].options["records"][case]
    assert (tmp_path / "results/r/b" / f"{C}.json").read_text() == specs[1].options["failed"][C]
    assert starts(tmp_path, "a") == {A: 1, B: 1, C: 1}
    assert starts(tmp_path, "b") == {A: 2, B: 1, C: 2}  # B was measured and kept although its agent was killed
    assert "b: its process was killed by SIGKILL: a last line. It is tried again." in lines
    assert "b: the connection ended. It is tried again." in lines
    wait_for(lambda: not processes(tmp_path, "a") and not processes(tmp_path, "b"))
    sent = tmp_path / "cache/fleet/code" / package.digest()
    assert agent.code_digest(agent.code_files(sent)) == package.digest()


def test_stopping_now_ends_a_member_that_hangs(tmp_path):
    coordinator = coordinator_of(tmp_path, machine_spec(tmp_path, "a", **{B: ("hang", 1)}))
    run_and_interrupt(coordinator, lambda: (tmp_path / f"disk-a/{B}.started").exists())
    [number] = processes(tmp_path, "a")
    coordinator.stop_now()
    wait_for(lambda: not is_running(number))
    assert [path.name for path in (tmp_path / "results/r/a").iterdir()] == [f"{A}.json"]


COORDINATOR = """
import sys
from pathlib import Path
from tests.fleet import test_agents as t
t.package.ROOT = Path(sys.argv[1]) / "sent"
t.coordinator_of(Path(sys.argv[1]), t.machine_spec(Path(sys.argv[1]), "a", **{t.B: ("hang", 1)})).run()
"""


def test_a_coordinator_that_is_killed_leaves_no_process_and_resume_measures_the_rest(tmp_path):
    command = [sys.executable, "-c", COORDINATOR, str(tmp_path)]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "YOLOPACE_CACHE": str(tmp_path / "cache")})
    try:
        wait_for(lambda: (tmp_path / f"disk-a/{B}.started").exists())
        [number] = processes(tmp_path, "a")
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    wait_for(lambda: not is_running(number))
    coordinator_of(tmp_path, machine_spec(tmp_path, "a")).run()
    assert [record.name for record in store.read([tmp_path / "results/r/a"])[0]] == sorted(NAMES)
    assert starts(tmp_path, "a") == {A: 1, B: 2, C: 1}


def test_damaged_code_in_the_cache_is_sent_again(tmp_path):
    coordinator_of(tmp_path, machine_spec(tmp_path, "a")).run()
    member = tmp_path / "cache/fleet/code" / package.digest() / "bench/cli/fleet_member.py"
    member.write_text("raise SystemExit('damaged')")
    coordinator_of(tmp_path, machine_spec(tmp_path, "b")).run()
    assert member.read_text() == MEMBER.read_text()
    assert len(list((tmp_path / "results/r/b").iterdir())) == 3


SSH = """#!/bin/sh
# Stands for ssh: notes its arguments, and runs the command here or fails as ssh does.
echo "$@" >> {log}
for last; do :; done
case "$*" in
  *changed*) echo "REMOTE HOST IDENTIFICATION HAS CHANGED!" >&2; echo "Host key verification failed." >&2; exit 255;;
  *new*) echo "Host key verification failed." >&2; exit 255;;
  *nokey*) echo "me@nokey: Permission denied (publickey)." >&2; exit 255;;
  *away*) echo "ssh: connect to host away port 22: Connection timed out" >&2; exit 255;;
  *nowhere*) echo "ssh: Could not resolve hostname nowhere: Name or service not known" >&2; exit 255;;
esac
exec sh -c "$last"
"""


@pytest.fixture
def ssh(tmp_path, monkeypatch):
    program = tmp_path / "bin/ssh"
    program.parent.mkdir()
    program.write_text(SSH.format(log=tmp_path / "ssh.log"))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return tmp_path / "ssh.log"


def test_ssh_carries_the_agent_asks_nothing_and_gets_no_secret(tmp_path, ssh):
    spec = msgspec.structs.replace(machine_spec(tmp_path, "a"), host="me@box", port=2222)
    coordinator_of(tmp_path, spec).run()
    assert len(list((tmp_path / "results/r/a").iterdir())) == 3
    calls = ssh.read_text().splitlines()
    assert len(calls) == 2  # the question, and the agent
    for call in calls:
        assert "BatchMode=yes" in call and "-p 2222" in call and "me@box" in call
        assert "StrictHostKeyChecking" not in call and "UserKnownHostsFile" not in call
        assert "disk" not in call and A not in call  # options travel inside the connection


@pytest.mark.parametrize(
    ("host", "text", "final"),
    [
        ("changed", "its host key has changed", True),
        ("new", "its host key is not known here", True),
        ("me@nokey", "ssh is not let in", True),
        ("away", "it cannot be reached", False),
        ("nowhere", "there is no machine of that name", False),
    ],
)
def test_what_ssh_says_becomes_one_sentence(ssh, host, text, final):
    with pytest.raises(links.Unreachable, match=text) as raised:
        links.probe(MachineSpec("a", host=host))
    assert raised.value.final == final
    assert "\n" not in str(raised.value)


def python_that(tmp_path, script):
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return MachineSpec("a", host="box", python=str(program))


def test_what_a_python_lacks_is_said(tmp_path, ssh, monkeypatch):
    with pytest.raises(links.Unreachable, match=r"there is no Python '/absent/python' there"):
        links.probe(MachineSpec("a", host="box", python="/absent/python"))
    with pytest.raises(links.Unreachable, match=r"its Python '.*' does not work: broken"):
        links.probe(python_that(tmp_path, "cat >/dev/null; echo broken >&2; exit 1"))
    answer = links.MARK + '[[3, 9], "/usr/bin/python3", []]'
    with pytest.raises(links.Unreachable, match=r"/usr/bin/python3 is 3\.9, and yolopace needs 3\.11"):
        links.probe(python_that(tmp_path, f"cat >/dev/null; echo '{answer}'"))
    answer = links.MARK + '[[3, 12], "/usr/bin/python3", ["torch", "msgspec"]]'
    with pytest.raises(links.Unreachable, match=r"has no torch, msgspec: install yolopace\[headless\] there"):
        links.probe(python_that(tmp_path, f"cat >/dev/null; echo 'a greeting'; echo '{answer}'"))
    assert links.probe(MachineSpec("a", host="box", python=sys.executable)) == sys.executable


def test_a_ceiling_that_ends_arrives_from_each_of_two_agents(tmp_path):
    shown, specs = [], []
    for name in ("a", "b"):
        ceiling = make_ceiling(run=run_name("r", name), batch=24)
        case = ceiling.case.search_id
        spec = machine_spec(tmp_path, name)
        spec.options["planned"]["names"] = [A, case]
        spec.options["records"][case] = content_of(ceiling)
        specs.append(spec)
    coordinator = coordinator_of(tmp_path, *specs, show=lambda machine, item: shown.append((machine.name, item.name)))
    coordinator.run()
    assert [machine.state for machine in coordinator.machines.values()] == [State.FINISHED] * 2
    for spec in specs:
        folder = tmp_path / "results/r" / spec.name
        assert (folder / ceiling.file_name).read_text() == spec.options["records"][case]
        [stored] = store.read_ceilings([folder])[0]
        assert (stored.case.batch, stored.run) == (24, run_name("r", spec.name))
    assert sorted(shown) == [(name, item) for name in "ab" for item in sorted([A, ceiling.name])]
    assert store.read_fleet(tmp_path / "results/r").machines["a"].left == []
