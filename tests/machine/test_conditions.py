"""What a machine is like at the moment, on this one and on machines that tell less."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from bench.machine import conditions as module
from bench.machine.conditions import conditions


def test_this_machine() -> None:
    found = conditions()
    assert found.load is not None
    assert found.load >= 0
    assert found.memory_available_bytes is not None
    assert 0 < found.memory_available_bytes <= psutil.virtual_memory().total
    assert found.swap_used_bytes is not None
    assert found.swap_used_bytes >= 0
    assert found.on_battery in (None, True, False)


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
