"""What a machine is like at the moment, on this one and on machines that tell less."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from bench.machine import conditions as module
from bench.machine import fingerprint
from bench.machine.conditions import conditions
from bench.machine.description import Conditions
from bench.machine.doctor import examine
from bench.machine.interpreter_info import Packages, Software
from bench.machine.nvml import Nvidia
from bench.machine.system_info import system_info


def test_this_machine() -> None:
    state = conditions()
    assert state.load is not None
    assert state.load >= 0
    assert state.memory_available_bytes is not None
    assert 0 < state.memory_available_bytes <= psutil.virtual_memory().total
    assert state.swap_used_bytes is not None
    assert state.swap_used_bytes >= 0
    assert state.on_battery in (None, True, False)


@pytest.mark.parametrize(("plugged", "expected"), [(True, False), (False, True), (None, None)])
def test_power_source(monkeypatch: pytest.MonkeyPatch, plugged: bool | None, expected: bool | None) -> None:
    """psutil does not know of every battery whether it is plugged in."""
    battery = SimpleNamespace(percent=80, secsleft=3600, power_plugged=plugged)
    monkeypatch.setattr(psutil, "sensors_battery", lambda: battery, raising=False)
    assert conditions().on_battery is expected


def test_no_battery(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "sensors_battery", lambda: None, raising=False)
    assert conditions().on_battery is None
    monkeypatch.delattr(psutil, "sensors_battery")
    assert conditions().on_battery is None


def test_governor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "GOVERNOR", tmp_path / "scaling_governor")
    assert conditions().governor is None
    module.GOVERNOR.write_text("powersave\n")
    assert conditions().governor == "powersave"


def test_load_is_that_of_the_last_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (1.23456, 9.0, 9.0))
    assert conditions().load == 1.23


def test_limits_and_variables_are_recorded() -> None:
    assert conditions().limits is not None
    assert conditions().variables is None  # nobody asked the interpreter that is measured
    assert conditions({"OMP_NUM_THREADS": "4"}).variables == {"OMP_NUM_THREADS": "4"}


# What is only recorded ends nothing


def refuse(*arguments: object, **more: object) -> None:
    raise FileNotFoundError(2, "No such file or directory", "/sys/class/power_supply")


SOURCES: list[tuple[object, str, str]] = [
    (os, "getloadavg", "load"),
    (psutil, "virtual_memory", "memory_available_bytes"),
    (psutil, "swap_memory", "swap_used_bytes"),
    (psutil, "sensors_battery", "on_battery"),
    (module, "GOVERNOR", "governor"),
    (module, "limits", "limits"),
]
"""Everything that conditions are read from, and the field that each of them fills."""


def test_every_field_has_a_source_that_is_made_to_fail() -> None:
    assert {field for _, _, field in SOURCES} | {"variables"} == set(Conditions.__struct_fields__)


@pytest.mark.parametrize(("owner", "name", "field"), SOURCES, ids=[field for _, _, field in SOURCES])
def test_a_source_that_fails_costs_its_own_field_alone(
    monkeypatch: pytest.MonkeyPatch, owner: object, name: str, field: str
) -> None:
    before = conditions()
    monkeypatch.setattr(owner, name, refuse, raising=False)
    state = conditions()
    assert getattr(state, field) is None
    known = [other for _, _, other in SOURCES if getattr(before, other) is not None]
    assert [other for other in known if getattr(state, other) is None] == [field] * (field in known)


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system of which everything that is asked fails."""
    for owner, name, _ in SOURCES:
        monkeypatch.setattr(owner, name, refuse, raising=False)
    for owner, name in (
        (psutil, "cpu_count"),
        (psutil, "cpu_times"),
        (os, "sched_getaffinity"),
        (os, "sysconf"),
        (Path, "read_text"),
        (Path, "glob"),
    ):
        monkeypatch.setattr(owner, name, refuse, raising=False)
    monkeypatch.setitem(sys.modules, "cpuinfo", SimpleNamespace(get_cpu_info=refuse))
    monkeypatch.setattr(fingerprint, "nvidia_gpus", lambda: ())


@pytest.mark.usefixtures("silent")
def test_all_that_fails_together_leaves_nothing_and_raises_nothing() -> None:
    assert conditions() == Conditions()
    fingerprint.machine.cache_clear()
    try:
        here = fingerprint.machine()
    finally:
        fingerprint.machine.cache_clear()
    assert (here.cores, here.memory_gib) == (1, 0)
    assert here.cpu


@pytest.mark.usefixtures("silent")
def test_doctor_says_what_it_cannot_know(tmp_path: Path) -> None:
    info = system_info(tmp_path)
    assert (info.load, info.memory, info.available, info.swap, info.on_battery) == (None,) * 5
    assert (info.processors, info.usable, info.nvidia) == (1, 1, Nvidia())
    rows = {row.name: row.detail for row in examine(info, Software(environment=Packages(python="3.11.0")))}
    assert rows["memory"] == "the system does not report available memory"
    assert rows["swap"] == "not reported by this system"
    assert rows["load"] == "not reported by this system"
