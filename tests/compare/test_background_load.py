"""Background CPU load while two workers run, from made-up counters."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import pytest

from bench.compare import background_load
from bench.compare.background_load import BackgroundLoadMonitor

Linux = namedtuple("Linux", ["user", "nice", "system", "idle", "iowait", "steal", "guest"])
Mac = namedtuple("Mac", ["user", "nice", "system", "idle"])


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Ten seconds on a machine of two processors, in which the counters went from the one to the other."""

    def measure_interference(before: Any, after: Any, workers: float, own: float = 0.0) -> list[str]:
        times, clocks, owns = iter([before, after]), iter([100.0, 110.0]), iter([1.0, 1.0 + own])
        monkeypatch.setattr(background_load.psutil, "cpu_times", lambda: next(times))
        monkeypatch.setattr(background_load.psutil, "cpu_count", lambda: 2)
        monkeypatch.setattr(background_load.time, "monotonic", lambda: next(clocks))
        monkeypatch.setattr(background_load.time, "process_time", lambda: next(owns))
        return BackgroundLoadMonitor().interference(workers)

    return measure_interference


START = Linux(50.0, 1.0, 10.0, 500.0, 5.0, 2.0, 20.0)


def test_the_workers_themselves_are_no_background_load(later: Any) -> None:
    after = START._replace(user=START.user + 9.0, system=START.system + 1.0, idle=510.0, guest=29.0)
    assert later(START, after, workers=9.9) == []
    assert later(START, after._replace(system=START.system + 1.9), workers=9.9, own=0.9) == []


def test_what_others_use_is_said_in_processors(later: Any) -> None:
    after = START._replace(user=START.user + 14.0)
    assert later(START, after, workers=10.0) == ["others used 0.40 of the machine's 2 processors"]
    assert later(START, after, workers=13.5) == []


def test_steal_is_reported_and_is_no_load_of_other_processes(later: Any) -> None:
    after = START._replace(user=START.user + 10.0, steal=START.steal + 0.5)
    assert later(START, after, workers=10.0) == ["the hypervisor took 2.5 % of the machine's time"]
    assert later(START, START._replace(steal=START.steal + 0.1), workers=0.0) == []


def test_waiting_for_a_disk_is_no_work(later: Any) -> None:
    assert later(START, START._replace(iowait=START.iowait + 9.0, idle=START.idle + 9.0), workers=0.0) == []


def test_a_system_without_steal(later: Any) -> None:
    start = Mac(5.0, 0.0, 5.0, 50.0)
    assert later(start, start._replace(user=15.0), workers=10.0) == []
    assert later(start, start._replace(user=18.0), workers=10.0) == ["others used 0.30 of the machine's 2 processors"]


def test_a_system_without_counters_reports_no_interference(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise FileNotFoundError(2, "No such file or directory", "/proc/stat")

    monkeypatch.setattr(background_load.psutil, "cpu_times", refuse)
    assert BackgroundLoadMonitor().interference(0.0) == []
