"""Outcomes of cases as pytest and pytest-benchmark have them."""

from pathlib import Path

import msgspec
import pytest

from bench.pytest_plugin import benchmark_bridge
from bench.pytest_plugin.outcomes import report_case
from tests.builders import make_record, make_steps


class Benchmark:
    """``benchmark`` as far as a case needs it: group, extra information, and rounds."""

    def __init__(self):
        self.group = None
        self.extra_info = {}
        self.data = []

    def pedantic(self, target, setup, rounds, iterations):
        for _ in range(rounds):
            setup()
            target()
            self.data.append(benchmark_bridge.now())


@pytest.fixture
def settled():
    def settle(steps):
        benchmark = Benchmark()
        report_case(make_record(steps=steps), benchmark, Path("record.json"))
        return benchmark

    return settle


def test_every_step_of_the_window_is_a_round_and_their_mean_is_the_step(settled):
    benchmark = settled(make_steps([0.25, 0.5, 0.25, 1.0]))
    assert benchmark.data == [0.25, 0.5, 0.25, 1.0]
    assert benchmark.group == "train, batch 16, 160 px: time of a step"
    assert (benchmark.extra_info["step_seconds"], benchmark.extra_info["modelled"]) == (0.5, False)


def test_a_modelled_window_says_that_the_mean_of_its_rounds_is_not_the_step(settled):
    steps = make_steps([0.3, 0.2, 0.2, 0.3] * 2, warmup=[0.5] * 4, accumulation_steps=16, timed_accumulation_steps=4)
    benchmark = settled(steps)
    assert benchmark.group == "train, batch 16, 160 px: time of a step, modelled: see step_seconds"
    assert benchmark.extra_info["modelled"] is True
    assert benchmark.extra_info["step_seconds"] == pytest.approx((14 * 0.2 + 2 * 0.3) / 16)
    assert benchmark.extra_info["step_seconds"] < sum(benchmark.data) / len(benchmark.data)


TRACE = "Traceback (most recent call last):\n  File 'a.py', line 1\n    raise ValueError\nValueError: no"


@pytest.mark.parametrize(
    ("reason", "log", "shown"),
    [
        ("ValueError: no", TRACE, "failed: ValueError: no\nThe whole log is in record.json."),
        (
            "The worker was killed by SIGSEGV.",
            "\n".join(f"line {number}" for number in range(40)),
            "failed: The worker was killed by SIGSEGV.\nline 37\nline 38\nline 39\nThe whole log is in record.json.",
        ),
        ("Said \x1b[31mred\n\x00twice.", "", "failed: Said red twice."),
    ],
)
def test_a_crash_shows_its_reason_and_where_its_log_is(reason, log, shown):
    record = make_record(status="failed", reason=reason)
    with pytest.raises(pytest.fail.Exception) as failure:
        report_case(msgspec.structs.replace(record, worker_output=log), Benchmark(), Path("record.json"))
    assert failure.value.msg == shown
