from __future__ import annotations

import io
import re
from itertools import pairwise

import pytest
from matplotlib import image

from bench.analysis.metrics import METRICS
from bench.analysis.scaling import EFFICIENCY
from bench.analysis.speedup import speedups
from bench.analysis.table import frame
from bench.records.record import Energy, Record
from bench.report.plots import Plot, View, draw, palette, style
from bench.report.plots.facets import split
from bench.report.plots.line_by_batch import HEIGHT, figure, panel, parts, spread_out
from bench.report.plots.metric_plots import MEMORY as memory
from bench.report.plots.metric_plots import THROUGHPUT as throughput
from bench.report.plots.scale import ratios, thinned, tick, unit
from tests.builders import make_record
from tests.report.conftest import small_run, timed

RATE = METRICS["images_per_second"]


def view(records: list[Record], **baseline: object) -> View:
    table = frame(records)
    return View(table, speedups(table, dict(baseline)), dict(baseline))


@pytest.fixture(scope="module")
def plots() -> list[Plot]:
    """All plots of the small run."""
    return draw(view(small_run(), batch=4))


def test_every_plot_has_one_sentence_for_who_does_not_see_it(plots: list[Plot]) -> None:
    assert [plot.key for plot in plots] == [
        "throughput-train",
        "speedup-train",
        "memory-train",
        "memory-by-case-predict",
    ]
    assert plots[0].alt == (
        "Throughput against batch, Training · yolov8n · cpu · amp off · 160 px: 1 line from 20.0 images/s (batch 4) "
        "to 25.0 images/s (batch 16); batch 64 ran out of memory."
    )
    assert "1.25×" in plots[1].alt
    assert all(plot.alt.endswith(".") and plot.alt in plot.svg for plot in plots)
    assert plots[0].rows[-1][-2:] == ("out of memory", "—")


def test_a_speed_up_says_what_is_no_difference(plots: list[Plot]) -> None:
    assert "a hollow dot is not different from 1" in plots[1].caption


def test_plots_say_which_question_they_help_to_answer(plots: list[Plot]) -> None:
    assert [plot.question for plot in plots] == ["speed", "batch", "batch", "batch"]


def test_nothing_measured_is_nothing_drawn(records: list[Record]) -> None:
    assert draw(view(records[2:6])) == []


def test_a_drawing_is_the_same_bytes_twice_and_takes_the_ink_of_its_page(plots: list[Plot]) -> None:
    first, second = plots[0], throughput(view(small_run()[:3]))[0]
    assert first.svg == second.svg and first.png == second.png
    body = first.svg.replace(style.STANDALONE, "")
    assert body.count("currentColor") > 10
    assert palette.INK not in body
    assert re.search(r"<text[^>]*>Batch", body), "text stays text"
    assert first.png.startswith(b"\x89PNG")


def test_pictures_have_the_pixels_of_matplotlib_whatever_was_drawn_before() -> None:
    [part] = parts(frame([timed(20.0, 4), timed(25.0, 16)]), RATE)[0]
    with style.styled():
        other, axes = style.canvas(HEIGHT)
        axes.set_title("Batch", fontsize=30)
        style.settle(other, final=True)
        style.to_png(other)
        drawn = figure(panel(part, RATE), RATE)
        style.settle(drawn, final=True)
        ours = style.to_png(drawn)
        theirs = io.BytesIO()
        drawn.savefig(theirs, format="png", dpi=144, facecolor="white")
    pixels, expected = (image.imread(io.BytesIO(png)) for png in (ours, theirs.getvalue()))
    assert pixels.shape == (2 * HEIGHT, 2 * style.WIDTH, 3)
    assert (pixels == expected[:, :, :3]).all() and (expected[:, :, 3] == 1).all()


def test_pictures_have_axes_and_labels_where_constrained_layout_has_them() -> None:
    [part] = parts(frame([timed(20.0, 4), timed(25.0, 16)]), RATE)[0]
    with style.styled():
        places = []
        for final in (False, True):
            drawn = figure(panel(part, RATE), RATE)
            style.settle(drawn, final=final)
            places.append(drawn.axes[0].get_window_extent().bounds)
            for axis in (drawn.axes[0].xaxis, drawn.axes[0].yaxis):
                places.append(axis.label.get_window_extent().bounds)
    assert places[:3] == [pytest.approx(place) for place in places[3:]]


def test_a_single_case_is_one_bar_unless_the_tables_have_its_figure() -> None:
    [plot] = memory(view([timed(20.0, 4)]))
    assert plot.key == "memory-by-case-train"
    assert plot.alt.endswith("160 px: 1.15 GiB.")
    assert throughput(view([timed(20.0, 4)])) == []


def test_a_series_ends_at_the_first_batch_that_ran_out_of_memory() -> None:
    full = [make_record(batch=b, status="out_of_memory", reason="Full.") for b in (32, 64)]
    table = frame([timed(20.0, 4), timed(25.0, 16), *full])
    [part] = parts(table, RATE)[0]
    [line] = panel(part, RATE).lines
    assert (line.xs, line.wall) == ([4, 16], 32)
    with style.styled():
        texts = [text.get_text() for text in figure(panel(part, RATE), RATE).axes[0].texts]
    assert texts == ["out of memory"]


def test_more_lines_than_colours_are_split_into_panels() -> None:
    table = frame([timed(9.0, b, imgsz=32 * i, amp=a) for b in (4, 8) for i in range(1, 5) for a in ("off", "on")])
    panels = parts(table, RATE)[0]
    assert len(panels) == 4
    assert all(len(panel(part, RATE).lines) <= style.SERIES for part in panels)
    assert sum(len(part) for part in panels) == len(table)


def test_splitting_loses_and_doubles_nothing() -> None:
    table = frame([timed(9.0, b) for b in range(1, 41)])
    panels = split(table, ("imgsz", "device"), ("batch",), 16)
    assert [len(part) for part in panels] == [16, 16, 8]
    assert sorted(i for part in panels for i in part.index) == list(table.index)


def test_names_of_lines_keep_their_distance() -> None:
    places = spread_out([0.99, 0.98, 0.5, 0.97], 0.1)
    ordered = sorted(places)
    assert all(b - a >= 0.1 - 1e-9 for a, b in pairwise(ordered))
    assert max(places) <= 1 and places[2] == 0.5
    assert places[0] > places[1] > places[3], "they keep their order"


def test_ticks_are_never_rounded_to_a_false_value() -> None:
    assert [tick(value) for value in (1.05, 0.5, 2000.0, 1.1500000000000001)] == ["1.05", "0.5", "2,000", "1.15"]
    assert 1.0 in ratios(0.7, 1.4) and ratios(0.9, 20) == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0]
    assert thinned([4, 8, 16]) == [4, 8, 16]
    assert len(thinned(list(range(1, 65)))) <= 9


def test_the_users_own_matplotlib_settings_change_nothing_and_stay() -> None:
    import matplotlib

    with matplotlib.rc_context({"font.size": 30, "svg.fonttype": "path"}):
        loud = memory(view([timed(20.0, 4)]))[0].svg
        assert matplotlib.rcParams["font.size"] == 30
    assert loud == memory(view([timed(20.0, 4)]))[0].svg


@pytest.mark.parametrize("rates", [(20.0, 25.0), (20.0, 2000.0)])
def test_all_values_lie_within_their_axes(rates: tuple[float, float]) -> None:
    table = frame([timed(rates[0], 4), timed(rates[1], 16)])
    [part] = parts(table, RATE)[0]
    with style.styled():
        axes = figure(panel(part, RATE), RATE).axes[0]
        low, high = axes.get_ylim()
    assert low <= table["images_per_second_low"].min() and table["images_per_second_high"].max() <= high
    assert low == 0 or "log scale" in axes.get_ylabel()


def test_several_devices_have_their_efficiency_drawn() -> None:
    runs = [timed(100.0, 16, device="0"), timed(110.0, 32, device="0"), timed(180.0, 32, device="0+1")]
    drawn = [plot for plot in draw(view(runs)) if plot.title == "Scaling efficiency"]
    assert [plot.key for plot in drawn] == ["scaling-each-train", "scaling-total-train"]
    assert "90.0 %" in drawn[0].alt
    assert "with the same batch on each device" in drawn[0].alt
    assert "81.8 %" in drawn[1].alt
    assert drawn[0].rows[0][-2] == "90.0 %"


def test_energy_is_drawn_where_joules_were_counted() -> None:
    energy = Energy(joules=400.0, seconds=10.0, images=1000, idle_watts=20.0, method="NVML, total energy of the card")
    runs = [timed(100.0, 16, energy=energy), timed(110.0, 32)]
    [drawn] = [plot for plot in draw(view(runs)) if plot.key.startswith("energy")]
    assert "2.50 images/J" in drawn.alt
    assert "NVML, total energy of the card" in drawn.caption
    assert not [plot for plot in draw(view([timed(100.0, 16)])) if plot.key.startswith("energy")]


def test_the_axis_of_a_share_is_in_percent() -> None:
    divisor, symbol = unit(EFFICIENCY, [0.9, 0.34])
    assert (0.34 / divisor, symbol) == (pytest.approx(34.0), "%")
