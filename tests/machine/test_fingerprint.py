from __future__ import annotations

import platform
import re
import socket
import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import msgspec
import pytest

from bench.machine import fingerprint
from bench.machine.fingerprint import cpu_name, devices, machine, nvidia_gpus

GIB = 2**30


def forget() -> None:
    nvidia_gpus.cache_clear()
    machine.cache_clear()


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """Nothing that was found before counts, and nothing that is found here counts later."""
    forget()
    yield
    forget()


@pytest.fixture
def no_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)


def fake_nvml(monkeypatch: pytest.MonkeyPatch, cards: list[tuple[str, int]]) -> list[str]:
    """A box with a driver and these cards; what is returned holds the calls that open and close it."""
    calls: list[str] = []
    nvml = ModuleType("pynvml")
    nvml.nvmlInit = lambda: calls.append("init")
    nvml.nvmlShutdown = lambda: calls.append("shutdown")
    nvml.nvmlDeviceGetCount = lambda: len(cards)
    nvml.nvmlDeviceGetHandleByIndex = lambda index: cards[index]
    nvml.nvmlDeviceGetName = lambda handle: handle[0]
    nvml.nvmlDeviceGetMemoryInfo = lambda handle: SimpleNamespace(total=handle[1])
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    return calls


def fake_mac(monkeypatch: pytest.MonkeyPatch, arch: str = "arm64", brand: str = "Apple M3 Pro") -> None:
    def sysctl(command: list[str], **options: Any) -> SimpleNamespace:
        assert command == ["sysctl", "-n", "machdep.cpu.brand_string"]
        return SimpleNamespace(stdout=f"{brand}\n")

    monkeypatch.setitem(sys.modules, "pynvml", None)
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(platform, "machine", lambda: arch)
    monkeypatch.setattr(fingerprint.subprocess, "run", sysctl)


def test_this_machine_is_stable() -> None:
    first = machine()
    forget()
    assert machine() == first
    assert re.fullmatch(r"[0-9a-f]{12}", first.fingerprint)
    assert first.cores >= 1
    assert first.memory_gib >= 1
    assert first.cpu


def test_the_name_of_the_host_is_not_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> str:
        raise AssertionError("nobody needs the name of the host")

    first = machine()
    forget()
    for module, name in ((platform, "node"), (socket, "gethostname"), (socket, "getfqdn")):
        monkeypatch.setattr(module, name, fail)
    assert machine() == first


def test_the_name_of_the_host_may_change(monkeypatch: pytest.MonkeyPatch) -> None:
    first = machine()
    forget()
    renamed = platform.uname()._replace(node="a-name-that-stands-nowhere-else")
    monkeypatch.setattr(platform, "uname", lambda: renamed)
    assert machine() == first
    assert b"a-name-that-stands-nowhere-else" not in msgspec.json.encode(machine())


def test_the_fingerprint_changes_with_the_hardware(monkeypatch: pytest.MonkeyPatch) -> None:
    prints = set()
    for cards in ([], [("NVIDIA H100", 80 * GIB)], [("NVIDIA H100", 80 * GIB)] * 2, [("NVIDIA H100", 94 * GIB)]):
        forget()
        fake_nvml(monkeypatch, cards)
        prints.add(machine().fingerprint)
    assert len(prints) == 4


def test_one_card_of_each_kind_and_the_cpu_last(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = fake_nvml(monkeypatch, [("NVIDIA H200", 139 * GIB), ("NVIDIA H200", 139 * GIB), ("NVIDIA L4", 22 * GIB)])
    assert devices() == ["0", "2", "cpu"]
    assert machine().gpus == ["NVIDIA H200 (139 GiB)", "NVIDIA H200 (139 GiB)", "NVIDIA L4 (22 GiB)"]
    assert calls == ["init", "shutdown"]


@pytest.mark.usefixtures("no_gpus")
def test_without_the_library_there_is_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    assert devices() == ["cpu"]
    assert machine().gpus == []


@pytest.mark.parametrize("call", ["nvmlInit", "nvmlDeviceGetCount", "nvmlDeviceGetHandleByIndex"])
def test_without_a_driver_there_is_the_cpu(call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise RuntimeError("Driver Not Loaded")

    fake_nvml(monkeypatch, [("NVIDIA H100", 80 * GIB)])
    monkeypatch.setattr(sys.modules["pynvml"], call, fail)
    assert devices() == ["cpu"]


def test_a_mac_with_apple_silicon(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_mac(monkeypatch)
    assert devices() == ["mps", "cpu"]
    here = machine()
    assert (here.system, here.cpu, here.gpus) == ("Darwin arm64", "Apple M3 Pro", ["Apple M3 Pro GPU"])


def test_a_mac_with_intel(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_mac(monkeypatch, arch="x86_64", brand="Intel(R) Core(TM) i7")
    assert devices() == ["cpu"]
    assert (machine().cpu, machine().gpus) == ("Intel(R) Core(TM) i7", [])


def test_python_under_rosetta_has_no_mps_and_another_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_mac(monkeypatch)
    native = machine().fingerprint
    forget()
    fake_mac(monkeypatch, arch="x86_64")
    assert devices() == ["cpu"]
    assert machine().fingerprint != native


@pytest.mark.usefixtures("no_gpus")
def test_a_cpu_that_does_not_tell_its_name(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    nameless = tmp_path / "cpuinfo"
    nameless.write_text("processor\t: 0\nBogoMIPS\t: 243.75\n")
    monkeypatch.setattr(fingerprint, "Path", lambda path: nameless)
    monkeypatch.setitem(sys.modules, "cpuinfo", SimpleNamespace(get_cpu_info=lambda: {"brand_raw": "Neoverse-V2"}))
    assert cpu_name() == "Neoverse-V2"
    monkeypatch.setitem(sys.modules, "cpuinfo", SimpleNamespace(get_cpu_info=dict))
    assert cpu_name() == platform.machine()


def test_a_cpu_that_does(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    named = tmp_path / "cpuinfo"
    named.write_text("processor\t: 0\nmodel name\t: AMD  EPYC 7R13   Processor\n")
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(fingerprint, "Path", lambda path: named)
    assert cpu_name() == "AMD EPYC 7R13 Processor"


@pytest.mark.parametrize(
    ("visible", "device", "expected"),
    [(None, "1", 24), (None, "2", None), ("1,0", "0", 24), ("1", "1", None), ("GPU-1", "0", None), ("", "0", None)],
)
def test_memory_of_the_card_that_a_case_calls_by_an_index(
    monkeypatch: pytest.MonkeyPatch, visible: str | None, device: str, expected: int | None
) -> None:
    monkeypatch.setattr(fingerprint, "nvidia_gpus", lambda: (("H100", 80), ("L4", 24)))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert fingerprint.card_bytes(device) == expected


@pytest.mark.parametrize(
    ("visible", "order", "places"),
    [
        (None, None, [0, 1]),
        ("1", None, [1]),
        ("1,0", "PCI_BUS_ID", [1, 0]),
        ("0,-1,1", None, [0]),  # CUDA takes those before the first that there is none of
        ("0,7,1", None, [0]),
        ("GPU-1111,0", None, [None, 0]),
        ("", None, []),
        (None, "FASTEST_FIRST", [None, None]),
    ],
)
def test_how_a_worker_numbers_the_cards(
    monkeypatch: pytest.MonkeyPatch, visible: str | None, order: str | None, places: list[int | None]
) -> None:
    monkeypatch.setattr(fingerprint, "nvidia_gpus", lambda: (("H100", 80), ("L4", 24)))
    for name, value in (("CUDA_VISIBLE_DEVICES", visible), ("CUDA_DEVICE_ORDER", order)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    assert fingerprint.visible_cards() == places


def test_cards_that_are_alike_have_one_size_in_whatever_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprint, "nvidia_gpus", lambda: (("L4", 24), ("L4", 24)))
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "FASTEST_FIRST")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert fingerprint.card_bytes("1") == 24
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-1111")  # a part of a card
    assert fingerprint.card_bytes("0") is None
