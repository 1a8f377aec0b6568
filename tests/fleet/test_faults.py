"""Whatever fails on the way, no record is lost, none counts twice, and the other machines go on."""

import threading
import time

import pytest

from bench.cli.fleet import conclude
from bench.errors import ExitCode
from bench.fleet import messages
from bench.fleet.machine_state import State
from bench.records import store
from bench.records.store import writing
from tests.builders import make_environment, make_machine
from tests.fleet.canned import (
    NAMES,
    World,
    canned_record,
    content_of,
    die,
    die_after_sending,
    die_before_sending,
    hang,
    lose,
    run_and_interrupt,
    send_twice,
    sending,
    unreachable,
    wait_for,
)

A, B, C = NAMES


@pytest.mark.parametrize(
    "faults",
    [
        {},
        {("a", A): [die]},
        {("a", B): [lose]},
        {("a", C): [die]},
        {("a", A): [die_before_sending]},
        {("a", C): [die_before_sending]},
        {("a", B): [die_after_sending]},
        {("a", C): [die_after_sending]},
        {("a", B): [send_twice]},
        {("a", "plan"): [die]},
        {("a", "plan"): [lose, lose]},
        {("a", A): [lose], ("a", "connect"): [None, unreachable(), unreachable(), unreachable()]},
        {("a", A): [lose], ("a", B): [die], ("a", C): [lose], ("b", A): [die], ("b", C): [die_before_sending]},
        {("a", A): [lose], ("a", "plan"): [None, die]},
    ],
)
def test_after_a_fault_every_machine_has_every_case_once(tmp_path, faults):
    world = World(tmp_path, faults=faults)
    coordinator = world.run_all()
    assert world.stored() == {"a": sorted(NAMES), "b": sorted(NAMES)}
    assert sorted(world.measured()) == sorted((machine, name) for machine in "ab" for name in NAMES)
    assert sorted(world.shown) == sorted(set(world.shown))
    assert [machine.state for machine in coordinator.machines.values()] == [State.FINISHED] * 2
    a = world.disks["a"]
    for disk in world.disks.values():
        # What is here is kept there no more, unless the last process was killed before it could clear up.
        assert disk.forgotten == (not disk.records) == (faults.get(("a", C)) != [die_after_sending] or disk is not a)
        assert max(disk.started.values()) <= 2
        ended = sum(given[0] in (die, lose) for (_, place), given in faults.items() if place in NAMES)
        assert sum(times - 1 for times in disk.started.values()) <= ended  # the running case alone was measured again


@pytest.mark.parametrize("fault", [die, lose])
def test_a_case_that_ends_its_agent_twice_is_failed_there_and_the_others_go_on(tmp_path, fault):
    world = World(tmp_path, faults={("a", B): [fault] * 5})
    coordinator = world.run_all()
    assert world.stored() == {"a": sorted(NAMES), "b": sorted(NAMES)}
    [failed] = [r for r in store.read([tmp_path / "r" / "a"])[0] if r.outcome.status.value == "failed"]
    assert failed.name == B
    assert "Its agent was lost 2 times" in failed.outcome.reason
    assert world.disks["a"].started[B] == 2
    assert coordinator.machines["a"].state is State.FINISHED


def test_a_member_that_never_plans_is_refused_and_the_others_go_on(tmp_path):
    world = World(tmp_path, faults={("a", "plan"): [die] * 10})
    coordinator = world.run_all()
    assert world.stored()["b"] == sorted(NAMES)
    assert coordinator.machines["a"].state is State.REFUSED
    assert world.disks["a"].connected == 3
    assert [line for line in world.lines if "killed by SIGKILL" in line]


def test_a_machine_that_cannot_be_reached_is_left_out_at_once(tmp_path):
    world = World(tmp_path, faults={("a", "connect"): [unreachable()] * 10})
    coordinator = world.run_all()
    assert (coordinator.machines["a"].state, world.disks["a"].connected) == (State.GONE, 1)
    assert world.stored() == {"a": [], "b": sorted(NAMES)}
    assert "a: it cannot be reached." in world.lines
    coordinator.rescue()
    assert not (tmp_path / "r" / "a").exists()


def test_a_machine_that_does_not_return_leaves_its_cases_and_resume_goes_on(tmp_path):
    world = World(tmp_path, faults={("a", B): [lose], ("a", "connect"): [None, unreachable(final=True)]})
    coordinator = world.run_all()
    assert coordinator.machines["a"].state is State.GONE
    assert coordinator.left_of(coordinator.machines["a"]) == [B, C]
    fleet = store.read_fleet(tmp_path / "r")
    assert (fleet.machines["a"].left, fleet.machines["b"].left) == ([B, C], [])
    world.run_all()
    assert world.stored() == {"a": sorted(NAMES), "b": sorted(NAMES)}
    assert world.disks["a"].started == {A: 1, B: 2, C: 1}
    assert world.disks["b"].started == {A: 1, B: 1, C: 1}


def test_patience_ends(tmp_path):
    world = World(tmp_path, faults={("a", B): [lose], ("a", "connect"): [None] + [unreachable()] * 5})
    coordinator = world.run_all(patience=0.0)
    assert coordinator.machines["a"].state is State.GONE
    assert world.stored()["a"] == [A]


def test_a_coordinator_that_dies_and_returns_measures_the_rest_only(tmp_path):
    world = World(tmp_path, faults={("a", B): [hang], ("b", C): [die_before_sending]})
    first = world.start()
    threading.Thread(target=first.run, daemon=True).start()
    other = world.disks["b"]
    wait_for(lambda: world.disks["a"].started[B] and (other.records.get(C) or other.forgotten))
    for machine in first.machines.values():  # it is killed: nothing of it answers any more
        machine.generation += 1
        machine.state = State.GONE
    world.run_all()
    assert world.stored() == {"a": sorted(NAMES), "b": sorted(NAMES)}
    assert world.disks["a"].started == {A: 1, B: 2, C: 1}
    assert world.disks["b"].started == {A: 1, B: 1, C: 1}


def test_a_full_disk_loses_nothing(tmp_path, monkeypatch):
    world, write = World(tmp_path), writing.write_whole
    refused = []

    def full(path, content):
        if path.name.startswith("train") and len(refused) < 4:
            refused.append(path)
            raise OSError(28, "No space left on device")
        write(path, content)

    monkeypatch.setattr(writing, "write_whole", full)
    coordinator = world.run_all()
    assert coordinator.rescue() == []
    assert world.stored() == {"a": sorted(NAMES), "b": sorted(NAMES)}
    assert [line for line in world.lines if "No space left" in line]


def test_a_machine_keeps_its_records_while_the_disk_here_is_full(tmp_path, monkeypatch):
    def full(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writing, "write_whole", full)
    world = World(tmp_path, machines=("a",))
    coordinator = world.run_all()
    assert len(coordinator.machines["a"].store.unsaved) == 3
    assert conclude(coordinator, "r", tmp_path) is ExitCode.WRONG_USE
    assert sorted(world.disks["a"].records) == sorted(NAMES)


WRONG = {
    "no message": b"{]",
    "nothing": b"",
    "unknown message": b'{"type": "exec", "code": "1"}',
    "wrong types": b'{"type": "recorded", "name": 1, "content": []}',
    "deep": b"[" * 100_000,
    "too long": b" " * (messages.MOST_BYTES + 1),
}


def changed(**changes):
    return lambda member, name: messages.Recorded(name, content_of(canned_record(member.spec.name, name, **changes)))


REFUSED = {
    "other run": changed(run="../../x"),
    "other machine": lambda member, name: messages.Recorded(name, content_of(canned_record("b", name))),
    "other case": lambda member, name: messages.Recorded("train-x", content_of(canned_record("a", name))),
    "unplanned": lambda member, name: messages.Recorded(
        "train-yolov8n-cpu-fp32-b64-i160", content_of(canned_record("a", "train-yolov8n-cpu-fp32-b64-i160"))
    ),
    "no record": lambda member, name: messages.Recorded(name, '{"schema": 3}'),
    "not as written": lambda member, name: messages.Recorded(name, content_of(canned_record("a", name)) + " "),
    "further field": lambda member, name: messages.Recorded(
        name, content_of(canned_record("a", name)).replace('"process"', '"x": 1,\n "process"')
    ),
}


@pytest.mark.parametrize("line", [*WRONG.values(), *REFUSED.values()], ids=[*WRONG, *REFUSED])
def test_what_is_no_record_of_the_plan_is_refused_and_the_others_go_on(tmp_path, line):
    world = World(tmp_path, faults={("a", B): [sending(line)]})
    coordinator = world.run_all()
    assert coordinator.machines["a"].state is State.REFUSED
    assert coordinator.machines["a"].note.startswith("it sent")
    assert world.stored() == {"a": [A], "b": sorted(NAMES)}
    assert {path.name for path in tmp_path.rglob("*")} <= {"r", "a", "b", ".fleet.json", *(f"{n}.json" for n in NAMES)}


def test_a_plan_with_a_name_twice_is_refused(tmp_path):
    assert World(tmp_path, names=[A, A]).run_all().machines["a"].state is State.REFUSED


def test_shared_cases_are_measured_once_altogether(tmp_path):
    names = [f"train-yolov8n-cpu-fp32-b{batch}-i160" for batch in range(1, 13)]
    world = World(tmp_path, machines=("a", "b", "c"), names=names)
    world.run_all(spread=True)
    assert sorted(name for _, name in world.measured()) == sorted(names)
    assert all(world.disks[name].forgotten for name in "abc")


def test_processes_of_a_shared_case_stay_on_one_machine(tmp_path):
    names = [f"{name}{end}" for end in ("", "--p2", "--p3") for name in NAMES]
    world = World(tmp_path, names=names)
    world.run_all(spread=True)
    homes = {}
    for machine, name in world.measured():
        homes.setdefault(name.partition("--p")[0], set()).add(machine)
    assert sorted(homes) == sorted(NAMES)
    assert all(len(machines) == 1 for machines in homes.values())


def test_shared_cases_of_a_machine_that_is_gone_are_measured_by_the_others(tmp_path):
    gone = {("a", name): [lose] for name in NAMES}
    world = World(tmp_path, faults={**gone, ("a", "connect"): [None] + [unreachable(final=True)] * 3})
    coordinator = world.run_all(spread=True)
    assert coordinator.machines["a"].state in (State.GONE, State.FINISHED)  # the others may be done before it is tried
    assert sorted(name for _, name in world.measured()) == sorted(NAMES)
    assert world.stored()["a"] == []


def once_the_other_has_a_record(member, name):
    """Finish a case only when machine a has measured one: else this machine may have measured all before."""
    wait_for(lambda: member.world.disks["a"].records)
    member.finish(name)


def test_a_shared_case_that_came_back_late_does_not_count_twice(tmp_path):
    late = {("a", name): [die_before_sending] for name in NAMES}
    slow = {("b", name): [once_the_other_has_a_record] for name in NAMES}
    world = World(tmp_path, faults={**late, **slow, ("a", "connect"): [None, unreachable(final=True)]})
    world.run_all(spread=True)
    assert sorted(world.stored()["b"]) == sorted(NAMES)
    assert len(world.disks["a"].records) == 1
    world.run_all(spread=True)  # a is back, with a record of a case that b has measured meanwhile
    assert sorted(name for _, name in world.measured()) == sorted(NAMES)


@pytest.mark.parametrize("what", ["machine", "environment"])
def test_machines_that_differ_share_no_cases(tmp_path, what):
    world = World(tmp_path)
    if what == "machine":
        world.hardware = {"b": make_machine(fingerprint="0" * 12, cores=4)}
    else:
        world.environments = {"b": make_environment("2.15.0").fingerprint}
    coordinator = world.run_all(spread=True)
    assert sorted(machine.state for machine in coordinator.machines.values()) == [State.FINISHED, State.REFUSED]
    assert sorted(name for _, name in world.measured()) == sorted(NAMES)
    assert [line for line in world.lines if "machines are alike" in line]


def test_after_the_first_interrupt_running_cases_end_and_no_other_begins(tmp_path):
    world = World(tmp_path, machines=("a",), faults={("a", B): [hang]})
    coordinator = world.start()
    thread = threading.Thread(target=coordinator.run, daemon=True)
    thread.start()
    wait_for(lambda: world.disks["a"].started[B])
    coordinator.stopping = True
    time.sleep(0.2)
    assert thread.is_alive()  # the running case goes on
    member = coordinator.machines["a"].link
    member.finish(B)
    thread.join(20)
    assert world.stored()["a"] == sorted([A, B])
    assert world.disks["a"].started == {A: 1, B: 1}
    assert coordinator.machines["a"].state is State.STOPPED
    assert not world.disks["a"].forgotten


def test_the_second_interrupt_ends_everything(tmp_path):
    world = World(tmp_path, faults={("a", B): [hang], ("b", A): [hang]})
    coordinator = world.start()
    run_and_interrupt(coordinator, lambda: world.disks["a"].started[B] and world.disks["b"].started[A])
    members = [machine.link for machine in coordinator.machines.values()]
    coordinator.stop_now()
    assert all(member.gone for member in members)
    assert world.stored() == {"a": [A], "b": []}
    assert [machine.state for machine in coordinator.machines.values()] == [State.STOPPED] * 2


def test_a_whole_number_stays_as_the_machine_wrote_it(tmp_path):
    content = content_of(canned_record("a", B)).replace('"total": 9.8765', '"total": 9')
    world = World(tmp_path, faults={("a", B): [sending(lambda member, name: messages.Recorded(name, content))]})
    coordinator = world.run_all()
    assert coordinator.machines["a"].state is State.FINISHED
    assert (tmp_path / "r/a" / f"{B}.json").read_text() == content
