from __future__ import annotations

from bench.analysis.table import frame, newest_rows
from bench.records.record import Phase, Record
from bench.report.sections.pivot import Pivot, pivots
from tests.builders import make_record
from tests.report.conftest import SPARED, timed


def of(records: list[Record]) -> list[Pivot]:
    return pivots(newest_rows(frame(records, 1000)), records)


def test_a_table_for_each_mode_that_has_a_figure(records: list[Record]) -> None:
    assert [table.mode for table in of(records)] == ["train", "predict"]
    assert of(records[2:6]) == []


def test_the_best_of_a_row_is_marked_and_only_it(records: list[Record]) -> None:
    row = of(records)[0].rows[0]
    assert [cell.best for cell in row.cells] == [False, True, False]
    assert row.cells[1].time == "40.0 s"
    assert row.cells[1].rate == "25.0 images/s"
    assert row.cells[1].spread.startswith("± ")
    assert "40.0 s ★" in of(records)[0].markdown()


def test_a_row_with_one_figure_has_no_best(records: list[Record]) -> None:
    predict = of(records)[1]
    assert [cell.best for cell in predict.rows[0].cells] == [False]
    assert not predict.marked


def test_a_precision_without_figures_is_a_sentence_and_no_column(records: list[Record]) -> None:
    train = of(records)[0]
    assert train.groups == (("amp off", 3),)
    assert train.batches == ("batch 4", "batch 16", "batch 64")
    assert train.unavailable == (f"No figure with amp on: substituted: {SPARED}",)


def test_a_cell_without_a_figure_says_why(records: list[Record]) -> None:
    train = of(records)[0]
    [full] = train.rows[0].cells[2:]
    assert (full.status, full.time) == ("out of memory", "")
    assert train.notes[full.notes[0] - 1].reason == "Out of memory: tried to allocate 9 GiB."
    assert train.rows[1].cells[0].broken


def test_a_cell_that_was_not_requested_is_empty(records: list[Record]) -> None:
    cell = of(records)[0].rows[1].cells[1]
    assert not cell.time and not cell.status
    assert of(records)[0].gaps


def test_the_forward_pass_is_shown_where_it_was_timed() -> None:
    forward = {"forward": Phase(seconds=[0.1], method="calls of the window")}
    record = timed(80.0, 16, mode="predict", phases=forward)
    training, prediction = of([record, timed(20.0, 16)])
    assert prediction.rows[0].cells[0].forward == "forward 160 images/s"
    assert training.rows[0].cells[0].forward == ""
    assert (training.forward, prediction.forward) == (False, True)


def test_too_few_steps_leave_no_interval() -> None:
    from tests.builders import make_steps

    table = of([make_record(steps=make_steps([0.5, 0.5]))])[0]
    assert table.rows[0].cells[0].spread == ""
    assert "too few steps" in table.rows[0].cells[0].exact


def test_who_points_at_a_cell_sees_which_kind_of_interval_it_has() -> None:
    several = [timed(rate, 4, process=number) for number, rate in enumerate((20.0, 20.4, 19.8), 1)]
    between, within = of([*several, timed(25.0, 16)])[0].rows[0].cells
    assert between.exact.startswith("95 % interval between 3 processes: 48.0 s to 51.8 s; 19.3 to 20.8 images/s")
    assert within.exact.startswith("95 % interval within one process, widened for drift: ")


def test_the_newest_of_a_case_is_shown() -> None:
    old, new = timed(20.0, 4), timed(30.0, 4, run="later", started="2026-12-01T00:00:00+00:00")
    assert of([new, old])[0].rows[0].cells[0].rate == "30.0 images/s"


def test_devices_and_sizes_are_ordered() -> None:
    tables = of([timed(9.0, 4, imgsz=320), timed(9.0, 4), timed(9.0, 4, device="mps"), timed(9.0, 4, device="1")])
    titles = [f"Training: time per epoch · {device}" for device in ("cuda:1", "mps", "cpu")]
    assert [table.title for table in tables] == titles, "each device has its table"
    assert [(row.imgsz, row.span) for row in tables[-1].rows] == [(160, 2), (320, 0)]
    assert not any(table.gaps for table in tables), "a size that only one device was asked for is no dash of others"


def test_anchors_of_cases_are_unique_and_name_the_device() -> None:
    records = [timed(9.0, 4, device="1"), timed(9.0, 4), timed(9.0, 4, mode="predict")]
    anchors = [cell.anchor for table in of(records) for cell in table.cells]
    assert anchors[0] == "train-yolov8n-cuda-1-amp-off-batch-4-160-px"
    assert len(anchors) == len(set(anchors)) == 3
