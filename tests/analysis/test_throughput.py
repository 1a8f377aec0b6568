from __future__ import annotations

import numpy as np
import pytest

from bench.analysis.throughput import (
    COCO_TRAIN_IMAGES,
    Interval,
    images_per_second,
    positions,
    relative_half_width,
    seconds_per_epoch,
)
from bench.records.record import Steps
from tests.builders import make_steps

NOISE = [1.0, 1.25, 0.75, 1.125, 0.875, 1.0, 1.25, 0.75, 1.125, 0.875, 1.0, 1.0]


def cycles(count: int, plain: float, after: float, ran: float, noise: float = 0.0) -> Steps:
    """Cycles of four steps: the one after the optimizer's, two plain ones, the optimizer's; noise alternates."""
    seconds = []
    for number in range(count):
        shift = noise if number % 2 else -noise
        seconds += [after + shift, plain + shift, plain - shift, ran - shift]
    return make_steps(seconds, warmup=[1.0] * 4, cycle=4)


def test_the_rate_is_images_over_seconds_of_the_window() -> None:
    steps = make_steps([0.25, 0.5, 0.25, 1.0], warmup=[9.0, 9.0], images=16)
    assert images_per_second(steps).point == 32.0


def test_the_mean_and_not_the_median_so_that_optimizer_steps_count() -> None:
    assert images_per_second(cycles(2, plain=0.25, after=0.25, ran=1.25)).point == 32.0


def test_partial_batches_count_what_they_hold() -> None:
    steps = make_steps([0.5, 0.5, 0.125, 0.5], warmup=[1.0], images=[16, 16, 16, 4, 16])
    assert images_per_second(steps).point == 32.0


def test_a_partial_batch_that_is_as_much_faster_as_it_is_smaller_is_no_noise() -> None:
    steps = make_steps([0.5, 0.5, 0.125, 0.5], warmup=[1.0], images=[16, 16, 16, 4, 16])
    assert relative_half_width(steps) == 0.0


def test_seconds_times_rate_is_images() -> None:
    rate = images_per_second(make_steps(NOISE, images=16))
    epoch = seconds_per_epoch(rate, 118_287)
    assert epoch.point * rate.point == pytest.approx(118_287, rel=1e-15)
    assert epoch.low * rate.high == pytest.approx(118_287, rel=1e-15)
    assert epoch.high * rate.low == pytest.approx(118_287, rel=1e-15)


def test_an_epoch_without_an_interval() -> None:
    assert seconds_per_epoch(Interval(64.0), 128) == Interval(2.0, None, None)


def test_the_epoch_that_everyone_quotes() -> None:
    assert COCO_TRAIN_IMAGES == 118_287


def test_the_interval_contains_the_point() -> None:
    rate = images_per_second(make_steps(NOISE, images=16))
    assert rate.low < rate.point < rate.high
    epoch = seconds_per_epoch(rate, 1000)
    assert epoch.low < epoch.point < epoch.high


def test_the_interval_is_students_on_independent_steps() -> None:
    # Without correlation in the residuals: t(0.975, 3 degrees) = 3.1824, s = sqrt(0.25 / 3), n = 4, mean 1.
    steps = make_steps([0.75, 1.25, 1.25, 0.75], images=16)
    assert relative_half_width(steps) == pytest.approx(3.182446305 * (0.25 / 3) ** 0.5 / 2)


def test_the_upper_end_stays_finite_however_wild_the_steps() -> None:
    rate = images_per_second(make_steps([0.001, 9.0, 0.001, 0.001], images=16))
    assert rate.high == pytest.approx(10 * rate.point)


def test_steps_that_are_all_alike_have_no_width() -> None:
    assert images_per_second(make_steps([0.25] * 6, images=16)) == Interval(64.0, 64.0, 64.0)


def test_correlated_steps_widen_the_interval() -> None:
    alternating = make_steps([1.0, 1.5] * 8)
    runs = make_steps(([1.0] * 4 + [1.5] * 4) * 2)
    assert sorted(alternating.window) == sorted(runs.window)
    assert relative_half_width(runs) > 1.5 * relative_half_width(alternating)


def test_negative_correlation_does_not_narrow_it() -> None:
    alternating = make_steps([0.75, 1.25, 0.75, 1.25])
    independent = make_steps([0.75, 1.25, 1.25, 0.75])
    assert relative_half_width(alternating) == relative_half_width(independent)


def test_optimizer_steps_do_not_widen_it() -> None:
    assert relative_half_width(cycles(4, plain=0.25, after=0.5, ran=1.0)) == 0.0


def test_the_noise_within_a_kind_of_step_is_all_that_counts() -> None:
    flat = cycles(4, plain=1.0, after=1.0, ran=1.0, noise=0.125)
    steep = cycles(4, plain=0.5, after=1.0, ran=2.0, noise=0.125)
    assert sum(flat.window) == sum(steep.window)
    assert relative_half_width(steep) == pytest.approx(relative_half_width(flat))


def test_kinds_of_steps() -> None:
    steps = make_steps([1.0] * 6, warmup=[1.0] * 4, cycle=4)
    assert steps.optimizer == [3, 7]
    assert list(positions(steps)) == [2, 0, 0, 1, 2, 0]
    assert list(positions(make_steps([1.0] * 3, cycle=1))) == [0, 0, 0]
    assert list(positions(make_steps([1.0] * 4, warmup=[1.0] * 2, cycle=2))) == [2, 1, 2, 1]


@pytest.mark.parametrize("count", [1, 2])
def test_too_few_steps_for_an_interval(count: int) -> None:
    steps = make_steps([0.25, 0.75][:count], images=16)
    assert relative_half_width(steps) is None
    rate = images_per_second(steps)
    assert (rate.low, rate.high) == (None, None)
    assert rate.point > 0


def test_the_fewest_steps_for_an_interval() -> None:
    assert relative_half_width(make_steps([0.25, 0.5, 0.75])) is not None
    assert relative_half_width(cycles(1, plain=0.25, after=0.5, ran=1.0)) is None  # four steps of three kinds
    assert relative_half_width(cycles(2, plain=0.25, after=0.5, ran=1.0)) is not None


def test_95_of_100_intervals_hold_the_true_rate() -> None:
    draw = np.random.default_rng(20261122)
    held = 0
    simulations = 1500
    for _ in range(simulations):
        rate = images_per_second(make_steps(draw.normal(0.2, 0.02, 24).tolist(), images=16))
        held += rate.low <= 80.0 <= rate.high
    assert 0.92 <= held / simulations <= 0.98
