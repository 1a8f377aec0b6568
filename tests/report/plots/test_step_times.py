"""Raw step times: what is drawn of a run, and that nothing of it is hidden."""

from __future__ import annotations

import pickle
from collections.abc import Sequence

import msgspec
import pytest
from matplotlib.axes import Axes

from bench.analysis.speedup import speedups
from bench.analysis.table import frame, newest_rows
from bench.errors import UsageError
from bench.records.record import Record, Window
from bench.report.plots import View, api, draw, step_times, style
from bench.report.plots.rendering import pictures
from tests.builders import make_record, make_steps
from tests.report.conftest import small_run, timed

SPOILT = Window(
    wall_seconds=1.0, cpu_seconds=1.0, involuntary_switches=0, processors=2, interference=["steal took 9 % of the time"]
)


def panels(processes: Sequence[Record]) -> list[Axes]:
    with style.styled():
        return list(step_times.figure(processes).axes)


def line(axes: Axes, label: str) -> tuple[list[float], list[float]]:
    [curve] = [curve for curve in axes.get_lines() if curve.get_label() == label]
    return list(curve.get_xdata()), list(curve.get_ydata())


def training(**changes: object) -> Record:
    """Two steps of warm-up and six of a window; the optimizer runs at every third step."""
    window = [0.1, 0.1, 0.13, 0.1, 0.1, 0.13]
    steps = make_steps(window, images=4, warmup=[3.0, 0.2], optimizer=[1, 4, 7], accumulation_steps=3)
    return make_record(batch=4, steps=steps, **changes)


def test_every_step_is_drawn_with_warm_up_optimizer_and_mean() -> None:
    record = training()
    [axes] = panels([record])
    numbers, times = line(axes, "step")
    assert numbers == list(range(1, 9)) and times == [second * 1e3 for second in record.steps.seconds]  # type: ignore[union-attr]
    assert line(axes, "with optimizer")[0] == [2, 5, 8]
    ends, mean = line(axes, "mean of the window")
    assert ends == [2.5, 8.5] and mean == [pytest.approx(110.0)] * 2
    assert line(axes, "longer than the axis")[0] == [1, 2], "no outlier of the warm-up is cut without a mark"
    [shaded] = [patch for patch in axes.patches if patch.get_label() == "before the window"]
    assert shaded.get_x() == 0.5 and shaded.get_width() == 2.0


def test_no_step_is_below_the_axis() -> None:
    record = make_record(batch=4, steps=make_steps([0.1, 0.11], warmup=[0.01, 0.2], images=4))
    low, high = panels([record])[0].get_ylim()
    assert 0 <= low < 10 and 110 < high < 200


def test_an_optimizer_that_runs_at_every_step_is_not_marked() -> None:
    record = make_record(batch=4, steps=make_steps([0.1] * 4, images=4))
    assert not [curve for curve in panels([record])[0].get_lines() if curve.get_label() == "with optimizer"]


def test_discarded_windows_are_shown_with_their_mean_and_reason() -> None:
    spoilt = msgspec.structs.replace(SPOILT, step_seconds=0.5)
    record = training(discarded=[spoilt])
    ends, mean = line(panels([record])[0], "mean of a discarded window")
    assert ends == [0.5, 2.5] and mean == [500.0, 500.0]
    plot = step_times.plot_of([record])
    assert "Windows were discarded for: steal took 9 % of the time." in plot.caption
    assert plot.rows[0][-1] == "500 ms"


def test_a_long_run_keeps_its_extremes() -> None:
    seconds = [0.02 + 0.00001 * (place % 7) for place in range(1000)]
    seconds[777], seconds[431] = 0.09, 0.001
    steps = make_steps(seconds, warmup=[], images=4)
    [axes] = panels([make_record(batch=4, steps=steps)])
    [ranges] = axes.collections
    segments = ranges.get_segments()
    assert len(segments) <= step_times.MAX_POINTS
    heights = [height for segment in segments for _, height in segment]
    assert (min(heights), max(heights)) == (pytest.approx(1.0), pytest.approx(90.0))
    assert ranges.get_label() == "range of 4 steps"


def test_processes_stand_below_each_other_on_one_axis() -> None:
    records = [training(process=number) for number in range(1, 7)]
    every = panels(records[: step_times.MAX_PROCESSES])
    assert len({axes.get_ylim() for axes in every}) == 1 and len(every) == 4
    plot = step_times.plot_of(records)
    assert "The first 4 of 6 processes are shown." in plot.caption
    assert [row[0] for row in plot.rows] == list("123456"), "the data has all of them"


def test_gaps_between_epochs_are_counted() -> None:
    steps = msgspec.structs.replace(training().steps, epoch_gaps=[0.25, 0.35])
    plot = step_times.plot_of([msgspec.structs.replace(training(), steps=steps)])
    assert "2 epoch gaps of 600 ms in all between steps of the window belong to no step." in plot.caption
    assert plot.rows[0][7] == "250 ms, 350 ms"


def view(records: list[Record]) -> View:
    table = newest_rows(frame(records))
    return View(table, speedups(table, {}), {}, records)


def test_the_page_has_the_fastest_of_each_mode_and_those_with_interference() -> None:
    records = [*small_run(), timed(1.0, 8, window=SPOILT)]
    keys = [plot.key for plot in step_times.plots(view(records))]
    assert keys == [
        "step-times-train-yolov8n-cpu-fp32-b16-i160",
        "step-times-predict-yolov8n-cpu-fp32-b16-i160",
        "step-times-train-yolov8n-cpu-fp32-b8-i160",
    ]
    assert step_times.plots(view([record for record in records if record.steps is None])) == []


def test_every_figure_of_a_page_can_be_drawn_by_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    figures = []
    monkeypatch.setattr("bench.report.plots.rendering.start", lambda figure, alt: figures.append((figure, alt)))
    draw(view(small_run()))
    assert len(figures) >= 5
    for figure, alt in figures:
        assert pictures(pickle.loads(pickle.dumps(figure)), alt) == pictures(figure, alt)


def test_the_library_draws_a_case() -> None:
    assert len(api.step_times([training(process=1), training(process=2)]).axes) == 2
    with pytest.raises(UsageError, match="differ in case"):
        api.step_times([training(), timed(20.0, 8)])
    with pytest.raises(UsageError, match="nothing to draw"):
        api.step_times([])
