"""Accelerators by torch.accelerator or by the kind's own module, against fakes; and the registry of kinds."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from bench.cases import device_kinds
from bench.worker.devices import Device, accelerator, case_name, events, kinds, open_device, register
from bench.worker.devices.accelerator import Accelerator
from bench.worker.devices.cpu import Cpu
from bench.worker.devices.mps import Mps
from bench.worker.devices.npu import Npu
from bench.worker.devices.xpu import Xpu
from bench.worker.monitors.energy import EnergyUnavailable
from bench.worker.rejection import CaseRejected
from tests.worker.fake_torch import GIB, FakeTorch


@pytest.fixture
def torch(monkeypatch: pytest.MonkeyPatch) -> FakeTorch:
    fake = FakeTorch()
    monkeypatch.setitem(sys.modules, "torch", fake)
    return fake


def module(fake: FakeTorch, count: int = 2) -> SimpleNamespace:
    """``torch.xpu`` or ``torch.npu`` with so many cards of 16 GiB."""
    properties = SimpleNamespace(total_memory=16 * GIB)
    return SimpleNamespace(
        is_available=lambda: count > 0,
        device_count=lambda: count,
        _is_compiled=lambda: True,
        synchronize=fake.noted("synchronize"),
        empty_cache=fake.noted("empty_cache"),
        reset_peak_memory_stats=fake.noted("reset_peak_memory_stats"),
        max_memory_allocated=fake.noted("max_memory_allocated", 5 * GIB),
        max_memory_reserved=fake.noted("max_memory_reserved", 6 * GIB),
        mem_get_info=fake.noted("mem_get_info", (6 * GIB, 16 * GIB)),
        memory_stats=fake.noted("memory_stats", {}),
        get_device_properties=lambda index: properties,
        get_device_name=lambda index: f"Arc {index}",
        set_per_process_memory_fraction=fake.noted("set_per_process_memory_fraction"),
    )


@pytest.fixture
def xpu(torch: FakeTorch) -> FakeTorch:
    torch.xpu = module(torch)
    return torch


def driven(fake: FakeTorch, **calls: Any) -> None:
    """Let ``torch.accelerator`` have some calls, for XPUs."""
    fake.accelerator = SimpleNamespace(current_accelerator=lambda: SimpleNamespace(type="xpu"), **calls)


# Whether it can be used


def test_an_xpu_is_asked_for_in_ultralytics_words(xpu: FakeTorch) -> None:
    first, second, rank = open_device("xpu"), open_device("xpu:1"), open_device("xpu+xpu:1", 1)
    assert [(device.why_unusable(), device.device_argument, device.local_name) for device in (first, second, rank)] == [
        ("", "xpu:0", "xpu"),
        ("", "xpu:1", "xpu:1"),
        ("", "xpu:0,1", "xpu:1"),
    ]
    assert case_name(SimpleNamespace(type="xpu", index=1)) == second.name == "xpu:1"
    assert case_name(SimpleNamespace(type="xpu", index=None)) == first.name == "xpu"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"is_available": lambda: False}, "torch 2.14.1 sees no XPU device on this machine."),
        (
            {"is_available": lambda: False, "_is_compiled": lambda: False},
            "this torch 2.14.1 is built without XPU; install a build of torch for Intel GPUs.",
        ),
        ({"device_count": lambda: 1}, "this machine has 1 XPU device(s), numbered from 0."),
    ],
)
def test_why_an_xpu_cannot_be_used(xpu: FakeTorch, changes: dict[str, Any], reason: str) -> None:
    vars(xpu.xpu).update(changes)
    assert Xpu("xpu:1").why_unusable() == f"device xpu:1: {reason}"


def test_what_a_driver_says_is_reported(xpu: FakeTorch) -> None:
    def no_driver() -> int:
        raise OSError("Level Zero\nis not there")

    xpu.xpu.device_count = no_driver
    assert Xpu("xpu").why_unusable() == "device xpu: OSError: Level Zero is not there"


def test_an_npu_is_made_by_torch_npu(torch: FakeTorch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch_npu", None)
    expected = "device npu: torch_npu is not installed: install torch_npu in the measured environment."
    assert Npu("npu").why_unusable() == expected
    torch.npu = module(torch)
    monkeypatch.setitem(sys.modules, "torch_npu", ModuleType("torch_npu"))
    assert Npu("npu:1").why_unusable() == ""
    assert Npu("npu:2").why_unusable() == "device npu:2: this machine has 2 NPU device(s), numbered from 0."


def test_the_survey_of_a_kind(xpu: FakeTorch) -> None:
    cards = [{"name": f"Arc {index}", "bytes": 16 * GIB} for index in range(2)]
    assert Xpu.probe_backend() == {"reason": "", "devices": cards}
    xpu.xpu.is_available = lambda: False
    assert Xpu.probe_backend() == {
        "reason": "device xpu: torch 2.14.1 sees no XPU device on this machine.",
        "devices": [],
    }


# Which call answers


def test_torch_accelerator_comes_first_where_it_means_this_kind(xpu: FakeTorch) -> None:
    driven(
        xpu,
        reset_peak_memory_stats=xpu.noted("reset"),
        max_memory_allocated=lambda index: GIB,
        get_memory_info=lambda index: (GIB, 4 * GIB),
    )
    device = Xpu("xpu:1")
    device.reset_peaks()
    memory = device.memory()
    assert memory["allocated"] == {"bytes": GIB, "method": "torch.accelerator.max_memory_allocated"}
    assert memory["reserved"] == {"bytes": 6 * GIB, "method": "torch.xpu.max_memory_reserved"}  # which it lacks here
    assert memory["device"]["bytes"] == 3 * GIB
    assert memory["device"]["method"] == "torch.accelerator.get_memory_info, whole card at the end of the window"
    assert xpu.calls == [("reset", 1), ("max_memory_reserved", 1)]


def test_the_module_of_the_kind_answers_where_torch_accelerator_means_another(xpu: FakeTorch) -> None:
    xpu.accelerator = SimpleNamespace(
        current_accelerator=lambda: SimpleNamespace(type="cuda"), max_memory_allocated=lambda index: 1 / 0
    )
    device = Xpu("xpu")
    memory = device.memory()
    assert memory["allocated"] == {"bytes": 5 * GIB, "method": "torch.xpu.max_memory_allocated"}
    assert memory["device"] == {
        "bytes": 10 * GIB,
        "method": "torch.xpu.mem_get_info, whole card at the end of the window",
    }


def test_a_peak_of_nothing_is_no_peak(xpu: FakeTorch) -> None:
    """torch.accelerator says 0 where a kind's statistics have no such entry."""
    driven(xpu, reset_peak_memory_stats=xpu.noted("reset"), max_memory_allocated=lambda index: 0)
    figure = Xpu("xpu").memory()["allocated"]
    assert figure == {"bytes": None, "method": "torch 2.14.1 has no peak statistics on xpu, and nothing was sampled"}


def test_without_statistics_only_sampled_peaks_are_reported(torch: FakeTorch) -> None:
    sizes = [GIB, GIB, 3 * GIB, 2 * GIB]
    torch.xpu = SimpleNamespace(memory_allocated=lambda index: sizes.pop(0))
    device = Xpu("xpu")
    device.sample_memory()  # before peaks are asked for nothing is looked at
    assert len(sizes) == 4
    device.reset_peaks()
    for _ in range(3):
        device.sample_memory()
    memory = device.memory()
    how = "largest of 3 samples of torch.xpu.memory_allocated where parts of steps end: "
    how += "torch 2.14.1 has no peak statistics on xpu"
    assert memory["allocated"] == {"bytes": 3 * GIB, "method": how}
    assert memory["reserved"] == {"bytes": None, "method": "torch keeps no peak of reserved memory on xpu"}
    assert memory["device"] == {"bytes": None, "method": "torch 2.14.1 does not report it on xpu (no call for it)"}
    assert memory["process"]["bytes"] > 0


def test_a_wait_that_torch_accelerator_cannot_do_is_done_by_the_module_from_then_on(xpu: FakeTorch) -> None:
    def refuse(index: int) -> None:
        xpu.calls.append(("refused",))
        raise RuntimeError("Backend doesn't support synchronizing all streams on device.")

    driven(xpu, synchronize=refuse)
    device = Xpu("xpu:1")
    device.synchronize()
    device.synchronize()
    assert xpu.calls == [("refused",), ("synchronize", 1), ("synchronize", 1)]


def test_an_error_of_the_device_itself_is_not_hidden(xpu: FakeTorch) -> None:
    def lost(index: int) -> None:
        raise RuntimeError("device lost")

    driven(xpu, synchronize=lost)
    xpu.xpu.synchronize = lost
    with pytest.raises(RuntimeError, match="device lost"):
        Xpu("xpu").synchronize()


def test_what_is_given_back(xpu: FakeTorch) -> None:
    Xpu("xpu").release()
    assert xpu.calls == [("empty_cache",)]


def test_facts_limit_and_energy(xpu: FakeTorch) -> None:
    device = Xpu("xpu:1")
    assert device.info() == {"name": "Arc 1", "total_memory": 16 * GIB, "allocator_retries": None}
    device.limit_memory(0)
    device.limit_memory(4 * GIB)
    assert xpu.calls[-1] == ("set_per_process_memory_fraction", 0.25, 1)
    with pytest.raises(CaseRejected, match="a memory limit of 64 GiB is more than it has, 16 GiB"):
        device.limit_memory(64 * GIB)
    del xpu.xpu.set_per_process_memory_fraction
    with pytest.raises(CaseRejected, match="this torch cannot hold xpu to a memory limit"):
        device.limit_memory(GIB)
    with pytest.raises(EnergyUnavailable):
        device.energy()


def test_clock_and_temperature_where_the_module_tells_them(xpu: FakeTorch) -> None:
    names = ("clock_mhz", "temperature", "throttle", "others", "utilization")
    silent = {f"device_{name}": None for name in names}
    assert Xpu("xpu").read_status() == silent
    xpu.xpu.clock_rate = lambda index: 2400

    def no_library(index: int) -> float:
        raise ModuleNotFoundError("No module named 'pyzes'")

    xpu.xpu.temperature = no_library
    assert Xpu("xpu").read_status() == {**silent, "device_clock_mhz": 2400.0}


# Which clock


def test_the_first_events_that_pass_the_test_are_used(xpu: FakeTorch, monkeypatch: pytest.MonkeyPatch) -> None:
    xpu.xpu.Event = lambda enable_timing: "of the kind"
    xpu.Event = lambda kind, enable_timing: f"of torch for {kind}"
    looked: list[str] = []

    def trouble(make: Any, wait: Any, prepare: Any) -> str:
        looked.append(make())
        return "" if make() == "of torch for xpu" else "events measured 0 ms of work that took 5 ms"

    monkeypatch.setattr(events, "trouble", trouble)
    device = Xpu("xpu")
    assert (device.timer, device.separate_pass, device.event()) == ("events", False, "of torch for xpu")
    assert looked == ["of the kind", "of torch for xpu"]
    assert device.timer == "events" and len(looked) == 2  # looked at once


def test_where_none_passes_there_is_a_pass_that_waits_and_the_record_says_why(
    xpu: FakeTorch, monkeypatch: pytest.MonkeyPatch
) -> None:
    xpu.xpu.Event = lambda enable_timing: None
    monkeypatch.setattr(events, "trouble", lambda *arguments: "events measured 0 ms of work that took 5 ms")
    device = Xpu("xpu")
    assert device.timer == "synchronized_pass" and device.separate_pass
    assert device.info()["events"] == "events measured 0 ms of work that took 5 ms"
    with pytest.raises(NotImplementedError):
        device.event()
    monkeypatch.setattr(events, "trouble", lambda *arguments: 1 / 0)
    device = Xpu("xpu")
    assert device.timer == "synchronized_pass"
    assert device.info()["events"] == "events of xpu cannot be used (ZeroDivisionError: division by zero)"


@pytest.mark.parametrize(
    ("version", "timer"), [("2.14.1", "synchronized_pass"), ("2.15.0", "events"), ("3.0", "events")]
)
def test_events_of_mps_are_tried_from_2_15_on(
    torch: FakeTorch, monkeypatch: pytest.MonkeyPatch, version: str, timer: str
) -> None:
    torch.__version__ = version
    torch.mps = SimpleNamespace(Event=lambda enable_timing: None)
    monkeypatch.setattr(events, "trouble", lambda *arguments: "")
    assert Mps().timer == timer


def test_versions() -> None:
    assert [accelerator.major_minor(text) for text in ("2.15.0+cu132", "2.6", "nightly")] == [(2, 15), (2, 6), (0, 0)]


# The registry


def test_the_runner_and_the_worker_say_the_same_of_every_kind() -> None:
    assert set(kinds()) == set(device_kinds.kinds())
    for name, here in kinds().items():
        there = device_kinds.kinds()[name]
        for trait in ("indexed", "on_host", "own_memory", "asynchronous", "weighs_steps", "compare_losses"):
            assert getattr(here, trait) == getattr(there, trait), (name, trait)
        index = 1 if there.indexed else 0
        assert here.called(index) == (there.device(index) if there.indexed else name)


@pytest.mark.parametrize("device", ["cpu", "mps", "0", "3", "xpu", "xpu:1", "npu:2", "2xcpu", "2x0+1", "xpu+xpu:1"])
def test_devices_and_ranks_are_counted_alike_on_both_sides(device: str) -> None:
    from bench.worker import devices

    assert devices.on_one_machine(device) == device_kinds.device_names(device)
    assert devices.ranks(device) == device_kinds.ranks(device)


@pytest.mark.parametrize("name", ["hpu", "hpu:1", "vulkan"])
def test_an_unknown_kind_is_refused_by_name(name: str) -> None:
    kind = name.partition(":")[0]
    expected = f"device {name}: this worker knows no kind of device '{kind}': it has cpu, mps, cuda, xpu, npu"
    with pytest.raises(CaseRejected, match=expected) as refused:
        open_device(name)
    assert (refused.value.status, refused.value.scope) == ("unsupported", ("device",))


def test_another_kind_can_be_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    class Toy(Cpu):
        """Computes on the CPU under another name."""

        kind = "toy"

    monkeypatch.setattr("bench.worker.devices._registry", kinds())
    register("toy", Toy)
    device = open_device("toy")
    assert isinstance(device, Device)
    assert (device.name, device.device_argument, device.local_name) == ("toy", "cpu", "cpu")
    assert device.timer == "clock" and not isinstance(device, Accelerator)
