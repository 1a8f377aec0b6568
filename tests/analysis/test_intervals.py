from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
import pytest
from scipy import stats

from bench.analysis.intervals import (
    BETWEEN,
    DRIFTING,
    WIDENED,
    WITHIN,
    Interval,
    ci_between_processes,
    ci_within_process,
    half_width,
    rate_of,
    relative_half_width,
    single_process,
    t_quantile,
    weaker_kind,
)
from bench.records.record import CalibrationSummary, Record
from bench.records.steps import Steps
from bench.worker.timing.precision import approximate_quantile, shrunk_autocorrelation
from tests.builders import make_record, make_steps

SOME = [1.0, 1.25, 0.75, 1.125, 0.875, 1.0, 1.25, 0.75, 1.125, 0.875, 1.0, 1.0]
NOISE = CalibrationSummary(
    stdev=0.02, processes=12, calibrated="2026-11-22", case="x", torch="2.14.1", ultralytics="8.4.100"
)


def cycles(count: int, plain: float, after: float, ran: float, noise: float = 0.0) -> Steps:
    """Cycles of four steps: the one after the optimizer's, two plain ones, the optimizer's; noise alternates."""
    seconds = []
    for number in range(count):
        shift = noise if number % 2 else -noise
        seconds += [after + shift, plain + shift, plain - shift, ran - shift]
    return make_steps(seconds, warmup=[1.0] * 4, accumulation_steps=4)


def modelled(window: list[float], accumulation_steps: int = 16) -> Steps:
    """The same window, of a training whose optimizer really runs every so many steps."""
    return make_steps(window, warmup=[1.0] * 4, accumulation_steps=accumulation_steps, timed_accumulation_steps=4)


# Within one process


def test_the_rate_is_images_over_seconds_of_the_window() -> None:
    steps = make_steps([0.25, 0.5, 0.25, 1.0], warmup=[9.0, 9.0], images=16)
    assert ci_within_process(steps).point == 32.0


def test_the_mean_and_not_the_median_so_that_optimizer_steps_count() -> None:
    assert ci_within_process(cycles(2, plain=0.25, after=0.25, ran=1.25)).point == 32.0


def test_a_modelled_window_counts_every_kind_of_step_as_often_as_it_really_comes() -> None:
    steps = modelled([0.5, 0.25, 0.25, 1.25] * 2)
    assert ci_within_process(steps).point == pytest.approx(16 / ((14 * 0.25 + 0.5 + 1.25) / 16))


def test_partial_batches_count_what_they_hold() -> None:
    steps = make_steps([0.5, 0.5, 0.125, 0.5], warmup=[1.0], images=[16, 16, 16, 4, 16])
    assert ci_within_process(steps).point == 32.0


def test_a_partial_batch_that_is_as_much_faster_as_it_is_smaller_is_no_noise() -> None:
    steps = make_steps([0.5, 0.5, 0.125, 0.5], warmup=[1.0], images=[16, 16, 16, 4, 16])
    assert relative_half_width(steps) == 0.0


def test_the_interval_contains_the_point() -> None:
    rate = ci_within_process(make_steps(SOME, images=16))
    assert rate.low < rate.point < rate.high


def test_the_interval_is_students_on_steps_that_follow_each_other() -> None:
    # Residuals of ±0.25 with a lag-1 autocorrelation of -1/4, which is 0 without its bias of -1/4, and 8/24 with the
    # assumed 0.4 of 20 steps: a variance of 2 times that of independent steps, and 3 · (8/9) / (10/9) degrees.
    steps = make_steps([0.75, 1.25, 1.25, 0.75], images=16)
    assert shrunk_autocorrelation(-0.25, 4) == pytest.approx(1 / 3)
    assert relative_half_width(steps) == pytest.approx(t_quantile(2.4) * math.sqrt(0.25 / 2 / 4 * 2))


def test_the_upper_end_stays_finite_however_wild_the_steps() -> None:
    rate = ci_within_process(make_steps([0.001, 9.0, 0.001, 0.001], images=16))
    assert rate.high == pytest.approx(10 * rate.point)


def test_steps_that_are_all_alike_have_no_width() -> None:
    rate = ci_within_process(make_steps([0.25] * 6, images=16))
    assert (rate.low, rate.high) == (rate.point, rate.point)
    assert rate.point == pytest.approx(64.0)


def test_correlated_steps_widen_the_interval() -> None:
    alternating = make_steps([1.0, 1.5] * 8)
    runs = make_steps(([1.0] * 4 + [1.5] * 4) * 2)
    assert sorted(alternating.window) == sorted(runs.window)
    assert relative_half_width(runs) > 1.5 * relative_half_width(alternating)


def test_negative_correlation_is_not_counted() -> None:
    assert shrunk_autocorrelation(-0.9, 100) == 0.0
    assert shrunk_autocorrelation(-1.0, 200) == shrunk_autocorrelation(-0.9, 100)


def test_few_steps_hardly_change_what_is_assumed_and_many_decide() -> None:
    assert 0.4 < shrunk_autocorrelation(0.9, 4) < 0.65
    assert shrunk_autocorrelation(0.1, 2000) == pytest.approx(0.1, abs=0.005)
    assert shrunk_autocorrelation(1.0, 2000) == 0.9


def test_a_dozen_steps_that_drift_have_no_absurd_interval() -> None:
    """A lag-1 autocorrelation of 0.75 seen in 12 steps once left one degree of freedom: ± 40 % of steps within 13 %."""
    drifting = make_steps([0.399 + 0.005 * number for number in range(12)])
    assert 0.02 < relative_half_width(drifting) < 0.1


def test_optimizer_steps_do_not_widen_it() -> None:
    assert relative_half_width(cycles(4, plain=0.25, after=0.5, ran=1.0)) == 0.0
    assert relative_half_width(modelled([0.5, 0.25, 0.25, 1.25] * 3)) == 0.0


def test_the_noise_within_a_kind_of_step_is_all_that_counts() -> None:
    flat = cycles(4, plain=1.0, after=1.0, ran=1.0, noise=0.125)
    steep = cycles(4, plain=0.5, after=1.0, ran=2.0, noise=0.125)
    assert sum(flat.window) == sum(steep.window)
    assert relative_half_width(steep) == pytest.approx(relative_half_width(flat))


def test_steps_that_stand_for_many_widen_it() -> None:
    # 16 steps of which 8 are plain and have 7/8 of the weight: the sum of squares of the weights is what counts.
    window = cycles(4, plain=1.0, after=1.0, ran=1.0, noise=0.125).window
    whole, modelled_16 = make_steps(window, warmup=[1.0] * 4, accumulation_steps=4), modelled(window)
    squares = sum(weight**2 for weight in modelled_16.weights)
    assert squares == pytest.approx((7 / 8) ** 2 / 8 + 2 * (1 / 16) ** 2 / 4)
    wider = relative_half_width(modelled_16) / relative_half_width(whole)
    assert wider == pytest.approx(math.sqrt(squares * 16))
    assert wider > 1.2


@pytest.mark.parametrize("count", [1, 2])
def test_too_few_steps_for_an_interval(count: int) -> None:
    steps = make_steps([0.25, 0.75][:count], images=16)
    assert relative_half_width(steps) is None
    assert (ci_within_process(steps).low, ci_within_process(steps, 0.05).high) == (None, None)
    assert ci_within_process(steps).point > 0


def test_the_fewest_steps_for_an_interval() -> None:
    assert relative_half_width(make_steps([0.25, 0.5, 0.75])) is not None
    assert relative_half_width(cycles(1, plain=0.25, after=0.5, ran=1.0)) is None  # four steps of three kinds
    assert relative_half_width(cycles(2, plain=0.25, after=0.5, ran=1.0)) is not None


def test_95_of_100_intervals_hold_the_true_rate() -> None:
    draw = np.random.default_rng(20261122)
    held = 0
    for _ in range(1500):
        rate = ci_within_process(make_steps(draw.normal(0.2, 0.02, 24).tolist(), images=16))
        held += rate.low <= 80.0 <= rate.high
    assert 0.92 <= held / 1500 <= 0.98


def test_95_of_100_intervals_of_modelled_windows_hold_the_true_rate() -> None:
    draw = np.random.default_rng(20261123)
    means = np.array([0.22, 0.2, 0.2, 0.26] * 6)
    true = 16 / ((14 * 0.2 + 0.22 + 0.26) / 16)
    held = 0
    for _ in range(1500):
        rate = ci_within_process(modelled((means + draw.normal(0, 0.01, 24)).tolist()))
        held += rate.low <= true <= rate.high
    assert 0.92 <= held / 1500 <= 0.98


def follow(draw: np.random.Generator, correlation: float, count: int) -> list[float]:
    """Seconds of steps around 0.2, each correlated with the one before."""
    noise = [draw.normal()]
    for _ in range(count - 1):
        noise.append(correlation * noise[-1] + math.sqrt(1 - correlation**2) * draw.normal())
    return [0.2 + 0.01 * value for value in noise]


@pytest.mark.parametrize(("count", "most"), [(6, 0.6), (12, 0.25), (32, 0.1)])
def test_steps_that_follow_each_other_are_not_taken_for_independent(count: int, most: float) -> None:
    """Over correlations as long windows had them; taken for independent, 80 of 100 intervals would hold the truth."""
    draw = np.random.default_rng(20261124)
    held, widest = 0, 0.0
    correlations = np.clip(draw.normal(0.28, 0.25, 1000), 0, 0.8)
    for correlation in correlations:
        rate = ci_within_process(make_steps(follow(draw, correlation, count), images=16))
        held += rate.low <= 80.0 <= rate.high
        widest = max(widest, rate.relative)
    assert 0.925 <= held / len(correlations) <= 0.985
    assert widest < most  # of steps that vary by 5 %


def test_a_calibration_widens_the_interval_of_one_process() -> None:
    steps = make_steps(SOME, images=16)
    alone, widened = ci_within_process(steps), ci_within_process(steps, single_process(NOISE))
    assert single_process(NOISE) == pytest.approx(2.200985 * 0.02)
    width = math.hypot(relative_half_width(steps), 2.200985 * 0.02)
    assert widened.point == alone.point
    assert widened.low == pytest.approx(alone.point / (1 + width))
    assert widened.high == pytest.approx(alone.point / (1 - width))


# Between processes


def test_students_quantile() -> None:
    for degrees in (1, 2, 5, 11, 100):
        assert t_quantile(degrees) == pytest.approx(stats.t.ppf(0.975, degrees))
    assert t_quantile(7, 1 - 0.0221) == pytest.approx(stats.t.ppf(1 - 0.0221 / 2, 7))


def test_between_processes_it_is_students_on_the_logarithm() -> None:
    interval = ci_between_processes([20.0, 21.0, 19.5, 20.4, 20.1])
    logs = np.log([20.0, 21.0, 19.5, 20.4, 20.1])
    low, high = stats.t.interval(0.95, 4, logs.mean(), stats.sem(logs))
    assert interval.point == pytest.approx(math.exp(logs.mean()))
    assert (interval.low, interval.high) == (pytest.approx(math.exp(low)), pytest.approx(math.exp(high)))
    assert interval.relative == pytest.approx(math.exp(high - logs.mean()) - 1)


def test_two_processes_are_as_wide_as_one_degree_of_freedom() -> None:
    interval = ci_between_processes([20.0, 20.0 * math.exp(0.02)])
    assert math.log(interval.high / interval.point) == pytest.approx(12.7062 * 0.01)


def test_one_process_has_no_interval_between_processes() -> None:
    assert ci_between_processes([20.0]) == Interval(20.0)
    assert ci_between_processes([20.0]).relative == math.inf


def test_the_order_and_the_unit_of_processes_do_not_matter() -> None:
    assert ci_between_processes([20.0, 21.0, 19.0]).high == pytest.approx(ci_between_processes([19.0, 20.0, 21.0]).high)
    rates, seconds = ci_between_processes([20.0, 21.0, 19.0]), ci_between_processes([1 / 20.0, 1 / 21.0, 1 / 19.0])
    assert rates.point == pytest.approx(1 / seconds.point)
    assert rates.low == pytest.approx(1 / seconds.high)


@pytest.mark.parametrize("count", [2, 3, 5, 8])
def test_95_of_100_intervals_between_processes_hold_the_truth(count: int) -> None:
    draw = np.random.default_rng(20261122 + count)
    held = 0
    for _ in range(2000):
        interval = ci_between_processes((20.0 * np.exp(draw.normal(0, 0.02, count))).tolist())
        held += interval.low <= 20.0 <= interval.high
    assert 0.93 <= held / 2000 <= 0.97


def test_the_half_width_of_a_mean() -> None:
    assert half_width([1.0, 2.0, 3.0]) == pytest.approx(4.302653 / math.sqrt(3))


# What a case's records say


def process(number: int, seconds: float = 0.25, **changes: Any) -> Record:
    return make_record(process=number, steps=make_steps([seconds * f for f in SOME], images=16), **changes)


def test_one_process_speaks_for_itself() -> None:
    rate, kind = rate_of([process(1, device="mps")])
    assert kind == WITHIN
    assert rate == ci_within_process(process(1).steps)


def test_one_process_on_a_cpu_is_widened_for_drift() -> None:
    rate, kind = rate_of([process(1)])
    assert kind == DRIFTING
    expected = ci_within_process(process(1).steps, 1.959964 * 0.025)
    assert (rate.low, rate.high) == (pytest.approx(expected.low), pytest.approx(expected.high))
    still = make_record(steps=make_steps([0.25] * 12, images=16))
    assert rate_of([still])[0].relative == pytest.approx(0.049 / (1 - 0.049), rel=0.001)


def test_one_process_of_a_calibrated_machine() -> None:
    rate, kind = rate_of([process(1, calibration=NOISE)])
    assert kind == WIDENED
    assert rate == ci_within_process(process(1).steps, single_process(NOISE))


@pytest.mark.parametrize(
    "versions", [{"torch": "2.15.0"}, {"ultralytics": "8.4.101"}, {"torch": "", "ultralytics": ""}]
)
def test_a_calibration_of_other_versions_says_nothing_of_a_process(versions: dict[str, str]) -> None:
    rate, kind = rate_of([process(1, calibration=msgspec.structs.replace(NOISE, **versions))])
    assert (rate, kind) == rate_of([process(1)]) and kind == DRIFTING


def test_a_ratio_has_the_weaker_kind_of_interval() -> None:
    five, three = "between 5 processes", "between 3 processes"
    assert weaker_kind(five, three) == BETWEEN
    assert weaker_kind(five, WIDENED) == weaker_kind(WIDENED, WIDENED) == WIDENED
    assert weaker_kind(WITHIN, five) == weaker_kind(WIDENED, WITHIN) == WITHIN
    assert weaker_kind(DRIFTING, WITHIN) == WITHIN and weaker_kind(WIDENED, DRIFTING) == DRIFTING
    assert weaker_kind(None, five) is weaker_kind(five, math.nan) is None


def test_several_processes_speak_by_their_means_and_never_by_their_steps() -> None:
    rate, kind = rate_of([process(1, calibration=NOISE), process(2, 0.26), process(3, 0.24)])
    assert kind == "between 3 processes"
    expected = ci_between_processes([16 / (seconds * float(np.mean(SOME))) for seconds in (0.25, 0.26, 0.24)])
    assert (rate.low, rate.point, rate.high) == pytest.approx((expected.low, expected.point, expected.high))


def test_too_few_steps_say_no_interval() -> None:
    record = make_record(steps=make_steps([0.5]), calibration=NOISE)
    assert rate_of([record]) == (Interval(32.0), None)


def test_noise_survives_its_file() -> None:
    assert msgspec.json.decode(msgspec.json.encode(process(1, calibration=NOISE)), type=Record).calibration == NOISE


@pytest.mark.parametrize("degrees", [3, 4, 7.5, 12, 60])
def test_a_worker_has_almost_the_same_quantile_without_scipy(degrees: float) -> None:
    assert approximate_quantile(degrees) == pytest.approx(t_quantile(degrees), rel=0.01)
