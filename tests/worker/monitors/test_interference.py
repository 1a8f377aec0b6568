"""The rule: which readings are called disturbed, by the covariates alone."""

from __future__ import annotations

from typing import Any

import pytest

from bench.worker.monitors import interference
from bench.worker.monitors.interference import describe_interference, severity, worth_retrying

CALM: dict[str, Any] = {
    "wall_seconds": 3.0,
    "cpu_seconds": 2.99,
    "involuntary_switches": 4,
    "processors": 2,
    "machine_processors": 8,
    "run_delay_share": 0.001,
    "steal_share": 0.0,
    "other_processes_cpus": 0.005,
    "pressure": {"cpu": 0.0, "memory": 0.0, "io": 0.0},
    "clock_mhz": 3000.0,
    "thermal": "nominal",
    "on_battery": False,
    "device_clock_mhz": 1980.0,
    "device_temperature": 60.0,
    "device_throttle": [],
    "device_others": 0,
    "throttled_share": 0.0,
    "stopped_seconds": 0.0,
    "suspended_seconds": 0.0,
}

INTERFERENCE: list[tuple[dict[str, Any], str, bool]] = [
    ({"steal_share": 0.032}, "the hypervisor took 3.2 % of the machine's time", True),
    (
        {"run_delay_share": 0.3, "other_processes_cpus": 1.274},
        "a thread waited 30.0 % of the time for a processor; others used 1.27 processors",
        True,
    ),
    ({"pressure": {"memory": 0.05}}, "some task waited 5.0 % of the time for memory", True),
    ({"device_others": 1}, "1 other process computed on the device", True),
    ({"device_others": 2}, "2 other processes computed on the device", True),
    (
        {"device_throttle": ["power cap", "hardware thermal slowdown", "power brake"]},
        "the device held its clocks back: hardware thermal slowdown, power brake",
        False,
    ),
    ({"thermal": "heavy"}, "the machine was under thermal pressure: heavy", False),
    ({"thermal": "sleeping"}, "the machine was under thermal pressure: sleeping", False),
    ({"on_battery": True}, "the machine ran on its battery", False),
    ({"throttled_share": 0.8}, "a CPU quota held the process back for 80.0 % of the time", False),
    ({"throttled_share": 1.6}, "a CPU quota held the process back for 100.0 % of the time", False),
    ({"stopped_seconds": 2.0}, "the process was stopped for 2.0 s", True),
    ({"suspended_seconds": 3600.0}, "the machine was suspended for 3600.0 s", True),
]


@pytest.mark.parametrize(("change", "phrase", "helps"), INTERFERENCE)
def test_what_interferes_and_whether_a_retry_helps(change: dict[str, Any], phrase: str, helps: bool) -> None:
    reasons = describe_interference({**CALM, **change})
    assert reasons == [phrase]
    assert worth_retrying(reasons) is helps
    assert severity({**CALM, **change}) >= 1 > severity(CALM)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"steal_share": 0.01},
        {"run_delay_share": 0.4, "other_processes_cpus": 0.01},  # it waits for its own data loaders
        {"run_delay_share": 0.01, "other_processes_cpus": 5.0},  # there are processors enough
        {"pressure": {"cpu": 0.9, "memory": 0.02, "io": 0.9}},  # it may wait for its own helpers, and for its data
        {"thermal": "moderate"},
        {"device_throttle": ["power cap"]},
        {"wall_seconds": 30.0},  # whatever the time is
        {"involuntary_switches": 9999, "clock_mhz": 400.0, "device_clock_mhz": 200.0, "device_temperature": 95.0},
    ],
)
def test_what_does_not_interfere(change: dict[str, Any]) -> None:
    assert describe_interference({**CALM, **change}) == []


def test_background_load_interferes_with_a_case_on_the_cpu_only() -> None:
    limit = interference.MAX_OTHER_LOAD * CALM["machine_processors"]  # whatever part of them this process may use
    crowded = {**CALM, "other_processes_cpus": limit * 1.05}
    assert describe_interference(crowded) == []
    assert describe_interference(crowded, on_cpu=True) == ["others used 0.42 of the machine's 8 processors"]
    assert worth_retrying(describe_interference(crowded, on_cpu=True))
    assert severity(crowded, on_cpu=True) == pytest.approx(1.05)
    assert describe_interference({**CALM, "other_processes_cpus": limit}, on_cpu=True) == []


def test_others_are_measured_by_the_machine_and_not_by_what_this_process_may_use() -> None:
    """Bound to one processor of 64: three others on the rest are few, and were called 300 % of it."""
    bound = {**CALM, "processors": 1, "machine_processors": 64}
    assert describe_interference({**bound, "other_processes_cpus": 3.0}, on_cpu=True) == []
    assert describe_interference({**bound, "other_processes_cpus": 6.4}, on_cpu=True) == [
        "others used 6.40 of the machine's 64 processors"
    ]
    # Those that take its own processor make its threads wait.
    waited = describe_interference({**bound, "other_processes_cpus": 1.0, "run_delay_share": 0.5}, on_cpu=True)
    assert waited == ["a thread waited 50.0 % of the time for a processor; others used 1.00 processors"]


def test_other_processes_are_not_blamed_for_its_own_quota() -> None:
    held = {**CALM, "run_delay_share": 0.792, "throttled_share": 0.791, "other_processes_cpus": 1.0}
    assert describe_interference(held) == ["a CPU quota held the process back for 79.1 % of the time"]
    assert not worth_retrying(describe_interference(held))


def test_a_system_that_tells_nothing_is_not_judged() -> None:
    silent = dict.fromkeys(CALM)
    assert describe_interference(silent) == describe_interference(silent, threads=1) == describe_interference({}) == []
    assert severity(silent) == severity({}) == 0.0
    assert not worth_retrying([])


@pytest.mark.parametrize(("cpu_seconds", "count"), [(2.99, 0), (2.95, 0), (2.90, 1), (1.0, 1)])
def test_a_single_thread_should_never_idle_where_run_delay_is_unknown(cpu_seconds: float, count: int) -> None:
    reading = {**CALM, "cpu_seconds": cpu_seconds, "run_delay_share": None, "other_processes_cpus": None}
    assert len(describe_interference(reading, threads=1)) == count
    assert worth_retrying(describe_interference(reading, threads=1)) is bool(count)
    assert describe_interference(reading) == describe_interference(reading, threads=2) == []
    assert describe_interference({**reading, "run_delay_share": 0.0, "other_processes_cpus": 0.0}, threads=1) == []


def test_run_delay_of_a_single_thread_counts_where_other_load_is_unknown() -> None:
    """What its own quota kept from it is no wait; several threads may wait for each other."""
    reading = {**CALM, "other_processes_cpus": None, "run_delay_share": 0.7}
    assert describe_interference(reading, 1, on_cpu=True) == [
        "its one thread waited 70.0 % of the time for a processor"
    ]
    assert describe_interference(reading, None, on_cpu=True) == []
    assert len(describe_interference({**reading, "throttled_share": 0.69}, 1, on_cpu=True)) == 1


def test_battery_together_with_something_else_is_worth_another_try() -> None:
    reasons = describe_interference({**CALM, "on_battery": True, "steal_share": 0.5})
    assert len(reasons) == 2
    assert worth_retrying(reasons)


def test_the_calmest_window_has_the_smallest_greatest_ratio() -> None:
    windows = [
        {**CALM, "steal_share": 0.05},
        {**CALM, "steal_share": 0.02, "run_delay_share": 0.02, "other_processes_cpus": 3.0},
        {**CALM, "run_delay_share": 0.3, "other_processes_cpus": 0.06},
    ]
    assert [severity(window) for window in windows] == pytest.approx([5.0, 2.0, 3.0])


def test_windows_that_share_a_covariate_without_ratio_are_ranked_by_the_rest() -> None:
    calm, stolen = ({**CALM, "on_battery": True, "steal_share": share} for share in (0.0, 0.004))
    assert severity(calm) < severity(stolen)
    assert severity({**CALM, "steal_share": 0.004}) < severity(calm)


def test_speed_is_no_part_of_severity() -> None:
    assert severity(CALM) == severity({**CALM, "wall_seconds": 99.0, "cpu_seconds": 50.0, "step_seconds": 2.0})


def test_every_limit_is_the_edge_of_its_rule() -> None:
    limits = {
        "steal_share": interference.MAX_STEAL,
        "run_delay_share": interference.WAIT,
        "throttled_share": interference.QUOTA,
        "stopped_seconds": interference.STOPPED * CALM["wall_seconds"],
    }
    for key, limit in limits.items():
        busy = {**CALM, "other_processes_cpus": 4.0}
        assert describe_interference({**busy, key: limit}) == []
        assert describe_interference({**busy, key: limit * 1.01}) != []
    waiting = {**CALM, "run_delay_share": 0.5}
    assert describe_interference({**waiting, "other_processes_cpus": interference.OTHERS}) == []
    assert describe_interference({**waiting, "other_processes_cpus": interference.OTHERS * 1.01}) != []
