"""What is keys of a window: from a ``/proc`` in a folder with a clock of its own, and from this machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from bench.records.record import Window
from bench.worker.devices.base import device_status
from bench.worker.devices.cpu import Cpu
from bench.worker.monitors import macos, system
from bench.worker.monitors.interference import worth_retrying
from bench.worker.monitors.system import SystemMonitor
from tests.worker.fake_proc import OWN, TICK, FakeProc

from ..traits import take

KEYS = set(Window.__struct_fields__) - {"step_seconds"}
OTHER = OWN + 1

linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs the /proc of Linux")


class FakeDevice(Cpu):
    """A device that tells what it is keys to; ``sampled`` counts how often it was asked."""

    def __init__(self, kind: str = "cpu", **values: Any) -> None:
        take(self, kind)
        self.values = values
        self.sampled = 0

    def read_status(self) -> dict[str, Any]:
        self.sampled += 1
        return device_status(**self.values)


class Clocks:
    """The process's clocks; they stand still until they are moved."""

    def __init__(self) -> None:
        self.wall, self.cpu, self.switches = 100.0, 50.0, 7

    def perf_counter(self) -> float:
        return self.wall

    def getrusage(self, who: int) -> Any:
        assert who == 0  # RUSAGE_SELF
        return SimpleNamespace(ru_utime=self.cpu * 0.75, ru_stime=self.cpu * 0.25, ru_nivcsw=self.switches)

    def move(self, wall: float, cpu: float, switches: int = 0) -> None:
        self.wall += wall
        self.cpu += cpu
        self.switches += switches


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    fake = Clocks()
    monkeypatch.setattr(system, "time", SimpleNamespace(perf_counter=fake.perf_counter))
    monkeypatch.setattr(system, "resource", SimpleNamespace(getrusage=fake.getrusage, RUSAGE_SELF=0))
    return fake


@pytest.fixture
def linux(tmp_path: Path) -> FakeProc:
    """A quiet machine of two processors: this process, a helper in its group, and a shell."""
    fake = FakeProc(tmp_path)
    fake.thread(10, waited=1.0)
    fake.machine(user=1000, idle=1000)
    fake.process(10, used=50, group=OWN)
    fake.process(11, used=10, group=OWN, parent=10)
    fake.process(20, used=500, group=OTHER)
    for name in ("cpu", "memory", "io"):
        fake.pressure(name, 5.0)
    fake.swap(used=1 << 30)
    return fake


def measured(
    linux: FakeProc, clocks: Clocks, change: Callable[[], None], device: FakeDevice | None = None, cpu: float = 4.0
) -> dict[str, Any]:
    """A window of 4 s in which ``change`` happened."""
    reader = SystemMonitor(device or FakeDevice(), str(linux.root), str(linux.system))
    reader.open()
    clocks.move(wall=4.0, cpu=cpu, switches=3)
    change()
    reading = reader.close()
    assert set(reading) == KEYS
    msgspec.convert(msgspec.json.decode(msgspec.json.encode(reading)), Window)
    return reading


def test_a_calm_window(linux: FakeProc, clocks: Clocks) -> None:
    def change() -> None:
        linux.machine(user=1004, idle=1004)
        linux.process(10, used=54, group=OWN)

    assert measured(linux, clocks, change) == {
        "wall_seconds": 4.0,
        "cpu_seconds": 4.0,
        "involuntary_switches": 3,
        "processors": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "run_delay_share": 0.0,
        "steal_share": 0.0,
        "other_processes_cpus": 0.0,
        "pressure": {"cpu": 0.0, "memory": 0.0, "io": 0.0},
        "swap_bytes": 0,
        "clock_mhz": None,
        "thermal": macos.thermal(),
        "on_battery": macos.on_battery(),
        "device_clock_mhz": None,
        "device_temperature": None,
        "device_throttle": None,
        "device_others": None,
        "device_utilization": None,
        "machine_processors": 2,
        "throttled_share": None,
        "stopped_seconds": 0.0,
        "suspended_seconds": 0.0,
        "interference": [],
    }


def test_other_processes_that_took_the_cpu_interfere(linux: FakeProc, clocks: Clocks) -> None:
    def change() -> None:
        linux.machine(user=1008, idle=1000)
        linux.process(10, used=53, group=OWN)
        linux.process(20, used=505, group=OTHER)
        linux.thread(10, waited=2.0)
        linux.thread(12, waited=0.4)  # began in the window
        linux.pressure("cpu", 6.0)

    reading = measured(linux, clocks, change, cpu=3.0)
    assert (reading["run_delay_share"], reading["other_processes_cpus"]) == (0.25, 1.25)
    assert reading["pressure"] == {"cpu": 0.25, "memory": 0.0, "io": 0.0}
    assert reading["interference"] == [
        "a thread waited 25.0 % of the time for a processor; others used 1.25 processors",
        "others used 1.25 of the machine's 2 processors",
    ]


def test_helpers_of_the_same_group_are_no_others(linux: FakeProc, clocks: Clocks) -> None:
    """The same waits, but for data loaders of its own: one that lives, and one that came and went."""

    def change() -> None:
        linux.machine(user=1008, idle=1000)
        linux.process(10, used=53, group=OWN, reaped=2)
        linux.process(11, used=13, group=OWN, parent=10)
        linux.thread(10, waited=2.0)

    reading = measured(linux, clocks, change, cpu=3.0)
    assert (reading["run_delay_share"], reading["other_processes_cpus"]) == (0.25, 0.0)
    assert reading["interference"] == []


def test_the_times_of_own_processes_are_whole_ticks_and_the_process_knows_better(
    linux: FakeProc, clocks: Clocks
) -> None:
    """``stat`` of the process may lag: what getrusage says is the least that the group used."""

    def change() -> None:
        linux.machine(user=1004, idle=1004)

    assert measured(linux, clocks, change, cpu=4.0)["other_processes_cpus"] == 0.0


def test_threads_that_end_do_not_count_and_waits_never_shrink(linux: FakeProc, clocks: Clocks) -> None:
    linux.thread(12, waited=99.0)

    def change() -> None:
        (linux.root / "self/task/12/schedstat").unlink()
        linux.thread(10, waited=0.5)

    assert measured(linux, clocks, change)["run_delay_share"] == 0.0


def test_a_hypervisor_that_steals_interferes(linux: FakeProc, clocks: Clocks) -> None:
    def change() -> None:
        linux.machine(user=1004, idle=1003.6, steal=0.4, guest=900)

    reading = measured(linux, clocks, change)
    assert reading["steal_share"] == 0.05
    assert reading["interference"] == ["the hypervisor took 5.0 % of the machine's time"]


@pytest.mark.parametrize(
    ("used", "grown", "reasons"),
    [
        ((1 << 30) + (63 << 20), 63 << 20, []),
        ((1 << 30) + (65 << 20), 65 << 20, ["swap grew by 65 MiB"]),
        (0, 0, []),
    ],
)
def test_swap_that_grows_interferes(linux: FakeProc, clocks: Clocks, used: int, grown: int, reasons: list[str]) -> None:
    reading = measured(linux, clocks, lambda: linux.swap(used=used))
    assert (reading["swap_bytes"], reading["interference"]) == (grown, reasons)


@pytest.mark.parametrize(
    ("version", "stat"),
    [
        (2, "usage_usec 9\nnr_periods 40\nnr_throttled {0}\nthrottled_usec {0}500000\n"),
        (1, "nr_periods 40\nnr_throttled {0}\nthrottled_time {0}500000000\n"),
    ],
)
def test_a_quota_that_throttles_the_process_interferes(
    linux: FakeProc, clocks: Clocks, version: int, stat: str
) -> None:
    """From 0.5 to 3.5 s in a window of 4 s, of a group above its own that is held back less."""
    linux.group("/pod/container", stat.format(0), version)
    tree = "sys/fs/cgroup" + ("/cpu,cpuacct" if version == 1 else "")
    linux.file(f"{tree}/pod/cpu.stat", "nr_throttled 0\nthrottled_usec 7\n")
    linux.file(f"{tree}/elsewhere/cpu.stat", "throttled_usec 99000000\n")
    reading = measured(linux, clocks, lambda: linux.group("/pod/container", stat.format(3), version))
    assert reading["throttled_share"] == 0.75
    assert reading["interference"] == ["a CPU quota held the process back for 75.0 % of the time"]
    assert not worth_retrying(reading["interference"])


def test_a_quota_of_a_group_above_counts(linux: FakeProc, clocks: Clocks) -> None:
    linux.group("/pod/container", "throttled_usec 0\n")
    linux.file("sys/fs/cgroup/pod/cpu.stat", "throttled_usec 1000000\n")
    reading = measured(linux, clocks, lambda: linux.file("sys/fs/cgroup/pod/cpu.stat", "throttled_usec 2000000\n"))
    assert reading["throttled_share"] == 0.25


def test_a_stop_interferes_except_for_what_a_quota_explains(
    linux: FakeProc, clocks: Clocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(system.Watch, "begin", lambda self, throttled: asked.append(throttled and throttled()))
    monkeypatch.setattr(system.Watch, "end", lambda self: (2.0, 0.0))
    reading = measured(linux, clocks, lambda: None)
    assert (reading["stopped_seconds"], reading["suspended_seconds"]) == (2.0, 0.0)
    assert reading["interference"] == ["the process was stopped for 2.0 s"]
    assert worth_retrying(reading["interference"])
    linux.group("/a", "throttled_usec 0\n")
    reading = measured(linux, clocks, lambda: linux.group("/a", "throttled_usec 1960000\n"))
    assert reading["stopped_seconds"] == 0.04
    assert len(reading["interference"]) == 1
    assert asked == [None, None]
    reading = measured(linux, clocks, lambda: linux.group("/a", "throttled_usec 3960000\n"))
    assert asked[2] == 1.96, "under a quota that holds back, the watch takes its share off where it falls"
    assert reading["stopped_seconds"] == 2.0
    assert len(reading["interference"]) == 2


def test_where_memory_is_limited_no_thread_watches(linux: FakeProc, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system.Watch, "begin", lambda self, throttled: pytest.fail("a thread"))
    reader = SystemMonitor(FakeDevice(), str(linux.root), str(linux.system))
    reader.prepare(watch=False)
    reader.open()
    reading = reader.close()
    assert reading["stopped_seconds"] is reading["suspended_seconds"] is None


def test_memory_pressure_interferes(linux: FakeProc, clocks: Clocks) -> None:
    reading = measured(linux, clocks, lambda: linux.pressure("memory", 5.4))
    assert reading["pressure"]["memory"] == 0.1
    assert reading["interference"] == ["some task waited 10.0 % of the time for memory"]


def test_clock_and_battery(linux: FakeProc, clocks: Clocks) -> None:
    def change() -> None:
        for processor in system._processors():
            linux.frequency(processor, 2_123_456)
        linux.supply("AC", type="Mains", online="0")
        linux.supply("BAT0", type="Battery", status="Discharging")

    reading = measured(linux, clocks, change)
    assert (reading["clock_mhz"], reading["on_battery"]) == (2123.0, True)
    assert reading["interference"] == ["the machine ran on its battery"]
    assert not worth_retrying(reading["interference"])


def test_the_device_is_asked_once_ahead_and_at_both_edges(linux: FakeProc, clocks: Clocks) -> None:
    device = FakeDevice("cuda", clock=1980, temperature=71, throttle=["power brake"], others=1)
    reader = SystemMonitor(device, str(linux.root), str(linux.system))
    assert device.sampled == 0
    reader.prepare()
    assert device.sampled == 1
    reading = measured(linux, clocks, lambda: None, device)
    assert device.sampled == 3
    assert (reading["device_clock_mhz"], reading["device_temperature"]) == (1980, 71)
    assert (reading["device_throttle"], reading["device_others"]) == (["power brake"], 1)
    assert len(reading["interference"]) == 2


def test_macos_is_asked_where_linux_tells_nothing(
    linux: FakeProc, clocks: Clocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(macos, "thermal", lambda: "heavy")
    monkeypatch.setattr(macos, "on_battery", lambda: True)
    reading = measured(linux, clocks, lambda: None)
    assert (reading["thermal"], reading["on_battery"]) == ("heavy", True)
    assert reading["interference"] == [
        "the machine was under thermal pressure: heavy",
        "the machine ran on its battery",
    ]
    assert not worth_retrying(reading["interference"])


# A meter never fails

UNTOLD = ("run_delay_share", "steal_share", "other_processes_cpus", "pressure", "clock_mhz", "on_battery")


def test_without_proc_only_the_process_is_reported(
    tmp_path: Path, clocks: Clocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(macos, "on_battery", lambda: None)
    reader = SystemMonitor(FakeDevice(), str(tmp_path / "none"), str(tmp_path / "nowhere"))
    reader.open()
    clocks.move(wall=2.0, cpu=1.5, switches=1)
    reading = reader.close()
    assert set(reading) == KEYS
    assert [reading[name] for name in UNTOLD] == [None] * len(UNTOLD)
    assert (reading["wall_seconds"], reading["cpu_seconds"], reading["involuntary_switches"]) == (2.0, 1.5, 1)
    assert reading["interference"] == []


@pytest.mark.parametrize(("kind", "threads", "count"), [("cpu", 1, 1), ("cpu", None, 0), ("cpu", 4, 0), ("mps", 1, 0)])
def test_a_single_thread_that_idles_counts_where_run_delay_is_unknown(
    tmp_path: Path, clocks: Clocks, kind: str, threads: int | None, count: int
) -> None:
    reader = SystemMonitor(FakeDevice(kind), str(tmp_path / "none"), str(tmp_path / "nowhere"))
    reader.prepare(threads)
    reader.open()
    clocks.move(wall=2.0, cpu=1.5)
    assert len(reader.close()["interference"]) == count


def test_an_interleaved_worker_does_not_interfere(linux: FakeProc, clocks: Clocks) -> None:
    class Shared(FakeDevice):
        def read_status(self) -> dict[str, Any]:
            return {**super().read_status(), "device_others": self.computing}

        computing = 1

    def load() -> None:
        linux.machine(user=1000 + 4 * 100, idle=1000)

    device = Shared()
    readings = {}
    for alone in (True, False):
        reader = SystemMonitor(device, str(linux.root), str(linux.system))
        reader.prepare(1, alone=alone)
        linux.machine(user=1000, idle=1000)
        reader.open()
        clocks.move(wall=4.0, cpu=0.0)
        load()
        readings[alone] = reader.close(0 if alone else 1)
    assert [len(readings[alone]["interference"]) for alone in (True, False)] == [2, 0]
    assert (readings[True]["device_others"], readings[False]["device_others"]) == (1, 0)
    # One stranger: waiting the worker that waits, and after that one is gone.
    for computing, waiting in ((2, 1), (1, 0)):
        device.computing = computing
        reader.open()
        clocks.move(wall=4.0, cpu=4.0)
        assert reader.close(waiting)["interference"] == ["1 other process computed on the device"]
    device.computing = 0  # a driver that hides the other process: no stranger, and none too few
    reader.open()
    clocks.move(wall=4.0, cpu=4.0)
    assert reader.close(1)["device_others"] == 0


@pytest.mark.parametrize("when", ["before", "after"])
def test_what_is_missing_at_one_edge_is_not_reported(linux: FakeProc, clocks: Clocks, when: str) -> None:
    for path in ("stat", "pressure/cpu", "pressure/memory", "pressure/io", "self/task/10/schedstat"):
        (linux.root / path).rename(linux.root / f"hidden-{path.replace('/', '-')}")

    def swap() -> None:
        linux.thread(10, waited=1.0)
        linux.machine(user=1004, idle=1004)
        linux.pressure("cpu", 5.0)

    if when == "after":
        swap()
        reading = measured(linux, clocks, lambda: [path.unlink() for path in linux.root.rglob("*") if path.is_file()])
    else:
        reading = measured(linux, clocks, swap)
    assert [reading[name] for name in UNTOLD[:4]] == [None] * 4


def test_garbage_is_not_reported(linux: FakeProc, clocks: Clocks) -> None:
    def change() -> None:
        for path in [path for path in linux.root.rglob("*") if path.is_file()]:
            path.write_bytes(b"\x00\xff some ( garbage ) \n\n total= cpu -1 x")

    reading = measured(linux, clocks, change)
    assert [reading[name] for name in UNTOLD] == [None] * len(UNTOLD[:5]) + [macos.on_battery()]


def test_counters_that_run_backwards_make_no_negative_share(linux: FakeProc, clocks: Clocks) -> None:
    def change() -> None:
        linux.machine(user=1, idle=3000)
        linux.process(20, used=1, group=OTHER)
        linux.pressure("memory", 1.0)
        linux.thread(10, waited=0.0)

    reading = measured(linux, clocks, change)
    assert (reading["steal_share"], reading["other_processes_cpus"], reading["run_delay_share"]) == (0.0, 0.0, 0.0)
    assert reading["pressure"]["memory"] == 0.0


@pytest.mark.parametrize(
    "name", ["waits", "ticks", "processes", "pressure", "clock", "on_battery", "throttled", "swap_used"]
)
def test_a_reader_that_fails_costs_its_own_figure_alone(
    linux: FakeProc, clocks: Clocks, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def fail(*arguments: Any) -> Any:
        raise MemoryError(name)

    monkeypatch.setattr(system, "procfs", SimpleNamespace(**{**vars(system.procfs), name: fail}))
    reading = measured(linux, clocks, lambda: None)
    keys = {
        "waits": "run_delay_share",
        "ticks": "steal_share",
        "processes": "other_processes_cpus",
        "clock": "clock_mhz",
    }
    keys |= {"throttled": "throttled_share", "swap_used": "swap_bytes"}
    assert reading[keys.get(name, name)] is None
    assert reading["wall_seconds"] == 4.0


def test_all_that_fails_together_leaves_the_clocks(
    linux: FakeProc, clocks: Clocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any) -> Any:
        raise OSError("nothing is readable here")

    readers = ("waits", "ticks", "processes", "pressure", "clock", "on_battery", "throttled", "swap_used", "online")
    monkeypatch.setattr(system, "procfs", SimpleNamespace(**{**vars(system.procfs), **dict.fromkeys(readers, fail)}))
    for name in ("thermal", "swap_used", "on_battery"):
        monkeypatch.setattr(macos, name, fail)
    for name in ("begin", "end"):
        monkeypatch.setattr(system.Watch, name, fail)
    for name in ("sched_getaffinity", "sysconf"):
        monkeypatch.setattr(os, name, fail, raising=False)
    monkeypatch.setattr(FakeDevice, "read_status", fail)
    reading = measured(linux, clocks, lambda: None)
    assert {name for name, value in reading.items() if value is not None} == {
        *("wall_seconds", "cpu_seconds", "involuntary_switches", "processors", "interference")
    }
    assert reading["interference"] == []


def test_a_device_that_fails_tells_nothing(linux: FakeProc, clocks: Clocks) -> None:
    class Broken(FakeDevice):
        def read_status(self) -> dict[str, Any]:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")

    reading = measured(linux, clocks, lambda: None, Broken("cuda"))
    assert reading["device_clock_mhz"] is reading["device_others"] is None


def test_a_meter_serves_several_windows(linux: FakeProc, clocks: Clocks) -> None:
    reader = SystemMonitor(FakeDevice(), str(linux.root), str(linux.system))
    for wall in (1.0, 2.5):
        reader.open()
        clocks.move(wall=wall, cpu=wall)
        assert reader.close()["wall_seconds"] == wall


def test_a_window_that_was_not_opened_cannot_be_closed(linux: FakeProc) -> None:
    with pytest.raises(AssertionError, match=r"open\(\) comes first"):
        SystemMonitor(FakeDevice(), str(linux.root), str(linux.system)).close()


# This machine


def burn(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def test_this_machine_once() -> None:
    reader = SystemMonitor(Cpu())
    began = time.perf_counter()
    reader.open()
    burn(0.2)
    reading = reader.close()
    around = time.perf_counter() - began  # counters are read a moment before and after the window
    assert set(reading) == KEYS
    window = msgspec.convert(msgspec.json.decode(msgspec.json.encode(reading)), Window)
    assert 0.2 <= window.wall_seconds < 60
    assert 0 < window.cpu_seconds <= window.wall_seconds * threading.active_count() + 2 / TICK
    assert 1 <= window.processors <= (os.cpu_count() or 1)
    for share in (window.run_delay_share, window.steal_share, *(window.pressure or {}).values()):
        assert share is None or 0 <= share <= 1.05 * around / window.wall_seconds
    most = (os.cpu_count() or 1) * (around + 2 / TICK) / window.wall_seconds
    assert window.other_processes_cpus is None or 0 <= window.other_processes_cpus <= most
    assert window.clock_mhz is None or 100 < window.clock_mhz < 10_000


@linux_only
def test_linux_tells_of_waits_and_others() -> None:
    reader = SystemMonitor(Cpu())
    reader.open()
    burn(0.05)
    reading = reader.close()
    assert reading["other_processes_cpus"] is not None
    assert reading["steal_share"] is not None


@contextmanager
def load(processor: int, own_group: bool) -> Iterator[int]:
    """A process that keeps one processor busy, in the group of this one or in one of its own; its number."""
    code = f"import os; os.sched_setaffinity(0, {{{processor}}}); print(flush=True)\nwhile True: pass"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=not own_group)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


def seconds_of(process: int) -> float:
    """Processor time of a process, read apart from the code that is tested."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def burn_beside(process: int) -> float:
    """Burn until another process has used a quarter of a second too, which takes long on a busy machine."""
    began = seconds_of(process)
    while (took := seconds_of(process) - began) < 0.25:
        burn(0.05)
    return took


@pytest.fixture
def one_processor() -> Iterator[int]:
    """This thread is held on one processor."""
    before = os.sched_getaffinity(0)
    chosen = max(before)
    os.sched_setaffinity(0, {chosen})
    yield chosen
    os.sched_setaffinity(0, before)


@linux_only
def test_a_process_that_takes_the_cpu_is_reported_as_interference(one_processor: int) -> None:
    reader = SystemMonitor(Cpu())
    with load(one_processor, own_group=False) as other:
        reader.open()
        took = burn_beside(other)
        reading = reader.close()
    if reading["run_delay_share"] is None:
        pytest.skip("this kernel does not tell of waits")
    assert reading["run_delay_share"] * reading["wall_seconds"] > took / 2
    assert reading["other_processes_cpus"] * reading["wall_seconds"] > took / 2
    assert [reason for reason in reading["interference"] if reason.startswith("a thread waited")]
    assert worth_retrying(reading["interference"])


@linux_only
def test_a_helper_that_takes_the_processor_is_seen_but_not_as_others(one_processor: int) -> None:
    """Others may be busy on this machine: what they used is reckoned here from the machine's time alone."""
    reader = SystemMonitor(Cpu())
    with load(one_processor, own_group=True) as helper:
        before = system.procfs.ticks("/proc")
        reader.open()
        took = burn_beside(helper)
        reading = reader.close()
        after = system.procfs.ticks("/proc")  # what others use while the counters are read is not the helper's
    assert before is not None
    assert after is not None
    if reading["run_delay_share"] is not None:
        assert reading["run_delay_share"] * reading["wall_seconds"] > took / 2
    rest = (after.busy - before.busy) / TICK - reading["cpu_seconds"] - took
    assert reading["other_processes_cpus"] * reading["wall_seconds"] < max(rest, 0) + took / 2


THROTTLED = """
import json, os, sys, time
from pathlib import Path
from bench.worker.devices.cpu import Cpu
from bench.worker.monitors.system import SystemMonitor

def throttled():
    fields = dict(line.split() for line in Path(sys.argv[1], "cpu.stat").read_text().splitlines())
    return int(fields["throttled_time"]) / 1e9 if "throttled_time" in fields else int(fields["throttled_usec"]) / 1e6

os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # or a thread goes on where the quota is not used up yet
input()
reader = SystemMonitor(Cpu())
reader.open()
began = throttled()
while throttled() - began < 1.0:
    end = time.perf_counter() + 0.01
    while time.perf_counter() < end:
        pass
took = throttled() - began
print(json.dumps({**reader.close(), "took": took}))
"""
"""Burns until a quota has held it back for a second: how long that takes depends on what else the machine does."""


@pytest.fixture
def quota() -> Iterator[Path]:
    """A control group that may use a fifth of a processor, and is held back for 0.4 s at a time: like a stop."""
    for top, limits in (
        (Path("/sys/fs/cgroup/cpu"), {"cpu.cfs_period_us": "500000", "cpu.cfs_quota_us": "100000"}),
        (Path("/sys/fs/cgroup"), {"cpu.max": "100000 500000"}),
    ):
        folder = top / f"yolopace-test-{os.getpid()}"
        try:
            folder.mkdir()
        except OSError:
            continue
        try:
            for name, value in limits.items():
                (folder / name).write_text(value)
        except OSError:
            folder.rmdir()
            continue
        yield folder
        for _ in range(100):
            try:
                folder.rmdir()
                return
            except OSError:  # the kernel lets go of a process a moment after its end
                time.sleep(0.02)
        return
    pytest.skip("needs the right to make a control group with a CPU quota")


@linux_only
def test_a_real_quota_is_seen_and_is_no_stop(quota: Path) -> None:
    root = Path(__file__).resolve().parents[3]
    command = [sys.executable, "-c", THROTTLED, str(quota)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        (quota / "cgroup.procs").write_text(str(process.pid))
        output, _ = process.communicate("\n", timeout=120)
    reading = json.loads(output)
    assert reading["took"] >= 1.0
    assert reading["throttled_share"] * reading["wall_seconds"] > reading["took"] / 2
    assert [reason for reason in reading["interference"] if reason.startswith("a CPU quota held the process back")]
    assert reading["stopped_seconds"] < reading["took"] / 2  # a machine that others share may itself be paused
