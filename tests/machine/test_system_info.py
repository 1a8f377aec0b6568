"""What is asked of this machine, and of control groups, counters and drivers that it may not have."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import psutil
import pytest

from bench.machine import system_info as module
from bench.machine.nvml import Card, Nvidia, nvidia
from bench.machine.system_info import free_bytes, rapl, system_info

GIB = 2**30


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_this_machine(tmp_path: Path) -> None:
    info = system_info(tmp_path / "not" / "there" / "yet", uv="uv 1", low_power=None)
    assert info.memory == psutil.virtual_memory().total
    assert 0 < info.available <= info.memory
    assert 1 <= info.usable <= info.processors == psutil.cpu_count()
    assert info.free and info.free > 0
    assert (info.uv, info.low_power) == ("uv 1", None)
    assert (info.macos is None) == (info.system != "Darwin")


def test_free_bytes_of_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert free_bytes(tmp_path / "a" / "b") == pytest.approx(free_bytes(tmp_path), rel=0.05)


def test_counters_of_energy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert rapl(tmp_path / "nowhere") is None
    write(tmp_path / "intel-rapl:0" / "energy_uj", "1\n")
    assert rapl(tmp_path) == "readable"
    monkeypatch.setattr(module.os, "access", lambda path, mode: False)
    assert rapl(tmp_path) == "needs root"


class NVMLError_LibraryNotFound(Exception):
    """There is no driver."""


class FakeNvml(ModuleType):
    """``pynvml`` with one card that tells everything but ``silent``, or raises ``error`` where ``fails``."""

    def __init__(self, silent: tuple[str, ...] = (), fails: str = "", error: Exception | None = None) -> None:
        super().__init__("pynvml")
        self.closed = 0
        self._silent, self._fails, self._error = silent, fails, error

    def __getattr__(self, name: str) -> Any:
        answers = {
            "nvmlInit": None,
            "nvmlSystemGetDriverVersion": "580.65.06",
            "nvmlSystemGetCudaDriverVersion": 13000,
            "nvmlDeviceGetCount": 1,
            "nvmlDeviceGetHandleByIndex": "handle",
            "nvmlDeviceGetName": "NVIDIA H100",
            "nvmlDeviceGetMemoryInfo": SimpleNamespace(total=80 * GIB, used=2 * GIB),
            "nvmlDeviceGetComputeRunningProcesses": [SimpleNamespace(pid=7), SimpleNamespace(pid=7)],
            "nvmlDeviceGetCurrentClocksEventReasons": 0x4,
            "nvmlDeviceGetTotalEnergyConsumption": 123456,
        }
        if name == "nvmlShutdown":
            return self._close
        if name not in answers:
            raise AttributeError(name)

        def call(*arguments: Any) -> Any:
            if name == self._fails or name in self._silent:
                raise self._error or RuntimeError("not supported")
            return answers[name]

        return call

    def _close(self) -> None:
        self.closed += 1


def played(monkeypatch: pytest.MonkeyPatch, fake: FakeNvml) -> Nvidia:
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    return nvidia()


def test_a_driver_and_its_card(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeNvml()
    card = Card("NVIDIA H100", 80 * GIB, 2 * GIB, 1, 4, True)
    assert played(monkeypatch, fake) == Nvidia("580.65.06", (13, 0), (card,))
    assert fake.closed == 1


def test_what_a_card_does_not_tell_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    silent = (
        "nvmlDeviceGetMemoryInfo",
        "nvmlDeviceGetComputeRunningProcesses",
        "nvmlDeviceGetCurrentClocksEventReasons",
        "nvmlDeviceGetTotalEnergyConsumption",
    )
    assert played(monkeypatch, FakeNvml(silent)).cards == (Card("NVIDIA H100"),)


def test_without_a_driver_there_is_nothing_to_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    assert played(monkeypatch, FakeNvml(fails="nvmlInit", error=NVMLError_LibraryNotFound())) == Nvidia()


@pytest.mark.parametrize("fails", ["nvmlInit", "nvmlDeviceGetCount"])
def test_a_driver_in_trouble_says_so(monkeypatch: pytest.MonkeyPatch, fails: str) -> None:
    driver = played(monkeypatch, FakeNvml(fails=fails, error=RuntimeError("GPU is lost")))
    assert driver == Nvidia(trouble="GPU is lost")


def test_a_card_that_is_lost_keeps_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = played(monkeypatch, FakeNvml(fails="nvmlDeviceGetHandleByIndex", error=RuntimeError("GPU is lost")))
    assert driver == Nvidia("580.65.06", (13, 0), (Card(""),), "card 0: GPU is lost")
