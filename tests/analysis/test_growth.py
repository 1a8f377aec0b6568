"""How memory grows: a parabola where batches were tried, a line beyond, and back from bytes to a batch."""

from __future__ import annotations

import pytest

from bench.analysis.ceiling import Fit, Tried, fit
from bench.analysis.growth import Growth, card_sizes, growth, straight


def grown(*peaks: tuple[int, float], base: float | None = 500.0) -> Growth:
    found = growth([Tried(batch, True, peak, base) for batch, peak in peaks])
    assert found is not None
    return found


def test_it_bends_as_its_points_do() -> None:
    found = grown((8, 1268.0), (16, 1972.0), (24, 2612.0))  # 500 + 100 x - x ** 2 / 2
    assert found.bend == pytest.approx((500.0, 100.0, -0.5))
    assert found.peak(12) == pytest.approx(1628.0)
    assert found.reach == 24


def test_it_is_the_line_where_memory_grows_by_a_line() -> None:
    found = grown((8, 1300.0), (16, 2100.0))
    assert [found.peak(batch) for batch in (0, 8, 40)] == pytest.approx([500.0, 1300.0, 4500.0])


def test_beyond_what_was_tried_it_goes_on_straight() -> None:
    tried = [Tried(8, True, 1268.0, 500.0), Tried(16, True, 1972.0, 500.0), Tried(24, True, 2612.0, 500.0)]
    found, line = growth(tried), fit(tried)
    assert found is not None and line is not None
    assert found.peak(25) - found.peak(24) == pytest.approx(line.slope)
    assert found.peak(100) - found.peak(99) == pytest.approx(line.slope)


@pytest.mark.parametrize("batch", [0, 1, 7, 23.9, 24, 24.1, 500])
@pytest.mark.parametrize("last", [2612.0, 2700.0, 3000.0])
def test_the_batch_of_a_limit_is_the_peak_turned_round(batch: float, last: float) -> None:
    found = grown((8, 1268.0), (16, 1972.0), (24, last))
    assert found.largest(found.peak(batch)) == pytest.approx(batch, abs=1e-6)


def test_below_what_there_was_before_nothing_fits() -> None:
    assert grown((8, 1300.0), (16, 2100.0)).largest(400.0) < 0


def test_peaks_that_would_fall_somewhere_are_taken_as_a_line() -> None:
    peaks = ((8, 1400.0), (16, 2000.0), (24, 2010.0), (32, 2020.0))
    found, line = grown(*peaks), fit([Tried(batch, True, peak) for batch, peak in peaks])
    assert line is not None
    assert found == straight(line, 32)


def test_what_is_not_known() -> None:
    assert growth([Tried(8, True, 80.0, 1.0)]) is None
    assert growth([Tried(8, True, 80.0, 1.0), Tried(16, True, None, 1.0)]) is None
    line = fit([Tried(8, True, 80.0), Tried(16, True, 160.0)])
    assert line is not None
    assert grown((8, 80.0), (16, 160.0), base=None) == straight(line, 16)


def test_what_fits_cards_of_other_sizes() -> None:
    found = card_sizes(straight(Fit(1000.0, 100.0, 0.0, 3), 8), [900.0, 1099.0, 2000.0, 3050.0], 4)
    assert found == [0, 0, 8, 20]
