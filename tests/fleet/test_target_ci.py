"""``--target-ci`` in a fleet: machines name further processes, whatever fails meanwhile."""

import pytest

from bench.fleet.machine_state import State
from bench.records import store
from tests.fleet.canned import NAMES, World, die, die_before_sending, hang, lose, run_and_interrupt, unreachable

A, B, C = NAMES
FURTHER = f"{B}--p2"


def world_of(tmp_path, added, **changes):
    world = World(tmp_path, machines=("a",), **changes)
    world.added, world.options = {"a": list(added)}, {"target_ci": "5"}
    return world


def test_further_processes_are_measured_until_the_machine_needs_none(tmp_path):
    world = world_of(tmp_path, [FURTHER, f"{B}--p3"])
    coordinator = world.run_all()
    assert world.stored()["a"] == sorted([*NAMES, FURTHER, f"{B}--p3"])
    assert coordinator.machines["a"].state is State.FINISHED
    assert world.disks["a"].forgotten
    assert world.lines[-1] == "a: the target is reached"


def test_without_the_option_no_machine_is_asked(tmp_path):
    world = world_of(tmp_path, [FURTHER])
    world.options = {}
    world.run_all()
    assert world.stored()["a"] == sorted(NAMES)


@pytest.mark.parametrize("fault", [die, lose, die_before_sending])
def test_a_further_process_survives_a_lost_agent(tmp_path, fault):
    added = [FURTHER] if fault is die_before_sending else [FURTHER, FURTHER]  # it is named again by the next member
    world = world_of(tmp_path, added, faults={("a", FURTHER): [fault]})
    coordinator = world.run_all()
    assert world.stored()["a"] == sorted([*NAMES, FURTHER])
    assert world.disks["a"].started == {A: 1, B: 1, C: 1, FURTHER: 1 if fault is die_before_sending else 2}
    assert coordinator.machines["a"].state is State.FINISHED


def test_a_further_process_that_ends_its_agent_twice_is_failed(tmp_path):
    world = world_of(tmp_path, [FURTHER] * 3, faults={("a", FURTHER): [die] * 3})
    assert world.run_all().machines["a"].state is State.FINISHED
    [failed] = [record for record in store.read([tmp_path / "r" / "a"])[0] if record.name == FURTHER]
    assert failed.outcome.status.value == "failed"


def test_a_run_that_goes_on_has_the_further_processes_of_before(tmp_path):
    world = world_of(tmp_path, [FURTHER, f"{B}--p3"], faults={("a", f"{B}--p3"): [hang]})
    coordinator = world.start()
    run_and_interrupt(coordinator, lambda: world.disks["a"].started[f"{B}--p3"])
    coordinator.stop_now()
    assert world.stored()["a"] == sorted([*NAMES, FURTHER])
    world.added = {"a": [f"{B}--p3"]}
    coordinator = world.run_all()
    assert world.stored()["a"] == sorted([*NAMES, FURTHER, f"{B}--p3"])
    assert world.disks["a"].started[FURTHER] == 1
    assert coordinator.machines["a"].over == {*NAMES, FURTHER, f"{B}--p3"}


@pytest.mark.parametrize("name", [A, "train-x--p2", f"{A}-x"])
def test_a_process_of_no_planned_case_is_refused(tmp_path, name):
    world = world_of(tmp_path, [name])
    coordinator = world.run_all()
    assert coordinator.machines["a"].state is State.REFUSED
    assert "not in its plan" in coordinator.machines["a"].note
    assert world.stored()["a"] == sorted(NAMES)


def test_machines_that_share_cases_add_processes_of_their_own(tmp_path):
    world = World(tmp_path)
    world.options = {"target_ci": "5"}
    world.run_all(spread=True)
    own = {machine: [f"{name}--p2" for name in names] for machine, names in world.stored().items()}
    again = World(tmp_path / "again", faults={("a", "connect"): [unreachable()]})
    again.options, again.added = {"target_ci": "5"}, {"b": [f"{name}--p2" for name in NAMES]}
    again.run_all(spread=True)
    assert len(own["a"]) + len(own["b"]) == 3
    assert again.stored()["b"] == sorted([*NAMES, *(f"{name}--p2" for name in NAMES)])
