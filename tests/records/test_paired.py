"""The ratio of two processes that took turns step by step."""

from __future__ import annotations

import math
import random
import statistics

import pytest

from bench.records.paired import interquartile_mean, paired_log_ratio
from bench.records.steps import Steps
from tests.builders import make_measured, make_pair, make_steps

CYCLE = 8
COUNT = 32


def ran(seconds: list[float], accumulation_steps: int = CYCLE) -> Steps:
    """A window in which the optimizer runs at the end of every cycle."""
    return make_steps(
        seconds,
        warmup=[],
        optimizer=list(range(accumulation_steps - 1, len(seconds), accumulation_steps)),
        accumulation_steps=accumulation_steps,
    )


def noisy(draw: random.Random, spikes: float = 0.0) -> list[float]:
    """Steps of 100 ms, every eighth one of 150 ms; some are disturbed, and take up to twice as long."""
    plain = [0.15 if index % CYCLE == CYCLE - 1 else 0.1 for index in range(COUNT)]
    return [step * draw.gauss(1, 0.01) * (1 + draw.random() * (draw.random() < spikes)) for step in plain]


@pytest.mark.parametrize("factor", [0.5, 0.98, 1.0, 1.02, 1.05, 3.0])
def test_all_steps_longer_by_a_factor_are_that_factor(factor: float) -> None:
    seconds = noisy(random.Random(1))
    log_ratio = paired_log_ratio(ran(seconds), ran([factor * step for step in seconds]))
    assert log_ratio == pytest.approx(math.log(factor))


@pytest.mark.parametrize("added", [0.001, 0.05, 0.4])
def test_a_longer_optimizer_step_counts_by_its_share(added: float) -> None:
    seconds = noisy(random.Random(2))
    longer = [step + added * (index % CYCLE == CYCLE - 1) for index, step in enumerate(seconds)]
    log_ratio = paired_log_ratio(ran(seconds), ran(longer))
    # The level of plain steps is that of their middle half, which is not quite their mean.
    assert log_ratio == pytest.approx(math.log(statistics.fmean(longer) / statistics.fmean(seconds)), rel=0.01)


@pytest.mark.parametrize("added", [0.001, 0.05, 0.4])
def test_a_longer_step_after_the_optimizers_counts_by_its_share(added: float) -> None:
    seconds = [0.1] * COUNT
    longer = [0.1 + added * (index % CYCLE == 0 and index > 0) for index in range(COUNT)]
    log_ratio = paired_log_ratio(ran(seconds), ran(longer))
    assert log_ratio == pytest.approx(math.log(statistics.fmean(longer) / 0.1))


def test_single_slow_steps_affect_it_less_than_the_ratio_of_means() -> None:
    draw = random.Random(20261126)
    paired, means = [], []
    for _ in range(200):
        base, head = ran(noisy(draw, 0.1)), ran(noisy(draw, 0.1))
        paired.append(paired_log_ratio(base, head))
        means.append(math.log(head.step_seconds / base.step_seconds))
    assert statistics.stdev(paired) < 0.7 * statistics.stdev(means)
    assert abs(statistics.fmean(paired)) < 3 * statistics.stdev(paired) / math.sqrt(200)


def test_interference_with_both_sides_cancels() -> None:
    draw = random.Random(3)
    slow = [1 + 0.5 * draw.random() for _ in range(COUNT)]
    base = [0.1 * load for load in slow]
    assert paired_log_ratio(ran(base), ran([1.02 * step for step in base])) == pytest.approx(math.log(1.02))


def test_the_sides_exchanged_change_its_sign_alone() -> None:
    draw = random.Random(4)
    base, head = ran(noisy(draw, 0.3)), ran(noisy(draw, 0.3))
    assert paired_log_ratio(base, head) == pytest.approx(-paired_log_ratio(head, base))


def test_without_accumulation_all_steps_are_plain() -> None:
    seconds = [0.1] * 12
    longer = [0.1] * 10 + [0.9] * 2  # two of twelve: none of the middle half
    assert paired_log_ratio(ran(seconds, 1), ran(longer, 1)) == 0.0


def test_a_modelled_window_is_weighted_as_its_mean_is() -> None:
    base = make_steps([0.1] * 12, warmup=[], optimizer=[3, 7, 11], accumulation_steps=16, timed_accumulation_steps=4)
    head = make_steps([0.1] * 3 + [0.26] + [0.1] * 3 + [0.26] + [0.1] * 3 + [0.26], warmup=[],
                      optimizer=[3, 7, 11], accumulation_steps=16, timed_accumulation_steps=4)  # fmt: skip
    assert base.modelled
    assert paired_log_ratio(base, head) == pytest.approx(math.log(head.step_seconds / base.step_seconds))
    assert paired_log_ratio(base, head) == pytest.approx(math.log(1.1))


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(ran([0.1] * 24), id="fewer steps"),
        pytest.param(ran([0.1] * COUNT, accumulation_steps=4), id="another cycle"),
        pytest.param(
            make_steps([0.1] * COUNT, warmup=[], optimizer=list(range(6, COUNT, CYCLE)), accumulation_steps=CYCLE),
            id="out of step",
        ),
    ],
)
def test_windows_of_other_steps_have_no_neighbours(other: Steps) -> None:
    assert paired_log_ratio(ran([0.1] * COUNT), other) is None


def test_extremes_are_no_error() -> None:
    for base, head in ((1e-9, 1e7), (1e7, 1e-9)):
        log_ratio = paired_log_ratio(make_steps([base] * 4), make_steps([head] * 4))
        assert log_ratio is None or math.isfinite(log_ratio)


@pytest.mark.parametrize(
    ("figures", "mean"), [([5], 5), ([1, 2, 9], 4), ([9, 1, 2, 3], 2.5), ([0, 1, 2, 3, 4, 99], 2.5)]
)
def test_the_interquartile_mean(figures: list[float], mean: float) -> None:
    assert interquartile_mean(figures) == mean


# What a pair makes of it


def test_a_pair_with_turns_of_one_step_has_both_figures() -> None:
    stalled = make_measured(steps=make_steps([0.25] * 7 + [1.25], warmup=[0.25]))
    even = make_measured(steps=make_steps([0.25] * 8, warmup=[0.25]))
    pair = make_pair(base=even, head=stalled, block_steps=1)
    assert pair.log == 0.0
    assert pair.log_ratio_of_means == pytest.approx(math.log(1.5))


@pytest.mark.parametrize("turn", [0, 2, 8])
def test_a_pair_with_other_turns_has_that_of_its_means(turn: int) -> None:
    stalled = make_measured(steps=make_steps([0.25] * 7 + [1.25], warmup=[0.25]))
    even = make_measured(steps=make_steps([0.25] * 8, warmup=[0.25]))
    pair = make_pair(base=even, head=stalled, block_steps=turn)
    assert pair.log == pair.log_ratio_of_means == pytest.approx(math.log(1.5))


def test_a_pair_whose_windows_differ_has_that_of_its_means() -> None:
    pair = make_pair(base=make_measured(steps=make_steps([0.25] * 5)), block_steps=1)
    assert pair.log == pair.log_ratio_of_means
