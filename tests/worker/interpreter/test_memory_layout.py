"""Two processes that do the same lay out their memory alike, where the system lets them."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench.worker.interpreter import memory_layout

ROOT = Path(__file__).resolve().parents[3]

TELLS = """
import ctypes, json, os, sys
sys.path.insert(0, sys.argv[1])
from bench.worker.interpreter import memory_layout
if sys.argv[2] == "again":
    memory_layout.run_again([sys.argv[0], sys.argv[1], "once", str(os.getpid())])
malloc = ctypes.cast(ctypes.CDLL(None).malloc, ctypes.c_void_p).value
layout = {"addresses": memory_layout.addresses(), "malloc": malloc, "hash": hash("a"), "before": sys.argv[3]}
print(json.dumps({**layout, "pid": str(os.getpid())}))
"""


def run(tmp_path: Path, word: str) -> dict[str, Any]:
    script = tmp_path / "tells.py"
    script.write_text(TELLS)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONHASHSEED"}
    command = [sys.executable, str(script), str(ROOT), word, "0"]
    layout: dict[str, Any] = json.loads(
        subprocess.run(command, capture_output=True, check=True, env=environment).stdout
    )
    return layout


def test_addresses_and_the_order_of_sets_are_those_of_the_process_before(tmp_path: Path) -> None:
    first, second = run(tmp_path, "again"), run(tmp_path, "again")
    assert first["hash"] == second["hash"]
    assert first["before"] == first["pid"], "a limit is on the number of the process"
    if first["addresses"] == "random":
        pytest.skip("this system does not let a process choose")
    assert first["malloc"] == second["malloc"]


def test_without_it_neither_is(tmp_path: Path) -> None:
    layouts = [run(tmp_path, "once") for _ in range(3)]
    assert len({layout["hash"] for layout in layouts}) > 1
    if layouts[0]["addresses"] == "random":  # a system may have them fixed for all
        assert {layout["addresses"] for layout in layouts} == {"random"}


class Personality:
    """The system call as it answers on one machine."""

    def __init__(self, allowed: bool) -> None:
        self.now, self.allowed = 0, allowed
        self.argtypes: list[Any] = []

    def __call__(self, wanted: int) -> int:
        before = self.now
        if wanted != memory_layout.ASK:
            if not self.allowed:
                return -1
            self.now = wanted
        return before


@pytest.mark.parametrize(("allowed", "addresses"), [(True, "fixed"), (False, "random")])
def test_a_container_may_forbid_it(monkeypatch: pytest.MonkeyPatch, allowed: bool, addresses: str) -> None:
    """Docker's own rules let ``personality`` through for a few values, and this is none of them."""
    system, executed = SimpleNamespace(personality=Personality(allowed)), []
    monkeypatch.setattr(ctypes, "CDLL", lambda name: system)
    monkeypatch.setattr(os, "execve", lambda *call: executed.append(call))
    memory_layout.run_again(["entry.py", "case"])
    assert memory_layout.addresses() == addresses
    [(path, arguments, environment)] = executed
    assert (path, arguments) == (sys.executable, [sys.executable, "entry.py", "case"])
    assert environment["PYTHONHASHSEED"] == "0"


def test_a_system_without_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace())
    assert memory_layout.addresses() == "random"
