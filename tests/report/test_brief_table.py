"""The table for a terminal: few columns, within its width, and nothing lost without a word."""

from __future__ import annotations

import pytest

from bench.analysis.ceilings import with_ceilings
from bench.analysis.table import frame
from bench.records.record import Record
from bench.report.brief_table import Column, align, render
from tests.builders import make_ceiling
from tests.report.conftest import other_run, timed


def test_a_block_per_run_and_mode_with_shared_axes_in_the_heading(records: list[Record]) -> None:
    lines = render(frame([*records, *other_run()]), 80).splitlines()
    assert lines[0].endswith(": 3 of 7 cases measured, torch 2.14.1, Ultralytics 8.4.100")
    assert lines[3] == "Training: yolov8n · cpu · amp off · 160 px"
    assert lines[4].split() == ["Batch", "images/s", "Interval", "Epoch", "Memory"]
    assert lines[5].split()[:2] == ["4", "20.0"] and lines[6].split()[:2] == ["16", "25.0"]
    assert "Prediction: cpu · amp off · batch 16 · 160 px" in lines
    assert "Training: cuda:0 · amp off · batch 16 · 640 px" in lines
    assert lines[-1] == "Intervals are 95 %. An epoch has 118,287 images (COCO train2017)."


def test_cases_without_a_figure_are_counted_by_reason(records: list[Record]) -> None:
    lines = [line for line in render(frame(records), 80).splitlines() if line.startswith("Not measured: ")]
    assert lines[0].startswith("Not measured: 2 cases, substituted: amp on requested")
    assert len(lines) == 3
    many = [timed(20.0, 4), *(failed(records[2], batch) for batch in range(8, 16))]
    assert "Not measured: 3 more." in render(frame(many), 80).splitlines()


def failed(record: Record, batch: int) -> Record:
    """A copy of a record that failed, of another case and for another reason."""
    return timed(1.0, batch, status=record.outcome.status, reason=f"Reason {batch}.")


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_rows_of_figures_fit(records: list[Record], width: int) -> None:
    table = with_ceilings(frame([*records, *other_run()]), [make_ceiling(), make_ceiling(12, imgsz=320)])
    rows = [line for line in render(table, width).splitlines() if line.startswith("  ")]
    assert rows and max(map(len, rows)) <= width


def test_ceilings_have_their_limit_and_the_largest_batch() -> None:
    lines = render(with_ceilings(frame([]), [make_ceiling(), make_ceiling(12, imgsz=320)]), 80).splitlines()
    assert "Largest batch that trains: yolov8n · cpu · amp off" in lines
    assert any(
        line.split()[:3] == ["160", "px", "24"] and "within 4.00 GiB, then out of memory" in line for line in lines
    )
    assert not any(line.startswith("Intervals") for line in lines)


def test_notes_move_below_their_row_where_they_do_not_fit() -> None:
    columns = [
        Column("Case", ["a", "b"], left=True),
        Column("Speed", ["1.0", "2.0"]),
        Column("Extra", ["x", "y"], droppable=1),
    ]
    assert align(columns, ["", "interfered"], 40) == [
        "  Case  Speed  Extra  Notes",
        "  a       1.0      x",
        "  b       2.0      y  interfered",
    ]
    assert align(columns, ["", "interfered"], 18) == [
        "  Case  Speed",
        "  a       1.0",
        "  b       2.0",
        "    interfered",
    ]


def test_columns_without_any_value_are_left_out() -> None:
    assert align([Column("Case", ["a"]), Column("Epoch", ["—"])], [""], 80) == ["  Case", "     a"]
