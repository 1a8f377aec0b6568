from __future__ import annotations

import math
import random

import pytest

from bench.compare.findings import evaluate
from bench.compare.verdict import Estimate, Verdict
from bench.report.comparisons.regress.cases import format_counting
from bench.report.comparisons.regress.plots import ROWS, Row, draw, forest, forests, in_order, limits, percent_ticks
from bench.report.plots import style
from bench.report.plots.stacked_bars import Layer, grouped
from tests.builders import make_compared, make_comparison
from tests.report.comparisons.comparisons import eventful, hostile

CALM = [0.002, -0.003, 0.001, -0.001]


def test_the_forest_and_the_parts_of_cases_that_changed() -> None:
    plots = draw(evaluate(eventful()))
    assert [plot.key for plot in plots] == ["change", "parts-1", "parts-2"]
    assert [row[1] for row in plots[0].rows] == [
        "slower",
        "faster",
        "same",
        "inconclusive",
        "inconclusive",
        "same",
    ]
    assert plots[0].rows[-1][0] == "all together"
    assert "±" in plots[0].caption and "thin bar" in plots[0].caption
    assert all(plot.alt.endswith(".") and "currentColor" in plot.svg for plot in plots)
    assert plots[1].rows[0] == ("backward", "100.00 ms", "104.98 ms", "+4.98 ms", "40 %")
    assert "most of it in backward, +4.98 ms" in plots[1].alt


def test_nothing_measured_is_nothing_drawn() -> None:
    assert draw(evaluate(make_comparison())) == draw(evaluate(make_comparison([make_compared()]))) == []


def test_one_case_alone_is_not_shown_twice() -> None:
    [plot] = draw(evaluate(make_comparison([make_compared(CALM)])))
    assert len(plot.rows) == 1 and "thin bar" not in plot.caption


def test_many_cases_are_several_panels_and_the_overall_figure_is_in_the_last() -> None:
    cases = [make_compared(CALM, batch=number) for number in range(1, ROWS + 4)]
    plots = forests(evaluate(make_comparison(cases)))
    assert [len(plot.rows) for plot in plots] == [ROWS, 4]
    assert [plot.key for plot in plots] == ["change-1", "change-2"]
    assert plots[1].rows[-1][0] == "all together"


def test_a_drawing_is_the_same_bytes_twice() -> None:
    first, second = (forests(evaluate(eventful()))[0] for _ in range(2))
    assert (first.svg, first.png) == (second.svg, second.png)


def test_figures_and_margin_lie_within_the_axis_whatever_they_are() -> None:
    draw_ = random.Random(5)
    for _ in range(200):
        rows = [
            Row("x", Verdict.SAME, Estimate(draw_.gauss(0, 0.5), draw_.choice((0.0, 0.01, 3.0, math.inf)), 4))
            for _ in range(draw_.randint(1, 4))
        ]
        margin = math.log1p(draw_.choice((0.01, 0.03, 0.2)))
        low, high = limits(rows, margin)
        assert math.isfinite(low) and math.isfinite(high)
        assert low < -margin and high > margin
        assert all(low < row.estimate.log < high for row in rows)
        ticks = percent_ticks(low, high)
        assert 0 in ticks and len(ticks) <= 7
        assert all(low <= math.log1p(tick / 100) <= high for tick in ticks)


def test_an_interval_that_ends_a_little_beyond_the_axis_extends_it() -> None:
    reach = 2.5 * 0.03
    low, high = limits([Row("x", Verdict.INCONCLUSIVE, Estimate(0.0, 1.2 * reach, 4))], 0.03)
    assert low < -1.2 * reach and high > 1.2 * reach


def test_an_interval_out_of_all_proportion_is_cut() -> None:
    low, high = limits([Row("x", Verdict.INCONCLUSIVE, Estimate(0.01, 14.0, 2))], 0.03)
    assert high - low < 0.2


def test_colour_and_marker_tell_verdicts_apart() -> None:
    result = evaluate(eventful())
    rows = [Row(str(verdict), verdict, Estimate(0.01, 0.01, 4)) for verdict in Verdict]
    with style.styled():
        axes = forest(rows, None, result.comparison.margin, "").axes[0]
    marks = {(line.get_color(), line.get_marker()) for line in axes.get_lines() if line.get_marker() in set("><os")}
    assert len({colour for colour, _ in marks}) == len({marker for _, marker in marks}) == 4


def test_parts_are_drawn_in_the_order_in_which_they_pass() -> None:
    finding = evaluate(eventful()).findings[0]
    assert [part.name for part in in_order(finding)] == [
        "data",
        "preprocess",
        "forward",
        "backward",
        "optimizer",
        "rest",
    ]


def test_the_caption_of_the_parts_says_what_they_are_and_how_they_were_timed() -> None:
    [_, first, _] = draw(evaluate(eventful()))
    assert first.caption == (
        "Phases of the mean step, timed by host clock, steps of the window. “data” is the wait for the next batch."
    )


def test_small_parts_are_drawn_as_one_with_all_their_names() -> None:
    large, small, tiny = Layer("forward", (98.0, 90.0), 2), Layer("optimizer", (0.9, 0.5), 4), Layer("x", (0.0, 0.1), 1)
    rest = Layer("rest", (5.0, 5.0), None)
    assert [layer.name for layer in grouped([large, small, tiny])] == ["forward", "other: optimizer, x"]
    assert grouped([large, small, tiny])[-1] == Layer("other: optimizer, x", [0.9, 0.6], None)
    assert [layer.name for layer in grouped([large, small, rest])] == ["forward", "rest, optimizer"]
    assert grouped([large, small]) == [large, small]
    assert grouped([large, rest]) == [large, rest]


@pytest.mark.parametrize(
    ("fresh", "sentence"),
    [
        ((), ""),
        ((0.05,), "only the first 4 pairs count: 1 fresh pair is too few to confirm what they showed"),
        (
            (0.05, 0.051, 0.049, 0.05),
            "of these pairs only 4 count: fresh ones, measured to confirm what the first 4 showed",
        ),
    ],
)
def test_it_says_which_pairs_count(fresh: tuple[float, ...], sentence: str) -> None:
    comparison = make_comparison([make_compared((0.05, 0.051, 0.049, 0.05), fresh)])
    assert format_counting(evaluate(comparison).findings[0]) == sentence


@pytest.mark.filterwarnings("error")
def test_hostile_names_are_text() -> None:
    plots = draw(evaluate(hostile()))
    assert plots
    for plot in plots:
        assert "<script>" not in plot.svg and "\x1b" not in plot.svg
