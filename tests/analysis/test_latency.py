"""Percentiles of calls: intervals, numbers of calls, MLPerf's rule, and what the table has of them."""

from __future__ import annotations

import math
import random

import pandas as pd
import pytest

from bench.analysis.latency import (
    allowed_over,
    calls_needed,
    calls_to_prove,
    effective_calls,
    latencies,
    modelled_p99,
    percentile,
    percentiles,
    queue_latencies,
)
from bench.analysis.table import frame
from bench.cases import Case
from bench.records.record import Record
from tests.analysis.simulated_latency import coverage, series
from tests.builders import make_case, make_record, make_steps


def predicted(calls: list[float], scenario: str = "", **changes: object) -> Record:
    further = (("scenario", scenario),) if scenario else ()
    case: Case = make_case(mode="predict", batch=1, further=further)
    return make_record(case=case, steps=make_steps(calls, images=1), **changes)


# MLPerf


@pytest.mark.parametrize(("level", "calls"), [(0.90, 64), (0.97, 219), (0.99, 662)])
def test_least_calls_are_those_of_mlperf(level: float, calls: int) -> None:
    """64 and 662 are printed by MLPerf's LoadGen; all three follow from the rule of its inference policies."""
    assert calls_to_prove(level) == calls
    assert allowed_over(calls, level) == 1
    assert allowed_over(calls - 1, level) == 0


def test_calls_without_any_over_the_bound() -> None:
    """LoadGen, after 21 requests at 99 %: 438 more are needed if every one of them is fast enough."""
    assert calls_to_prove(0.99, over=0) == 21 + 438
    assert allowed_over(458, 0.99) == -1


@pytest.mark.parametrize(
    ("queries", "discarded"),
    [(201, 9), (708, 51), (2048, 172), (2116, 178), (7469, 685), (79_944, 7796), (4_776_846, 476_158)],
)
def test_discarded_queries_are_those_of_published_runs(queries: int, discarded: int) -> None:
    """Summaries of public runs at 90 %: LoadGen discards one query fewer than may be over the bound."""
    assert allowed_over(queries, 0.90) - 1 == discarded


def test_the_rule_equals_a_sum_of_the_binomial_distribution() -> None:
    def chance(calls: int, over: int) -> float:
        return sum(math.comb(calls, k) * 0.1**k * 0.9 ** (calls - k) for k in range(over + 1))

    for over in range(6):
        calls = calls_to_prove(0.9, over, 0.95)
        assert chance(calls, over) <= 0.05 < chance(calls - 1, over)


# Intervals


@pytest.mark.parametrize(
    ("level", "calls", "lag"),
    [(0.5, 64, 0.0), (0.5, 64, 0.6), (0.9, 64, 0.0), (0.9, 64, 0.6), (0.99, 662, 0.0), (0.99, 662, 0.6)],
)
def test_intervals_cover_the_true_percentile(level: float, calls: int, lag: float) -> None:
    known, covered = coverage(level, calls, lag, count=1000)
    assert known == 1
    assert 0.93 < covered < 0.97  # three standard errors around 95 %


def test_correlated_calls_count_less() -> None:
    [alone], [alike] = series(1, 2000, 0.0), series(1, 2000, 0.6)
    assert effective_calls(alone, 0.5) > 1700
    assert 400 < effective_calls(alike, 0.5) < 900
    assert effective_calls(alike, 0.5) < effective_calls(alike, 0.99), "extremes follow each other less often"


def test_rare_stalls_move_the_tail_and_not_the_median() -> None:
    draw = random.Random(1)
    calls = [0.02 * math.exp(0.05 * draw.gauss(0, 1)) for _ in range(3000)]
    stalled = [call + 0.1 * (number % 100 == 0) for number, call in enumerate(calls)]
    before, after = ({level: percentile(each, level) for level in (0.5, 0.99)} for each in (calls, stalled))
    assert after[0.5].point == pytest.approx(before[0.5].point, rel=0.01)
    assert after[0.99].point > 4 * before[0.99].point and after[0.99].high > 4 * before[0.99].high


def test_too_few_calls_give_no_interval_and_say_how_many_it_takes() -> None:
    calls = list(series(1, 63, 0.0)[0])
    assert percentile(calls[:31], 0.5).low is None and percentile(calls[:32], 0.5).low is not None
    assert percentile(calls, 0.9).low is None and percentile(calls, 0.9).point > 0
    assert [calls_needed(level) for level in (0.5, 0.9, 0.99)] == [32, 64, 662]


def test_whether_there_is_an_interval_does_not_depend_on_how_correlated_the_calls_look() -> None:
    for calls in series(50, 64, 0.9):
        interval = percentile(calls, 0.9)
        assert interval.low is not None and interval.high is not None
        assert min(calls) <= interval.low <= interval.point <= interval.high <= max(calls)


def test_calls_that_alternate_say_more_of_a_median() -> None:
    assert effective_calls([1.0, 2.0] * 50, 0.5) > 150


def test_calls_that_are_all_alike_have_an_interval_of_no_width() -> None:
    interval = percentile([0.5] * 70, 0.9)
    assert (interval.low, interval.point, interval.high) == (0.5, 0.5, 0.5)


# Records


def test_latencies_are_the_calls_of_the_window() -> None:
    assert latencies(predicted([0.1, 0.2])) == [0.1, 0.2]
    assert latencies(predicted([0.1, 0.2], "offline")) == []
    assert latencies(make_record()) == []


def test_a_request_counts_from_its_arrival() -> None:
    steps = make_steps([0.1, 0.2, 0.1], warmup=[0.5], images=1)
    waited = type(steps)(
        **{name: getattr(steps, name) for name in steps.__struct_fields__ if name != "latency"},
        latency=[9.0, 0.3, 0.4, 0.5],
    )
    record = make_record(case=make_case(mode="predict", batch=1), steps=waited)
    assert latencies(record) == [0.3, 0.4, 0.5]


def test_columns_of_the_table() -> None:
    draw = random.Random(0)
    calls = [0.02 * math.exp(0.1 * draw.gauss(0, 1)) for _ in range(100)]
    row = frame([predicted(calls, "single", extra={"load_seconds": 0.25, "first_call_seconds": 0.5})]).iloc[0]
    assert row["latency_p50_seconds_low"] < row["latency_p50_seconds"] < row["latency_p50_seconds_high"]
    assert row["latency_p50_seconds"] < row["latency_p90_seconds"]
    assert all(pd.isna(row[f"latency_p99_seconds{end}"]) for end in ("", "_low", "_high"))
    assert (row["latency_calls"], row["load_seconds"], row["first_call_seconds"]) == (100, 0.25, 0.5)
    training = frame([make_record()]).iloc[0]
    assert all(pd.isna(training[name]) for name in training.index if name.startswith("latency_"))


def test_several_processes_have_the_interval_between_them() -> None:
    processes = [predicted([0.02 * scale] * 40, process=number) for number, scale in enumerate((1.0, 1.1, 1.2), 1)]
    interval = percentiles(processes)["p50"]
    assert interval is not None and interval.low is not None and interval.high is not None
    assert interval.low < 0.02 and interval.high > 0.024, "wider than the calls of any one process"
    short = [*processes, predicted([0.02] * 4, process=4)]
    assert percentiles(short)["p50"] is None


# A queue, modelled


def test_a_queue_by_hand() -> None:
    assert queue_latencies([1.0, 1.0, 1.0], [5.0, 0.5, 3.0]) == [1.0, 1.5, 1.0]


def test_a_modelled_queue_has_the_mean_of_theory() -> None:
    """Pollaczek and Khinchine: with one service time, the mean wait is load / (2 (1 - load)) of it."""
    draw = random.Random(0)
    for load in (0.3, 0.6):
        waits = queue_latencies([1.0] * 200_000, [draw.expovariate(load) for _ in range(200_000)])
        assert sum(waits) / len(waits) == pytest.approx(1 + load / 2 / (1 - load), rel=0.02)


def test_a_modelled_tail_grows_with_the_load() -> None:
    tails = [modelled_p99([0.01, 0.012, 0.011], load) for load in (0.1, 0.5, 0.9)]
    assert 0.012 <= tails[0] < tails[1] < tails[2]
