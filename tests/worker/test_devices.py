"""The devices that this machine may not have, against fakes that offer the calls they make and no others."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import warnings
import weakref
from types import SimpleNamespace
from typing import Any

import pytest

from bench.worker.devices import base, events, open_device
from bench.worker.devices.cpu import Cpu
from bench.worker.devices.cuda import Cuda
from bench.worker.devices.mps import Mps
from bench.worker.effective_settings import device_name
from bench.worker.monitors.energy import EnergyUnavailable
from bench.worker.rejection import CaseRejected

from .fake_torch import GIB, FakeTorch

FIGURES = {"allocated", "reserved", "process", "device"}
UUID = "11111111-2222-3333-4444-555555555555"
STATUS = ("device_clock_mhz", "device_temperature", "device_throttle", "device_others", "device_utilization")
SILENT = dict.fromkeys(STATUS)


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
    assert set(memory) == FIGURES | {"private", "data"}
    assert 0 < memory["private"]["bytes"] <= memory["process"]["bytes"]
    assert memory["data"]["bytes"] > memory["private"]["bytes"] / 2
    assert memory["process"]["bytes"] > 0
    for name in FIGURES - {"process"}:
        assert memory[name]["bytes"] is None
        assert memory[name]["method"]


class Ring:
    """Refers to itself, as what a trainer leaves behind does: only a collection frees it."""

    def __init__(self) -> None:
        self.self = self


@pytest.mark.parametrize("name", ["cpu", "0", "mps"])
def test_what_is_given_back_is_collected_first(request: pytest.FixtureRequest, name: str) -> None:
    fake = request.getfixturevalue({"cpu": "torch", "0": "cuda", "mps": "mps"}[name])
    ring = weakref.ref(Ring())
    emptied: list[bool] = []
    for part in (getattr(fake, kind) for kind in ("cuda", "mps") if kind in vars(fake)):
        part.empty_cache = lambda: emptied.append(ring() is None)
    gc.disable()
    try:
        assert ring() is not None
        open_device(name).release()
    finally:
        gc.enable()
    assert ring() is None
    assert emptied == ([] if name == "cpu" else [True])
    assert fake.calls == []  # nothing is waited for


def test_facts_of_the_cpu(torch: FakeTorch) -> None:
    torch.backends = SimpleNamespace(
        cpu=SimpleNamespace(get_cpu_capability=lambda: "AVX512"),
        mkldnn=SimpleNamespace(is_available=lambda: True, enabled=False),
    )
    assert Cpu().info() == {"capability": "AVX512", "mkldnn": False}


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
    assert (device.name, device.device_argument, device.torch_device) == (name, "0", "cuda:0")
    assert cuda.calls == [("init",)]


def test_a_card_that_cannot_be_singled_out(cuda: FakeTorch) -> None:
    cuda.cuda.device_count = lambda: 2
    assert Cuda("1").why_unusable().startswith("device 1: the other cards stay visible; set CUDA_VISIBLE")


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


@pytest.mark.parametrize("name", ["0+1", "cpu+cpu", "2xcpu"])
def test_one_process_has_one_device(cuda: FakeTorch, name: str) -> None:
    with pytest.raises(CaseRejected, match="one process has but one device"):
        open_device(name)


@pytest.mark.parametrize("name", ["0+1", "2x0+1"])
def test_a_rank_sees_all_cards_of_its_machine_and_takes_its_own(cuda: FakeTorch, name: str) -> None:
    device = open_device(name, 1)
    assert isinstance(device, Cuda)
    assert device.why_unusable() == ""
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0,1"
    assert (device.device_argument, device.local_name, device.torch_device) == ("0,1", "1", "cuda:1")
    assert cuda.calls == [("init",), ("set_device", 1)]
    device.synchronize()
    assert cuda.calls[-1] == ("synchronize", 1)
    assert device_name(SimpleNamespace(type="cuda", index=1), device) == name
    assert device_name(SimpleNamespace(type="cuda", index=0), device) == "0"


def test_one_process_takes_all_cards_of_data_parallel(cuda: FakeTorch) -> None:
    device = open_device("1+0", together=True)
    assert device.why_unusable() == ""
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "1,0"
    assert (device.torch_device, device.indices, device.taken) == ("cuda:0", [0, 1], 2)
    assert device_name(SimpleNamespace(type="cuda", index=0), device) == "1+0"
    assert device.memory()["allocated"]["method"].endswith("; first of 2 devices")
    assert "first of" not in device.memory()["process"]["method"]
    with pytest.raises(EnergyUnavailable, match="one process takes several"):
        device.energy()


def test_other_kinds_keep_their_own_indices() -> None:
    assert (open_device("xpu:1+xpu:3", together=True).indices, open_device("cpu").indices) == ([1, 3], [0])


def test_a_rank_whose_machine_has_too_few_cards(cuda: FakeTorch) -> None:
    expected = "device 0+7: this machine has 2 CUDA device(s), numbered from 0."
    assert open_device("0+7", 0).why_unusable() == expected


def test_ranks_on_the_cpu_share_it() -> None:
    device = open_device("cpu+cpu", 1)
    assert (device.name, device.device_argument, device.local_name) == ("cpu+cpu", "cpu", "cpu")


def test_cuda_is_waited_for_as_the_one_visible_card(cuda: FakeTorch) -> None:
    Cuda("1").synchronize()
    assert cuda.calls == [("synchronize", 0)]


def test_peaks_of_cuda_are_those_of_the_one_visible_card(cuda: FakeTorch) -> None:
    Cuda("1").reset_peaks()
    assert cuda.calls == [("reset_peak_memory_stats", 0)]


def test_memory_of_cuda_and_the_way_it_was_got(cuda: FakeTorch) -> None:
    memory = Cuda("1").memory()
    assert memory["allocated"] == {"bytes": 5 * GIB, "method": "torch.cuda.max_memory_allocated"}
    assert memory["reserved"] == {"bytes": 6 * GIB, "method": "torch.cuda.max_memory_reserved"}
    assert memory["device"] == {
        "bytes": 50 * GIB,
        "method": "torch.cuda.mem_get_info, whole card at the end of the window",
    }
    assert memory["process"]["bytes"] > 0
    assert set(memory) == FIGURES
    assert {call[1:] for call in cuda.calls} == {(0,)}


def test_facts_of_cuda(cuda: FakeTorch) -> None:
    assert Cuda("1").info() == {
        "name": "NVIDIA H100",
        "capability": "9.0",
        "tensor_cores": True,
        "total_memory": 80 * GIB,
        "cuda": "13.2",
        "cudnn": 91500,
        "allocator_retries": 2,
    }
    assert {call[1:] for call in cuda.calls} == {(0,)}


def test_events_of_cuda_are_made_to_take_the_time(cuda: FakeTorch, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was made without it raises when it is asked for a time."""
    made: list[dict[str, Any]] = []

    def event(**options: Any) -> Any:
        made.append(options)
        return SimpleNamespace(number=len(made))

    cuda.cuda.Event = event
    monkeypatch.setattr(events, "trouble", lambda make, wait, prepare: "")  # which has a test of its own
    device = Cuda("1")
    assert device.timer == "events"
    assert (device.event().number, device.event().number) == (1, 2)
    assert made == [{"enable_timing": True}] * 2
    assert cuda.calls == []  # nothing is waited for, and nothing enqueued before it is recorded


def test_other_devices_are_not_asked_for_events(torch: FakeTorch) -> None:
    for device in (Cpu(), Mps()):
        with pytest.raises(NotImplementedError):
            device.event()


def test_cpu_and_mps_tell_nothing_of_themselves() -> None:
    assert Cpu().read_status() == Mps().read_status() == SILENT


# MPS


def test_a_usable_mac(mps: FakeTorch) -> None:
    assert Mps().why_unusable() == ""


def test_torch_without_mps(mps: FakeTorch) -> None:
    mps.backends.mps.is_built = lambda: False
    assert Mps().why_unusable() == "device mps: this torch 2.14.1 is built without MPS, which needs a Mac."


@pytest.mark.parametrize(("version", "oldest"), [("2.11.0", "12.3"), ("2.12.0", "14"), ("2.15.0", "14")])
def test_mps_that_is_not_available(mps: FakeTorch, monkeypatch: pytest.MonkeyPatch, version: str, oldest: str) -> None:
    mps.__version__ = version
    mps.backends.mps.is_available = lambda: False
    monkeypatch.setattr("platform.mac_ver", lambda: ("12.2", ("", "", ""), "arm64"))
    expected = f"device mps: MPS needs macOS {oldest} or later and a Metal GPU; this is macOS 12.2."
    assert Mps().why_unusable() == expected


def test_mps_is_waited_for(mps: FakeTorch) -> None:
    Mps().synchronize()
    assert mps.calls == [("synchronize",)]


def test_memory_of_mps_and_the_way_it_was_got(mps: FakeTorch) -> None:
    device = Mps()
    device.reset_peaks()
    memory = device.memory()
    assert mps.calls[0] == ("reset_peak_memory_stats", 0)
    assert set(memory) == FIGURES
    assert memory["allocated"] == {"bytes": 4 * GIB, "method": "torch.accelerator.max_memory_allocated"}
    assert memory["reserved"]["bytes"] == 7 * GIB
    assert memory["reserved"]["method"].startswith("torch.mps.driver_allocated_memory at the end of the window")
    assert memory["process"]["bytes"] > 0
    assert memory["device"] == {"bytes": None, "method": "an Apple GPU has no memory apart from the machine's"}


def refuse(*arguments: Any) -> None:
    raise RuntimeError("Allocator for mps is not a DeviceAllocator.")


@pytest.mark.parametrize(
    "accelerator",
    [
        None,
        SimpleNamespace(current_accelerator=lambda: SimpleNamespace(type="mps")),
        SimpleNamespace(
            current_accelerator=lambda: SimpleNamespace(type="mps"),
            reset_peak_memory_stats=refuse,
            max_memory_allocated=refuse,
            memory_allocated=refuse,
        ),
    ],
    ids=["no-module", "no-function", "refused"],
)
def test_without_peak_statistics_the_figure_is_sampled(mps: FakeTorch, accelerator: Any) -> None:
    del mps.accelerator
    if accelerator is not None:
        mps.accelerator = accelerator
    device = Mps()
    device.reset_peaks()
    missing = "torch 2.14.1 has no peak statistics on mps"
    assert device.memory()["allocated"] == {"bytes": None, "method": f"{missing}, and nothing was sampled"}
    sizes = [GIB, 3 * GIB, 5 * GIB, 4 * GIB]  # the first one is asked to see whether there is an answer
    mps.mps.current_allocated_memory = lambda: sizes.pop(0)
    for _ in range(3):
        device.sample_memory()
    memory = device.memory()
    how = f"largest of 3 samples of torch.mps.current_allocated_memory where parts of steps end: {missing}"
    assert memory["allocated"] == {"bytes": 5 * GIB, "method": how}
    assert memory["reserved"]["bytes"] == 7 * GIB
    device.reset_peaks()
    assert device.memory()["allocated"]["bytes"] is None, "samples of before count no more"


def test_facts_of_mps(mps: FakeTorch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.mac_ver", lambda: ("26.1", ("", "", ""), "arm64"))
    tried = {"linalg.inv": "native"}
    monkeypatch.setattr("bench.worker.devices.mps.try_operators", lambda importing: tried)
    there = {"recommended_max_memory": 24 * GIB, "macos": "26.1", "fell_back": [], "operators": tried}
    assert Mps().info() == there


# The process


@pytest.mark.parametrize(("system", "unit"), [("darwin", 1), ("linux", 1024)])
def test_peak_of_the_process_without_proc(system: str, unit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_file(*arguments: Any, **options: Any) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(base, "open", no_file, raising=False)
    monkeypatch.setattr(base.sys, "platform", system)
    monkeypatch.setattr(base.resource, "getrusage", lambda who: SimpleNamespace(ru_maxrss=1000))
    peak = base.process_peak()
    assert peak["bytes"] == 1000 * unit
    assert peak["method"].startswith("ru_maxrss")
    base.reset_process_peak()  # where it cannot be lowered, that is no error


def test_peak_of_the_process_with_proc(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    status = tmp_path / "status"
    status.write_text("Name:\tpython\nVmPeak:\t 9999 kB\nVmHWM:\t    1234 kB\n")
    monkeypatch.setattr(base, "open", lambda path, **options: status.open(**options), raising=False)
    how = "VmHWM, peak resident set since set-up"
    monkeypatch.setattr(base, "_peak_is_reset", True)
    assert base.process_peak() == {"bytes": 1234 * 1024, "method": how}
    monkeypatch.setattr(base, "_peak_is_reset", False)
    assert base.process_peak()["method"].endswith("since the start of the process")


def test_libraries_that_only_the_parent_touched_are_added(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"self": {"VmHWM": 1000, "RssFile": 200}, 77: {"RssFile": 500}}
    monkeypatch.setattr(base, "_status", sizes.__getitem__)
    monkeypatch.setattr(base, "forked_from", 77)
    assert base.process_peak()["bytes"] == 1300


# Limits of memory


def test_a_card_is_held_to_a_fraction_of_itself(cuda: FakeTorch) -> None:
    cuda.cuda.set_per_process_memory_fraction = cuda.noted("set_per_process_memory_fraction")
    for size in (0, 20 * GIB, 80 * GIB, 81 * GIB):  # the driver tells a little more than torch does
        Cuda("0").limit_memory(size)
    set_to = [call[1:] for call in cuda.calls if call[0] == "set_per_process_memory_fraction"]
    assert set_to == [(0.25, 0), (1.0, 0), (1.0, 0)]


def test_a_limit_above_the_device_would_hold_nothing(cuda: FakeTorch, mps: FakeTorch) -> None:
    for there in (cuda.cuda, mps.mps):
        there.set_per_process_memory_fraction = cuda.noted("set_per_process_memory_fraction")
    with pytest.raises(CaseRejected, match="device 0: a memory limit of 200 GiB is more than it has, 80 GiB"):
        Cuda("0").limit_memory(200 * GIB)
    with pytest.raises(CaseRejected, match="device mps: a memory limit of 32 GiB is more than it has, 24 GiB"):
        Mps().limit_memory(32 * GIB)
    assert "set_per_process_memory_fraction" not in [call[0] for call in (*cuda.calls, *mps.calls)]


def test_mps_is_held_below_where_macos_would_swap(mps: FakeTorch) -> None:
    mps.mps.set_per_process_memory_fraction = mps.noted("set_per_process_memory_fraction")
    for size in (0, 12 * GIB, 24 * GIB):
        Mps().limit_memory(size)
    set_to = [call[1:] for call in mps.calls if call[0] == "set_per_process_memory_fraction"]
    assert set_to == [(1.0,), (0.5,), (1.0,)]


def test_the_cpu_is_held_from_outside(torch: FakeTorch) -> None:
    Cpu().limit_memory(GIB)
    assert torch.calls == []


FALLS_BACK = (
    "The operator '{}' is not currently supported on the MPS backend and will fall back to run on the CPU. "
    "This may have performance implications."
)
"""As aten/src/ATen/mps/MPSFallback.mm of torch has it."""


def test_operators_that_fall_back_are_named_while_warming_up(mps: FakeTorch, monkeypatch: pytest.MonkeyPatch) -> None:
    always: list[bool] = []
    mps.is_warn_always_enabled = lambda: False
    mps.set_warn_always = always.append
    monkeypatch.setattr("platform.mac_ver", lambda: ("15.0", ("", "", ""), "arm64"))
    shown: list[str] = []
    monkeypatch.setattr("warnings.showwarning", lambda message, *rest, **more: shown.append(str(message)))
    device = Mps()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        monkeypatch.setattr("warnings.showwarning", lambda message, *rest, **more: shown.append(str(message)))
        device.set_warmup(True)
        for name in ("aten::nms", "aten::nms", "aten::_foo"):
            warnings.warn(FALLS_BACK.format(name), UserWarning, stacklevel=1)
        warnings.warn("something else", UserWarning, stacklevel=1)
        device.set_warmup(False)
        warnings.warn("afterwards", UserWarning, stacklevel=1)
    monkeypatch.setattr("bench.worker.devices.mps.try_operators", lambda importing: {})
    assert device.info()["fell_back"] == ["aten::nms", "aten::_foo"]
    assert shown == ["something else", "afterwards"]
    assert always == [True, False]
    device.set_warmup(False)  # once more changes nothing
    assert always == [True, False]


def test_memory_of_data_loader_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("multiprocessing.active_children", list)
    assert base.loaders_memory() == {"bytes": None, "method": "there were no data loader processes"}
    child = subprocess.Popen(
        [sys.executable, "-c", "import sys; block = bytearray(32 << 20); print(1, flush=True); sys.stdin.read()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert child.stdout is not None
        child.stdout.readline()
        monkeypatch.setattr("multiprocessing.active_children", lambda: [child])
        memory = base.loaders_memory()
        if not sys.platform.startswith("linux"):
            assert memory == {"bytes": None, "method": "this system does not report it for other processes"}
        else:
            assert 32 << 20 <= memory["bytes"] < 128 << 20
            assert memory["method"] == "private memory of 1 data loader process at the end of the window"
    finally:
        child.communicate()


@pytest.mark.parametrize("reader", ["process_peak", "private_peak", "data_peak"])
def test_a_memory_figure_that_cannot_be_read_is_none_and_says_why(monkeypatch: pytest.MonkeyPatch, reader: str) -> None:
    """A system whose ``/proc`` is of another make: some lines are missing, others are none."""
    from bench.worker.devices import base

    def odd(process: int | str) -> dict[str, int]:
        raise ValueError("invalid literal for int()")

    monkeypatch.setattr(base, "_status", odd)
    assert getattr(base, reader)() == {"bytes": None, "method": "the system's answer cannot be read (ValueError)"}
    monkeypatch.setattr(base, "_status", lambda process: {"VmPeak": 7})
    assert getattr(base, reader)()["bytes"] is None or reader == "process_peak"
