"""Records of long windows: what is stored, and that figures stay those of all steps."""

from __future__ import annotations

import math
import random

import msgspec
import numpy
import pytest

from bench.analysis.intervals import relative_half_width
from bench.records import store
from bench.records.steps import PERCENTILES, Steps
from bench.records.store.decoding import decoded
from bench.records.thinning import KEPT_STEPS, KEPT_WINDOW, thinned
from tests.builders import make_record, make_steps


def long_window(count: int = 4000, accumulation_steps: int = 1, seed: int = 0) -> Steps:
    """Correlated steps of about a millisecond after 64 steps of warm-up, in microseconds as a worker reports them."""
    draw, drift, window = random.Random(seed), 0.0, []
    for _ in range(count):
        drift = 0.5 * drift + draw.gauss(0, 1)
        window.append(round(1e-3 * math.exp(0.03 * drift) + (5e-4 if draw.random() < 0.01 else 0), 6))
    return make_steps(window, warmup=[0.001] * 64, accumulation_steps=accumulation_steps, data_wait=0.000123)


def test_a_record_of_thousands_of_steps_has_at_most_twelve_kilobytes() -> None:
    record = make_record(steps=thinned(long_window()))
    assert len(store.encoded(record)) <= 12_000 < len(store.encoded(make_record(steps=long_window()))) / 8
    again = decoded(store.encoded(record), {})
    assert again.steps == record.steps and again.steps is not None
    assert len(again.steps.seconds) <= KEPT_STEPS


@pytest.mark.parametrize("accumulation_steps", [1, 4, 64])
def test_the_figures_are_those_of_all_steps(accumulation_steps: int) -> None:
    steps = long_window(4096, accumulation_steps)
    shorter = thinned(steps)
    assert len(shorter.window) < len(steps.window)
    assert shorter.step_seconds == pytest.approx(steps.step_seconds, rel=1e-9)
    assert shorter.images_per_second == pytest.approx(steps.images_per_second, rel=1e-9)
    assert shorter.shares == pytest.approx(steps.shares)
    assert (shorter.window_steps, shorter.window_images) == (4096, steps.window_images)
    assert shorter.window_optimizer_steps == steps.window_optimizer_steps == 4096 // accumulation_steps
    assert shorter.window_range == (min(steps.window), max(steps.window))


def test_the_interval_is_about_that_of_all_steps() -> None:
    ratios = []
    for seed in range(20):
        steps = long_window(seed=seed)
        whole, part = relative_half_width(steps), relative_half_width(thinned(steps))
        assert whole and part
        ratios.append(part / whole)
    assert 0.85 < numpy.mean(ratios) < 1.15


def test_percentiles_are_those_of_all_steps() -> None:
    steps = long_window()
    shorter = thinned(steps)
    assert shorter.whole is not msgspec.UNSET
    assert shorter.whole.percentiles == pytest.approx(numpy.percentile(steps.window, PERCENTILES), abs=6e-7)


def test_blocks_are_successive_steps_from_the_first_to_the_last() -> None:
    steps = long_window(accumulation_steps=4)
    shorter = thinned(steps)
    every = {number: seconds for number, seconds in zip(steps.numbers, steps.seconds, strict=True)}
    assert [every[number] for number in shorter.numbers] == shorter.seconds
    assert shorter.numbers[-1] == steps.numbers[-1]
    assert shorter.numbers[shorter.warmup] == steps.numbers[steps.warmup]
    kinds = dict(zip(steps.numbers[steps.warmup :], steps.kinds, strict=True))
    assert [kinds[number] for number in shorter.numbers[shorter.warmup :]] == shorter.kinds


def test_images_that_differ_by_step_stay_with_their_steps() -> None:
    images = [8, 4] * 500
    steps = make_steps([0.001] * 1000, warmup=[], images=images)
    shorter = thinned(steps)
    assert isinstance(shorter.images, list) and len(shorter.images) == len(shorter.seconds)
    assert shorter.window_images == 6000 and shorter.images_per_second == pytest.approx(6000)


def test_few_steps_and_modelled_windows_are_left_alone() -> None:
    few = make_steps([0.1] * (KEPT_STEPS - 2))
    assert thinned(few) is few
    modelled = make_steps([0.1] * 400, accumulation_steps=64, timed_accumulation_steps=4)
    assert thinned(modelled) is modelled


def test_before_a_window_of_some_length_only_warm_up_is_left_out() -> None:
    steps = make_steps([0.1] * KEPT_WINDOW, warmup=[0.2] * 64)
    shorter = thinned(steps)
    assert shorter.whole is msgspec.UNSET
    assert (shorter.warmup, shorter.warmup_discarded) == (KEPT_STEPS - KEPT_WINDOW, 64 - KEPT_STEPS + KEPT_WINDOW)
    assert shorter.window == steps.window


@pytest.mark.parametrize(
    "changes",
    [
        {"steps": 0},
        {"seconds": 0.0},
        {"blocks": []},
        {"blocks": [40, 0]},
        {"percentiles": [0.1]},
        {"blocks": [0, 1, 2]},
    ],
)
def test_totals_that_cannot_be_are_refused(changes: dict[str, object]) -> None:
    raw = msgspec.to_builtins(thinned(long_window()))
    raw["whole"] |= changes
    with pytest.raises(msgspec.ValidationError, match="of a window that cannot be"):
        msgspec.convert(raw, Steps)
