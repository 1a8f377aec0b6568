"""How memory grows: a parabola where batches were tried, a line beyond, and back from bytes to a batch."""

from __future__ import annotations

import pytest

from bench.ceiling.batch_search import Attempt, Fit, fit
from bench.ceiling.findings import memory_model
from bench.ceiling.memory_model import Curve, MemoryModel, fit_model, linear_model
from tests.builders import make_ceiling


def grown(*peaks: tuple[int, float], base: float | None = 500.0) -> MemoryModel:
    model = fit_model([Attempt(batch, True, peak, base) for batch, peak in peaks])
    assert model is not None
    return model


def test_it_bends_as_its_points_do() -> None:
    model = grown((8, 1268.0), (16, 1972.0), (24, 2612.0))  # 500 + 100 x - x ** 2 / 2
    assert model.curve == pytest.approx((500.0, 100.0, -0.5))
    assert model.peak(12) == pytest.approx(1628.0)
    assert model.reach == 24


def test_it_is_the_line_where_memory_grows_by_a_line() -> None:
    model = grown((8, 1300.0), (16, 2100.0))
    assert [model.peak(batch) for batch in (0, 8, 40)] == pytest.approx([500.0, 1300.0, 4500.0])


def test_beyond_what_was_tried_it_goes_on_straight() -> None:
    tried = [Attempt(8, True, 1268.0, 500.0), Attempt(16, True, 1972.0, 500.0), Attempt(24, True, 2612.0, 500.0)]
    model, line = fit_model(tried), fit(tried)
    assert model is not None and line is not None
    assert model.peak(25) - model.peak(24) == pytest.approx(line.slope)
    assert model.peak(100) - model.peak(99) == pytest.approx(line.slope)


@pytest.mark.parametrize("batch", [1, 7, 23, 24, 25, 500])
@pytest.mark.parametrize("last", [2612.0, 2700.0, 3000.0])
def test_the_batch_of_a_limit_is_the_peak_turned_round(batch: int, last: float) -> None:
    model = grown((8, 1268.0), (16, 1972.0), (24, last))
    assert model.largest(model.peak(batch), 1) == batch
    assert model.largest(model.peak(batch) - 1.0, 1) == batch - 1


@pytest.mark.parametrize("limit", [400.0, 501.0])
def test_below_what_there_was_before_nothing_fits(limit: float) -> None:
    assert grown((8, 1300.0), (16, 2100.0)).largest(limit, 1) == 0


def test_peaks_that_would_fall_somewhere_are_taken_as_a_line() -> None:
    peaks = ((8, 1400.0), (16, 2000.0), (24, 2010.0), (32, 2020.0))
    model, line = grown(*peaks), fit([Attempt(batch, True, peak) for batch, peak in peaks])
    assert line is not None
    assert model == linear_model(line, 32)


WAITS = [Attempt(8, True, 1300.0, 500.0), Attempt(24, True, 2900.0, 500.0)]
STEPS = [Attempt(48, True, 4340.0, 500.0), Attempt(64, True, 5620.0, 500.0)]
"""100 an image while gradients wait (up to 42 of 64), 80 from then on."""


def test_batches_that_wait_for_the_optimizer_have_a_curve_of_their_own() -> None:
    model = fit_model([*WAITS, *STEPS], 64)
    assert model is not None and model.accumulating is not None
    assert [model.peak(batch) for batch in (8, 16, 42, 43, 56)] == pytest.approx([1300, 2100, 4700, 3940, 4980])
    assert model.accumulation_threshold == pytest.approx(42.7, abs=0.1)
    assert fit_model([*WAITS, *STEPS]) != model, "without the nominal batch nothing is known of that"


@pytest.mark.parametrize(
    ("limit", "granularity", "batch"),
    [
        (900, 1, 4),
        (2900, 1, 24),
        (3700, 1, 32),
        (3930, 1, 34),
        (3940, 1, 43),
        (5620, 1, 64),
        (4100, 8, 32),
        (4340, 8, 48),
    ],
)
def test_the_largest_batch_where_a_larger_one_takes_less(limit: float, granularity: int, batch: int) -> None:
    """Of 4,100 with steps of 8: 45 would fit, but 40 is one that waits."""
    model = fit_model([*WAITS, *STEPS], 64)
    assert model is not None
    assert model.largest(limit, granularity) == batch
    assert model.peak(batch) <= limit * (1 + 1e-9)


def test_where_gradients_wait_no_longer_is_the_most_of_a_limit_between() -> None:
    model = MemoryModel(Curve(500.0, 100.0), 64, 100.0, Curve(500.0, 80.0), 42.7)
    assert model.largest(4500.0, 1) == 42, "43 takes 4800, and 42 takes 3860"


@pytest.mark.parametrize("tried", [WAITS, STEPS])
def test_batches_of_one_kind_alone_have_one_curve(tried: list[Attempt]) -> None:
    model = fit_model(tried, 64)
    assert model is not None and model.accumulating is None
    assert model == fit_model(tried)


def test_what_is_not_known() -> None:
    assert fit_model([Attempt(8, True, 80.0, 1.0)]) is None
    assert fit_model([Attempt(8, True, 80.0, 1.0), Attempt(16, True, None, 1.0)]) is None
    line = fit([Attempt(8, True, 80.0), Attempt(16, True, 160.0)])
    assert line is not None
    assert grown((8, 80.0), (16, 160.0), base=None) == linear_model(line, 16)


def test_what_fits_cards_of_other_sizes() -> None:
    grows = linear_model(Fit(1000.0, 100.0, 0.0, 3), 8)
    assert [grows.largest(size, 4) for size in (900.0, 1099.0, 2000.0, 3050.0)] == [0, 0, 8, 20]


def test_of_a_card_the_line_alone_is_taken() -> None:
    """What its first step adds to what there was before is no matter of images."""
    card = make_ceiling(64, device="0")
    grows = memory_model(card)
    assert grows is not None and card.memory_fit is not None
    assert (grows.curve, grows.accumulating) == (Curve(card.memory_fit.base, card.memory_fit.slope), None)
    on_cpu = memory_model(make_ceiling(64, device="cpu"))
    assert (
        on_cpu is not None
        and on_cpu.accumulating is not None
        and on_cpu.accumulation_threshold == pytest.approx(64 / 1.5)
    )
