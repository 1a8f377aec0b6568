"""What an NVIDIA card tells through NVML, against a fake of ``pynvml``."""

from __future__ import annotations

import os
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from bench.worker.devices.cuda import Cuda
from bench.worker.monitors import nvml
from bench.worker.monitors.energy import Energy, EnergyUnavailable

from ..fake_torch import FakeTorch

UUID = "11111111-2222-3333-4444-555555555555"
STATUS = ("device_clock_mhz", "device_temperature", "device_throttle", "device_others", "device_utilization")
SILENT = dict.fromkeys(STATUS)


# NVML


class NVMLError(Exception):
    """What ``pynvml`` raises."""

    def __init__(self, message: str, value: int = 0) -> None:
        super().__init__(message)
        self.value = value


class FakeNvml(ModuleType):
    """``pynvml`` with a driver of two cards: the second is busy, hot and shared. Handles are positions."""

    NVML_CLOCK_SM = 1
    NVML_TEMPERATURE_GPU = 0
    NVML_PERF_POLICY_POWER = 0
    NVML_PERF_POLICY_THERMAL = 1
    NVML_GPU_UTILIZATION_SAMPLES = 1

    def __init__(self) -> None:
        super().__init__("pynvml")
        self.started = 0
        self.uuids = ["GPU-00000000-0000-0000-0000-000000000000", f"GPU-{UUID}"]
        self.places = ["00000000:01:00.0", "00000000:C1:00.0"]
        self.clocks = {1: [300, 1755], 0: [300, 9999]}
        self.bits = [1, 0x4]
        self.pids: list[list[int]] = [[], [4242, os.getpid()]]
        self.violations = {0: [0, 0], 1: [0, 0]}  # microseconds and nanoseconds
        self.samples = [(1_000_000, 50), (2_000_000, 100)]  # microseconds and per cent
        self.unsupported: set[str] = set()
        self.lost = False

    def nvmlInit(self) -> None:
        self.started += 1

    def _ask(self, function: str, handle: int) -> int:
        assert self.started, "NVMLError_Uninitialized"
        if function in self.unsupported:
            raise NVMLError("Not Supported", nvml.NOT_SUPPORTED)
        if self.lost:
            raise NVMLError("GPU is lost", 15)
        return handle

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> int:
        if uuid not in self.uuids:
            raise NVMLError("Not Found")
        return self._ask("nvmlDeviceGetHandleByUUID", self.uuids.index(uuid))

    def nvmlDeviceGetHandleByPciBusId(self, place: str) -> int:
        if place.upper() not in self.places:
            raise NVMLError("Not Found")
        return self._ask("nvmlDeviceGetHandleByPciBusId", self.places.index(place.upper()))

    def nvmlDeviceGetClockInfo(self, handle: int, kind: int) -> int:
        return self.clocks[kind][self._ask("nvmlDeviceGetClockInfo", handle)]

    def nvmlDeviceGetTemperature(self, handle: int, sensor: int) -> int:
        assert sensor == 0
        return [35, 84][self._ask("nvmlDeviceGetTemperature", handle)]

    def nvmlDeviceGetCurrentClocksEventReasons(self, handle: int) -> int:
        return self.bits[self._ask("nvmlDeviceGetCurrentClocksEventReasons", handle)]

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle: int) -> int:
        return self.bits[self._ask("nvmlDeviceGetCurrentClocksThrottleReasons", handle)]

    def nvmlDeviceGetViolationStatus(self, handle: int, policy: int) -> Any:
        self._ask("nvmlDeviceGetViolationStatus", handle)
        reference, violation = self.violations[policy]
        return SimpleNamespace(referenceTime=reference, violationTime=violation)

    def nvmlDeviceGetSamples(self, handle: int, kind: int, since: int) -> Any:
        self._ask("nvmlDeviceGetSamples", handle)
        newer = [(moment, value) for moment, value in self.samples if moment > since]
        if kind != self.NVML_GPU_UTILIZATION_SAMPLES or not newer:
            raise NVMLError("Not Found", 6)
        return 1, [SimpleNamespace(timeStamp=m, sampleValue=SimpleNamespace(uiVal=v)) for m, v in newer]

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: int) -> int:
        return 5_000 + self._ask("nvmlDeviceGetTotalEnergyConsumption", handle)

    def nvmlDeviceGetComputeRunningProcesses(self, handle: int) -> list[Any]:
        pids = self.pids[self._ask("nvmlDeviceGetComputeRunningProcesses", handle)]
        return [SimpleNamespace(pid=pid, usedGpuMemory=None) for pid in pids]


class CudaUuid:
    """torch's own type, which has to be turned into a string: without a prefix."""

    def __str__(self) -> str:
        return UUID


@pytest.fixture
def nvidia(cuda: FakeTorch, monkeypatch: pytest.MonkeyPatch) -> FakeNvml:
    """torch sees one card as its first, which the driver counts as its second."""
    fake = FakeNvml()
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    cuda.cuda.get_device_properties(0).uuid = CudaUuid()
    return fake


BUSY = dict(zip(STATUS, (1755, 84, ["power cap"], 1, 0.75), strict=True))


def test_the_card_is_found_by_its_uuid_whatever_its_index(nvidia: FakeNvml) -> None:
    assert Cuda("0").read_status() == BUSY


def test_the_card_is_found_by_its_place_where_it_has_no_uuid(nvidia: FakeNvml, cuda: FakeTorch) -> None:
    properties = cuda.cuda.get_device_properties(0)
    del properties.uuid
    properties.pci_domain_id, properties.pci_bus_id, properties.pci_device_id = 0, 0xC1, 0
    assert Cuda("0").read_status() == BUSY


def test_a_card_that_the_driver_does_not_know_is_never_another_one(nvidia: FakeNvml, cuda: FakeTorch) -> None:
    nvidia.uuids[1] = "GPU-99999999"
    assert Cuda("0").read_status() == SILENT
    del cuda.cuda.get_device_properties(0).uuid
    assert Cuda("0").read_status() == SILENT


def test_a_part_of_a_card_has_a_uuid_of_its_own(nvidia: FakeNvml) -> None:
    nvidia.uuids[1] = f"MIG-{UUID}"
    nvidia.unsupported = {"nvmlDeviceGetClockInfo", "nvmlDeviceGetCurrentClocksEventReasons"}
    nvidia.unsupported |= {"nvmlDeviceGetCurrentClocksThrottleReasons", "nvmlDeviceGetViolationStatus"}
    assert Cuda("0").read_status() == {**BUSY, "device_clock_mhz": None, "device_throttle": None}


def test_nvml_is_started_once(nvidia: FakeNvml) -> None:
    device = Cuda("0")
    assert nvidia.started == 0
    for _ in range(3):
        device.read_status()
    assert nvidia.started == 1


def test_without_pynvml_nothing_is_reported(cuda: FakeTorch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)  # importing it raises
    assert Cuda("0").read_status() == SILENT


def test_without_a_driver_nothing_is_reported(nvidia: FakeNvml) -> None:
    def nvmlInit() -> None:
        raise NVMLError("NVML Shared Library Not Found")

    nvidia.nvmlInit = nvmlInit  # type: ignore[method-assign]
    assert Cuda("0").read_status() == SILENT


@pytest.mark.parametrize("function", [name for name in vars(FakeNvml) if name.startswith("nvmlDeviceGet")])
def test_what_a_card_does_not_support_is_missing_by_itself(nvidia: FakeNvml, function: str) -> None:
    nvidia.unsupported = {function}
    sample = Cuda("0").read_status()
    assert set(sample) == set(SILENT)
    missing = {
        "nvmlDeviceGetHandleByUUID": set(SILENT),
        "nvmlDeviceGetClockInfo": {"device_clock_mhz"},
        "nvmlDeviceGetTemperature": {"device_temperature"},
        "nvmlDeviceGetComputeRunningProcesses": {"device_others"},
        "nvmlDeviceGetSamples": {"device_utilization"},
    }
    assert {name for name, value in sample.items() if value is None} == missing.get(function, set())


@pytest.mark.parametrize(
    ("bits", "reasons"),
    [
        (0x0, []),
        (0x1 | 0x2 | 0x10 | 0x100, []),  # idle, clocks that the user set, sync boost, a display
        (0x4, ["power cap"]),
        (0x20, ["software thermal slowdown"]),
        (0x8 | 0x40, ["hardware slowdown", "hardware thermal slowdown"]),
        (0x8 | 0x80, ["hardware slowdown", "power brake"]),
    ],
)
def test_reasons_for_lower_clocks(nvidia: FakeNvml, bits: int, reasons: list[str]) -> None:
    nvidia.bits[1] = bits
    assert Cuda("0").read_status()["device_throttle"] == reasons


def test_reasons_by_their_older_name(nvidia: FakeNvml, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(FakeNvml, "nvmlDeviceGetCurrentClocksEventReasons")
    assert Cuda("0").read_status()["device_throttle"] == ["power cap"]


def test_the_bits_are_those_of_the_real_library() -> None:
    pynvml = pytest.importorskip("pynvml")
    names = ("SwPowerCap", "HwSlowdown", "SwThermalSlowdown", "HwThermalSlowdown", "HwPowerBrakeSlowdown")
    assert list(nvml.REASONS) == [getattr(pynvml, f"nvmlClocksEventReason{name}") for name in names]
    for name, value in vars(FakeNvml).items():
        if name.startswith("NVML_"):
            assert getattr(pynvml, name) == value
        elif name.startswith("nvml"):
            assert callable(getattr(pynvml, name))


def test_throttling_that_ended_within_the_window_is_reported(nvidia: FakeNvml) -> None:
    nvidia.bits[1] = 0x1  # idle again
    nvidia.violations[1] = [1_000_000, 5_000_000_000]  # long before
    device = Cuda("0")
    assert device.read_status()["device_throttle"] == []
    nvidia.violations[1] = [4_000_000, 5_300_000_000]  # 0.3 s of 3 s
    assert device.read_status()["device_throttle"] == ["thermal limit"]
    nvidia.violations[1] = [7_000_000, 5_310_000_000]  # 0.01 s of 3 s
    assert device.read_status()["device_throttle"] == []


def test_a_cap_that_held_and_holds_is_reported_once(nvidia: FakeNvml) -> None:
    device = Cuda("0")
    device.read_status()
    nvidia.violations[0] = [3_000_000, 2_000_000_000]
    assert device.read_status()["device_throttle"] == ["power cap"]


def test_utilization_is_the_mean_of_the_samples_since_the_last_reading(nvidia: FakeNvml) -> None:
    device = Cuda("0")
    device.read_status()
    nvidia.samples += [(3_000_000, 10), (4_000_000, 40)]
    assert device.read_status()["device_utilization"] == 0.25
    assert device.read_status()["device_utilization"] is None, "there is no new sample"


@pytest.mark.parametrize(
    ("pids", "others"),
    [
        ([], 0),  # hidden in a container
        ([os.getpid()], 0),
        ([os.getpid(), os.getpid()], 0),
        ([77], 0),  # this process, by the number that it has outside of its container
        ([77, 78, 79], 2),
        ([77, os.getpid(), 78], 2),
    ],
)
def test_other_processes_on_the_card(nvidia: FakeNvml, pids: list[int], others: int) -> None:
    nvidia.pids[1] = pids
    assert Cuda("0").read_status()["device_others"] == others


def test_the_energy_of_a_card_is_its_drivers(nvidia: FakeNvml) -> None:
    meter = Cuda("0").energy()
    meter.begin()
    assert (meter.end(), meter.scope) == (0.0, "card")
    nvidia.unsupported.add("nvmlDeviceGetTotalEnergyConsumption")
    with pytest.raises(EnergyUnavailable, match="no counter of its energy"):
        Cuda("0").energy()


def test_a_card_that_is_lost_in_the_middle_is_not_called_one_without_a_counter(
    nvidia: FakeNvml,
) -> None:
    energy = Energy(Cuda("0").energy)
    energy.open()
    nvidia.lost = True
    energy.close()
    report = energy.report(0, 16)
    assert (report["joules"], report["method"]) == (None, "the card's counter does not answer: GPU is lost")
    assert Cuda("0").read_status() == SILENT


def test_the_codes_are_those_of_the_real_library() -> None:
    pynvml = pytest.importorskip("pynvml")
    assert (pynvml.NVML_ERROR_NOT_SUPPORTED, pynvml.NVML_ERROR_FUNCTION_NOT_FOUND) == (
        nvml.NOT_SUPPORTED,
        nvml.FUNCTION_NOT_FOUND,
    )
