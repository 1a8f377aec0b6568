"""The section of live comparisons: a line each, with the pairs that its figure comes from."""

from __future__ import annotations

import pytest

from bench.report.sections import live_comparisons
from tests.builders import make_compared, make_comparison

SLOWER, SAME = [0.080, 0.081, 0.079, 0.082], [0.001, -0.001, 0.002, 0.0]


@pytest.mark.parametrize(
    ("cases", "pairs"),
    [
        ([make_compared(SAME)], "4"),
        ([make_compared(SLOWER, SLOWER)], "4 of 8"),
        ([make_compared(SLOWER, SLOWER), make_compared(SAME, batch=8)], "8 of 12"),
        ([make_compared()], "0"),
    ],
)
def test_pairs_that_a_confirmation_replaced_do_not_count(cases: list[object], pairs: str) -> None:
    section = live_comparisons.section([make_comparison(cases)])  # type: ignore[arg-type]
    assert section is not None
    [line] = section.lines
    assert dict(zip(section.columns, line.cells, strict=True))["Pairs"] == pairs
