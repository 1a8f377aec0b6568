"""Joules, from counters that are played: NVML's, RAPL's files, and zeus-apple-silicon."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from bench.worker.monitors import energy
from bench.worker.monitors.energy import Apple, Energy, EnergyUnavailable, Nvml, Rapl, machine_meter


class FakeCard:
    """Counts millijoules."""

    def __init__(self, *readings: float | None) -> None:
        self.readings = list(readings)

    def energy(self) -> float | None:
        return self.readings.pop(0)


def test_a_card_counts_by_itself() -> None:
    meter = Nvml(FakeCard(1000.0, 2000.0, 5500.0))
    meter.begin()
    assert meter.end() == 3.5
    assert meter.scope == "card"


@pytest.mark.parametrize(("card", "reason"), [(None, "NVML does not answer"), (FakeCard(None), "no counter")])
def test_a_card_that_does_not_count(card: FakeCard | None, reason: str) -> None:
    with pytest.raises(EnergyUnavailable, match=reason):
        Nvml(card)


def zone(root: Path, name: str, kind: str, value: int, most: int = 10**9) -> Path:
    folder = root / name
    folder.mkdir()
    for file, content in (("name", kind), ("energy_uj", value), ("max_energy_range_uj", most)):
        (folder / file).write_text(f"{content}\n")
    return folder


def test_rapl_counts_packages_and_memory_and_nothing_twice(tmp_path: Path) -> None:
    package = zone(tmp_path, "intel-rapl:0", "package-0", 1_000_000)
    core = zone(tmp_path, "intel-rapl:0:0", "core", 500_000)
    dram = zone(tmp_path, "intel-rapl:0:1", "dram", 100_000)
    system = zone(tmp_path, "intel-rapl:1", "psys", 100_000)
    meter = Rapl(tmp_path)
    meter.begin()
    for folder, value in ((package, 3_000_000), (core, 1_500_000), (dram, 600_000), (system, 9_000_000)):
        (folder / "energy_uj").write_text(str(value))
    assert meter.end() == pytest.approx(2.5)
    assert meter.method == "RAPL, package-0, dram: the whole machine's"


def test_a_rapl_counter_that_went_round(tmp_path: Path) -> None:
    package = zone(tmp_path, "intel-rapl:0", "package-0", 999_000_000, most=1_000_000_000)
    meter = Rapl(tmp_path)
    (package / "energy_uj").write_text("4000000")
    assert meter.end() == pytest.approx(5.0)


def test_a_machine_without_rapl(tmp_path: Path) -> None:
    with pytest.raises(EnergyUnavailable, match="shows no RAPL counters"):
        Rapl(tmp_path)


def test_counters_that_only_root_may_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0", 1)
    read = Path.read_text

    def guarded(path: Path, *arguments: Any, **named: Any) -> str:
        if path.name == "energy_uj":
            raise PermissionError(13, "Permission denied")
        return read(path, *arguments, **named)

    monkeypatch.setattr(Path, "read_text", guarded)
    with pytest.raises(EnergyUnavailable, match=r"may not be read \(Permission denied\)"):
        Rapl(tmp_path)


@pytest.fixture
def apple(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """zeus-apple-silicon on a chip that does not tell its memory apart."""
    chip = SimpleNamespace(windows=[], metrics=SimpleNamespace(cpu_total_mj=1500, gpu_mj=2500, dram_mj=None))

    class AppleEnergyMonitor:
        def begin_window(self, key: str) -> None:
            chip.windows.append(key)

        def end_window(self, key: str) -> Any:
            chip.windows.remove(key)
            return chip.metrics

    module = ModuleType("zeus_apple_silicon")
    module.AppleEnergyMonitor = AppleEnergyMonitor  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "zeus_apple_silicon", module)
    return chip


def test_apples_estimate_is_called_one(apple: SimpleNamespace) -> None:
    meter = Apple(("gpu", "cpu_total", "dram"))
    for _ in range(2):
        meter.begin()
        assert meter.end() == 4.0
    assert not apple.windows
    assert meter.method == "zeus-apple-silicon, Apple's model estimate of gpu, cpu_total", "memory is not in it"
    assert meter.scope == "machine"


def test_a_chip_that_tells_nothing(apple: SimpleNamespace) -> None:
    apple.metrics = SimpleNamespace()
    meter = Apple(("gpu",))
    meter.begin()
    with pytest.raises(EnergyUnavailable, match="reports no energy"):
        meter.end()


def test_which_meter_a_system_has(apple: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert isinstance(machine_meter(("gpu",)), Apple)
    monkeypatch.setitem(sys.modules, "zeus_apple_silicon", None)
    with pytest.raises(EnergyUnavailable, match=r"pip install zeus-apple-silicon there"):
        machine_meter(("gpu",))


class Counter:
    """A joule at every second reading."""

    method, scope = "a counter", "card"

    def __init__(self, *joules: float) -> None:
        self.joules = list(joules)

    def begin(self) -> None:
        """Nothing to do."""

    def end(self) -> float:
        if not self.joules:
            raise RuntimeError("the card fell off the bus")
        return self.joules.pop(0)


@pytest.fixture
def no_idling(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter(range(100))
    monkeypatch.setattr(energy.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(energy.time, "perf_counter", lambda: 2.0 * next(moments))


def test_idle_power_first_then_each_window(no_idling: None) -> None:
    monitor = Energy(lambda: Counter(10.0, 300.0, 200.0))
    monitor.idle()
    for _ in range(2):
        monitor.open()
        monitor.close()
    assert monitor.report(1, 400) == {
        "joules": 200.0,
        "seconds": 2.0,
        "images": 400,
        "idle_watts": 5.0,
        "method": "a counter",
        "scope": "card",
    }


def test_a_meter_that_breaks_costs_the_case_nothing(no_idling: None) -> None:
    monitor = Energy(lambda: Counter(10.0))
    monitor.idle()
    monitor.open()
    monitor.close()
    report = monitor.report(0, 400)
    assert (report["joules"], report["method"]) == (None, "RuntimeError: the card fell off the bus")


def test_where_nothing_counts_the_reason_stands(tmp_path: Path) -> None:
    monitor = Energy(lambda: Rapl(tmp_path))
    monitor.idle()
    monitor.open()
    monitor.close()
    assert monitor.report(0, 4)["method"].startswith("this machine shows no RAPL counters")


def test_a_window_that_was_counted_stays_so_where_a_later_one_is_not(no_idling: None) -> None:
    monitor = Energy(lambda: Counter(10.0, 300.0))
    monitor.idle()
    for _ in range(2):
        monitor.open()
        monitor.close()
    first, second = monitor.report(0, 400), monitor.report(1, 400)
    assert (first["joules"], first["idle_watts"], first["method"], first["scope"]) == (300.0, 5.0, "a counter", "card")
    assert (second["joules"], second["idle_watts"]) == (None, None)
