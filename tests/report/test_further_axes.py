"""Cases with further axes in the table, on the page and in plots."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from bench.analysis.ceilings import with_ceilings
from bench.analysis.metrics import METRICS
from bench.analysis.speedup import default_baseline, parse_baseline, speedups
from bench.analysis.table import AXES, axes_of, frame, newest_rows
from bench.cases.axes import unregister
from bench.cli.io import chosen_by
from bench.records.record import Record
from bench.report import commands, labels
from bench.report.page import Inputs, gather, save
from bench.report.plots import bar_by_case, line_by_batch, style
from bench.report.sections import settings
from bench.report.sections.pivot import pivots
from bench.report.tables import render
from tests.builders import make_ceiling, make_record
from tests.extension import toy_axis
from tests.report.conftest import timed

SPEED = METRICS["images_per_second"]


def with_workers(rate: float, batch: int, workers: int, **changes: Any) -> Record:
    further = (*changes.pop("further", ()), ("workers", workers))
    return timed(rate, batch, further=further, **changes)


RUN = [with_workers(10.0 * (1 + w) + batch, batch, w) for batch in (4, 16) for w in (0, 2, 4)]


def test_the_table_has_a_column_for_each_further_axis_that_occurs() -> None:
    plain = frame([timed(20.0, 4)])
    assert axes_of(plain) == AXES
    both = frame([*RUN, timed(20.0, 4)])
    assert axes_of(both) == (*AXES, "workers")
    assert list(both["workers"]) == [0, 2, 4, 0, 2, 4, ""]
    assert set(both.columns) - set(plain.columns) == {"workers"}


def test_text_of_the_table_leaves_the_axis_empty_where_a_case_does_not_have_it() -> None:
    table = frame([RUN[1], timed(20.0, 4)])
    assert [row["workers"] for row in csv.DictReader(io.StringIO(render(table, "csv")))] == ["2", ""]
    assert [row["workers"] for row in json.loads(render(table, "json"))] == [2, None]
    assert labels.NONE in render(table, "md").splitlines()[-1]


def test_threads_are_one_column_whether_an_axis_or_read_back() -> None:
    asked = timed(20.0, 4, further=(("threads", 2),))
    table = frame([asked, timed(20.0, 4)])
    assert list(table.columns).count("threads") == 1
    assert axes_of(table) == (*AXES, "threads")
    assert table["threads"].iloc[0] == 2


def test_cases_that_differ_in_a_further_axis_alone_are_different_cases() -> None:
    table = newest_rows(frame([*RUN, timed(20.0, 4), timed(21.0, 4)]))
    assert len(table) == 7


def test_a_ceiling_has_its_further_axes_in_the_table() -> None:
    ceiling = make_ceiling(24)
    table = with_ceilings(frame(RUN), [ceiling])
    assert axes_of(table) == (*AXES, "workers")
    assert table["workers"].iloc[-1] == ""


def test_the_main_table_has_a_row_for_each_value_and_all_its_cells_are_filled() -> None:
    records = [*RUN, timed(20.0, 4), timed(30.0, 16)]
    [table] = pivots(newest_rows(frame(records, 1000)), records)
    assert table.further == ("Workers",)
    assert [row.further for row in table.rows] == [("default",), ("0",), ("2",), ("4",)]
    assert all(cell.time for row in table.rows for cell in row.cells)
    assert [row.span for row in table.rows] == [4, 0, 0, 0]
    assert "Workers" in table.markdown().splitlines()[0]


def test_an_axis_that_no_case_of_a_table_has_is_no_column_of_it() -> None:
    records = [*RUN, timed(20.0, 4, mode="predict", further=(("threads", 2),))]
    train, predict = pivots(newest_rows(frame(records, 1000)), records)
    assert (train.further, predict.further) == (("Workers",), ("Threads",))


def test_lines_are_split_by_a_further_axis() -> None:
    [part] = line_by_batch.parts(frame(RUN), SPEED)[0]
    lines = line_by_batch.panel(part, SPEED).lines
    assert [(line.name, line.xs) for line in lines] == [(f"workers {n}", [4, 16]) for n in (0, 2, 4)]


def test_numbers_are_an_x_axis_where_batch_is_the_same_everywhere() -> None:
    [part] = line_by_batch.parts(frame(RUN[:3]), SPEED)[0]
    [line] = line_by_batch.panel(part, SPEED).lines
    assert (line.xs, line.values) == ([0, 2, 4], pytest.approx([14.0, 34.0, 54.0]))
    with style.styled():
        [axes] = line_by_batch.figure(line_by_batch.panel(part, SPEED), SPEED).axes
    assert (axes.get_xlabel(), axes.get_xscale()) == ("Workers", "linear")
    assert "against workers" in line_by_batch.alt(part, line_by_batch.panel(part, SPEED), SPEED)


def test_numbers_of_an_axis_keep_their_fractions() -> None:
    toy_axis.register()
    try:
        run = [timed(20.0, 4, further=(("momentum", momentum),)) for momentum in (0.0, 0.25, 0.9)]
        [part] = line_by_batch.parts(frame(run), SPEED)[0]
        [line] = line_by_batch.panel(part, SPEED).lines
    finally:
        unregister("momentum")
    assert line.xs == [0, 0.25, 0.9]


def test_words_make_bars() -> None:
    records = [timed(20.0 + n, 4, further=(("optimizer", name),)) for n, name in enumerate(("SGD", "AdamW"))]
    lines, [single] = line_by_batch.parts(frame(records), SPEED)
    assert lines == []
    assert [bar.name for bar in bar_by_case.bars(single, SPEED)] == ["optimizer SGD", "optimizer AdamW"]


def test_speedups_over_a_value_of_a_further_axis() -> None:
    table = newest_rows(frame(RUN[:3]))
    assert default_baseline(table) == {"workers": 0}
    ratios = speedups(table, parse_baseline("workers=0"))
    assert list(ratios["workers"]) == [2, 4]
    assert list(ratios["speedup"]) == pytest.approx([34 / 14, 54 / 14])
    assert speedups(newest_rows(frame([timed(20.0, 4)])), {"workers": 0}).empty


def test_only_cases_of_a_value() -> None:
    wanted = chosen_by(["workers=2,batch=4"])
    assert [record.case.id for record in [*RUN, timed(20.0, 4)] if wanted(record.case)] == [RUN[1].case.id]


def test_what_was_asked_is_compared_with_what_ran() -> None:
    record = make_record(further=(("optimizer", "AdamW"),), effective={"optimizer": "AdamW", "workers": 0})
    assert settings.in_short(record).startswith("ran as requested")
    [training] = settings.settings([record])
    assert next(setting.asked for setting in training.shown if setting.key == "optimizer") == "AdamW"
    other = make_record(further=(("workers", 2),), effective={"workers": 0})
    assert settings.in_short(other).startswith("differs from the request: workers 0")


def test_the_command_that_repeats_a_run_names_its_further_axes() -> None:
    first, second = commands.commands([*RUN, timed(20.0, 4)])
    assert first.endswith("--imgsz 160 --axis workers=0,2,4")
    assert "--axis" not in second


def test_an_axis_without_an_entry_is_shown_all_the_same() -> None:
    records = [timed(20.0 + n, 4, further=(("speed", name),)) for n, name in enumerate(("slow", "fast"))]
    [table] = pivots(newest_rows(frame(records, 1000)), records)
    assert (table.further, [row.further for row in table.rows]) == (("speed",), [("slow",), ("fast",)])


def test_a_whole_page_with_further_axes(tmp_path: Path) -> None:
    records = [*RUN, with_workers(5.0, 4, 2, status="substituted", imgsz=320, reason="workers 0 would run.")]
    html = save(gather(Inputs(records=records, epoch_images=1000)), tmp_path).read_text(encoding="utf-8")
    for text in (">Workers</th>", "workers 4", "workers 0 would run."):
        assert text in html, text
