"""The devices that this machine may not have, against fakes that offer the calls they make and no others."""

from __future__ import annotations

import os
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from bench.worker.devices import base, open_device
from bench.worker.devices.cpu import Cpu
from bench.worker.devices.cuda import Cuda
from bench.worker.devices.mps import Mps
from bench.worker.refusal import Refused

FIGURES = {"allocated", "reserved", "process", "device"}
GIB = 2**30


class FakeTorch(ModuleType):
    """``torch`` in ``sys.modules``; ``calls`` holds what was called with which index."""

    def __init__(self, **parts: Any) -> None:
        super().__init__("torch")
        self.__version__ = "2.14.1"
        self.calls: list[tuple[Any, ...]] = []
        self.__dict__.update(parts)

    def noted(self, name: str, result: Any = None) -> Any:
        def call(*arguments: Any) -> Any:
            self.calls.append((name, *arguments))
            return result

        return call


@pytest.fixture
def torch(monkeypatch: pytest.MonkeyPatch) -> FakeTorch:
    fake = FakeTorch()
    monkeypatch.setitem(sys.modules, "torch", fake)
    return fake


def visible_cards() -> int:
    """What ``torch.cuda.device_count`` says on a machine with two cards."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    return 2 if chosen is None else len([part for part in chosen.split(",") if part not in ("", "-1")])


@pytest.fixture
def cuda(torch: FakeTorch, monkeypatch: pytest.MonkeyPatch) -> FakeTorch:
    """Two cards of 80 GiB."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "set and deleted again, so that it is restored")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    properties = SimpleNamespace(name="NVIDIA H100", major=9, minor=0, total_memory=80 * GIB)
    torch.version = SimpleNamespace(cuda="13.2")
    torch.backends = SimpleNamespace(
        cuda=SimpleNamespace(is_built=lambda: True), cudnn=SimpleNamespace(version=lambda: 91500)
    )
    torch.cuda = SimpleNamespace(
        device_count=visible_cards,
        init=torch.noted("init"),
        synchronize=torch.noted("synchronize"),
        reset_peak_memory_stats=torch.noted("reset_peak_memory_stats"),
        mem_get_info=torch.noted("mem_get_info", (30 * GIB, 80 * GIB)),
        max_memory_allocated=torch.noted("max_memory_allocated", 5 * GIB),
        max_memory_reserved=torch.noted("max_memory_reserved", 6 * GIB),
        get_device_properties=torch.noted("get_device_properties", properties),
        memory_stats=torch.noted("memory_stats", {"num_alloc_retries": 2}),
    )
    return torch


@pytest.fixture
def mps(torch: FakeTorch) -> FakeTorch:
    """A Mac whose torch has peak statistics."""
    torch.backends = SimpleNamespace(mps=SimpleNamespace(is_built=lambda: True, is_available=lambda: True))
    torch.mps = SimpleNamespace(
        synchronize=torch.noted("synchronize"),
        driver_allocated_memory=torch.noted("driver_allocated_memory", 7 * GIB),
        recommended_max_memory=lambda: 24 * GIB,
    )
    torch.accelerator = SimpleNamespace(
        reset_peak_memory_stats=torch.noted("reset_peak_memory_stats"),
        max_memory_allocated=torch.noted("max_memory_allocated", 4 * GIB),
    )
    return torch


@pytest.mark.parametrize(("name", "kind"), [("cpu", Cpu), ("mps", Mps), ("0", Cuda), ("3", Cuda)])
def test_open_device(name: str, kind: type) -> None:
    device = open_device(name)
    assert type(device) is kind
    assert device.name == name


# CPU


def test_the_cpu_is_always_usable_and_never_waited_for(torch: FakeTorch) -> None:
    assert Cpu().why_unusable() == ""
    Cpu().synchronize()
    assert torch.calls == []


def test_memory_of_the_cpu_is_the_processs() -> None:
    memory = Cpu().memory()
    assert set(memory) == FIGURES
    assert memory["process"]["bytes"] > 0
    for name in FIGURES - {"process"}:
        assert memory[name]["bytes"] is None
        assert memory[name]["how"]


def test_facts_of_the_cpu(torch: FakeTorch) -> None:
    torch.backends = SimpleNamespace(
        cpu=SimpleNamespace(get_cpu_capability=lambda: "AVX512"),
        mkldnn=SimpleNamespace(is_available=lambda: True, enabled=False),
    )
    assert Cpu().facts() == {"capability": "AVX512", "mkldnn": False}


# CUDA


@pytest.mark.parametrize(
    ("visible", "name", "card"),
    [(None, "0", "0"), (None, "1", "1"), ("2,5", "1", "5"), ("GPU-1234", "0", "GPU-1234"), ("3", "0", "3")],
)
def test_a_usable_card_is_the_only_one_that_stays_visible(
    cuda: FakeTorch, monkeypatch: pytest.MonkeyPatch, visible: str | None, name: str, card: str
) -> None:
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    device = Cuda(name)
    assert device.why_unusable() == ""
    assert os.environ["CUDA_VISIBLE_DEVICES"] == card
    assert (device.name, device.asked) == (name, "0")
    assert cuda.calls == [("init",)]


def test_a_card_that_cannot_be_singled_out(cuda: FakeTorch) -> None:
    cuda.cuda.device_count = lambda: 2
    assert Cuda("1").why_unusable().startswith("device 1: it cannot be told apart from the others; set CUDA_VISIBLE")


def test_cuda_that_does_not_start(cuda: FakeTorch) -> None:
    def init() -> None:
        raise RuntimeError("CUDA driver version is insufficient\nfor CUDA runtime version")

    cuda.cuda.init = init
    expected = "device 0: CUDA does not start: CUDA driver version is insufficient for CUDA runtime version"
    assert Cuda("0").why_unusable() == expected


def test_an_index_beyond_the_last_card(cuda: FakeTorch) -> None:
    assert Cuda("2").why_unusable() == "device 2: this machine has 2 CUDA device(s), numbered from 0."


def test_no_card(cuda: FakeTorch) -> None:
    cuda.cuda.device_count = lambda: 0
    assert Cuda("0").why_unusable() == "device 0: torch 2.14.1 sees no CUDA device on this machine."


def test_torch_without_cuda(cuda: FakeTorch) -> None:
    cuda.backends.cuda.is_built = lambda: False
    del cuda.cuda  # nothing of it may be touched
    expected = "device 0: this torch 2.14.1 is built without CUDA; install a CUDA build."
    assert Cuda("0").why_unusable() == expected


@pytest.mark.parametrize("name", ["0+1", "cpu+cpu"])
def test_several_devices_at_once_are_refused_as_such(cuda: FakeTorch, name: str) -> None:
    with pytest.raises(Refused, match="several devices in one case cannot be measured yet"):
        open_device(name)


def test_cuda_is_waited_for_as_the_one_visible_card(cuda: FakeTorch) -> None:
    Cuda("1").synchronize()
    assert cuda.calls == [("synchronize", 0)]


def test_peaks_of_cuda_are_those_of_the_one_visible_card(cuda: FakeTorch) -> None:
    Cuda("1").reset_peaks()
    assert cuda.calls == [("reset_peak_memory_stats", 0)]


def test_memory_of_cuda_and_the_way_it_was_got(cuda: FakeTorch) -> None:
    memory = Cuda("1").memory()
    assert memory["allocated"] == {"bytes": 5 * GIB, "how": "torch.cuda.max_memory_allocated"}
    assert memory["reserved"] == {"bytes": 6 * GIB, "how": "torch.cuda.max_memory_reserved"}
    assert memory["device"] == {
        "bytes": 50 * GIB,
        "how": "torch.cuda.mem_get_info, whole card at the end of the window",
    }
    assert memory["process"]["bytes"] > 0
    assert set(memory) == FIGURES
    assert {call[1:] for call in cuda.calls} == {(0,)}


def test_facts_of_cuda(cuda: FakeTorch) -> None:
    assert Cuda("1").facts() == {
        "name": "NVIDIA H100",
        "capability": "9.0",
        "total_memory": 80 * GIB,
        "cuda": "13.2",
        "cudnn": 91500,
        "allocator_retries": 2,
    }
    assert {call[1:] for call in cuda.calls} == {(0,)}


# MPS


def test_a_usable_mac(mps: FakeTorch) -> None:
    assert Mps().why_unusable() == ""


def test_torch_without_mps(mps: FakeTorch) -> None:
    mps.backends.mps.is_built = lambda: False
    assert Mps().why_unusable() == "device mps: this torch 2.14.1 is built without MPS, which needs a Mac."


def test_mps_that_is_not_available(mps: FakeTorch, monkeypatch: pytest.MonkeyPatch) -> None:
    mps.backends.mps.is_available = lambda: False
    monkeypatch.setattr("platform.mac_ver", lambda: ("12.2", ("", "", ""), "arm64"))
    expected = "device mps: MPS needs macOS 12.3 or later and a Metal GPU; this is macOS 12.2."
    assert Mps().why_unusable() == expected


def test_mps_is_waited_for(mps: FakeTorch) -> None:
    Mps().synchronize()
    assert mps.calls == [("synchronize",)]


def test_memory_of_mps_and_the_way_it_was_got(mps: FakeTorch) -> None:
    device = Mps()
    device.reset_peaks()
    memory = device.memory()
    assert mps.calls[0] == ("reset_peak_memory_stats",)
    assert set(memory) == FIGURES
    assert memory["allocated"] == {"bytes": 4 * GIB, "how": "torch.accelerator.max_memory_allocated"}
    assert memory["reserved"]["bytes"] == 7 * GIB
    assert memory["reserved"]["how"].startswith("torch.mps.driver_allocated_memory at the end of the window")
    assert memory["process"]["bytes"] > 0
    assert memory["device"] == {"bytes": None, "how": "an Apple GPU has no memory apart from the machine's"}


def refuse(*arguments: Any) -> None:
    raise RuntimeError("Allocator for mps is not a DeviceAllocator.")


@pytest.mark.parametrize(
    "accelerator",
    [None, SimpleNamespace(), SimpleNamespace(reset_peak_memory_stats=refuse, max_memory_allocated=refuse)],
    ids=["no-module", "no-function", "refused"],
)
def test_without_peak_statistics_the_figure_is_missing_with_a_reason(mps: FakeTorch, accelerator: Any) -> None:
    del mps.accelerator
    if accelerator is not None:
        mps.accelerator = accelerator
    device = Mps()
    device.reset_peaks()
    memory = device.memory()
    assert memory["allocated"] == {"bytes": None, "how": "torch 2.14.1 has no peak statistics on mps"}
    assert memory["reserved"]["bytes"] == 7 * GIB


def test_facts_of_mps(mps: FakeTorch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.mac_ver", lambda: ("26.1", ("", "", ""), "arm64"))
    assert Mps().facts() == {"recommended_max_memory": 24 * GIB, "macos": "26.1"}


# The process


@pytest.mark.parametrize(("system", "unit"), [("darwin", 1), ("linux", 1024)])
def test_peak_of_the_process_without_proc(system: str, unit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_file(*arguments: Any) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(base, "open", no_file, raising=False)
    monkeypatch.setattr(base.sys, "platform", system)
    monkeypatch.setattr(base.resource, "getrusage", lambda who: SimpleNamespace(ru_maxrss=1000))
    peak = base.process_peak()
    assert peak["bytes"] == 1000 * unit
    assert peak["how"].startswith("ru_maxrss")
    base.reset_process_peak()  # where it cannot be lowered, that is no error


def test_peak_of_the_process_with_proc(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    status = tmp_path / "status"
    status.write_text("Name:\tpython\nVmPeak:\t 9999 kB\nVmHWM:\t    1234 kB\n")
    monkeypatch.setattr(base, "open", lambda path: status.open(), raising=False)
    how = "VmHWM, peak resident set since set-up"
    monkeypatch.setattr(base, "_peak_is_reset", True)
    assert base.process_peak() == {"bytes": 1234 * 1024, "how": how}
    monkeypatch.setattr(base, "_peak_is_reset", False)
    assert base.process_peak()["how"].endswith("since the start of the process")


def test_libraries_that_only_the_parent_touched_are_added(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"self": {"VmHWM": 1000, "RssFile": 200}, 77: {"RssFile": 500}}
    monkeypatch.setattr(base, "_status", sizes.__getitem__)
    monkeypatch.setattr(base, "forked_from", 77)
    assert base.process_peak()["bytes"] == 1300
