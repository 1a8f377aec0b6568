from __future__ import annotations

import pandas as pd
import pytest

from bench.analysis.table import COLUMNS, NUMBERS, WHOLE, frame, latest, peak_memory
from bench.records.record import Memory, Phase, Record
from tests.builders import make_environment, make_machine, make_record, make_steps

PROMISED = {
    *("run", "mode", "model", "device", "amp", "batch", "imgsz", "status", "reason", "threads"),
    *("images_per_second", "images_per_second_low", "images_per_second_high", "seconds_per_epoch", "epoch_images"),
    *("peak_memory_bytes", "torch", "ultralytics", "machine"),
}
"""Columns of the contract in DESIGN.md."""

FIGURES = [*NUMBERS, "peak_memory_bytes", "steps"]


def only(record: Record, epoch_images: int = 1024) -> dict[str, object]:
    table = frame([record], epoch_images)
    assert len(table) == 1
    return table.iloc[0].to_dict()


def test_columns() -> None:
    assert list(frame([]).columns) == list(frame([make_record()]).columns) == list(COLUMNS)
    assert set(COLUMNS) >= PROMISED


@pytest.mark.parametrize("records", [[], [make_record()], [make_record(status="failed")]])
def test_types_do_not_depend_on_what_is_there(records: list[Record]) -> None:
    table = frame(records)
    assert {str(table[name].dtype) for name in NUMBERS} == {"float64"}
    assert {str(table[name].dtype) for name in WHOLE} == {"Int64"}


def test_rows_stand_in_the_order_of_the_records() -> None:
    assert frame(make_record(batch=batch) for batch in (8, 2, 4))["batch"].tolist() == [8, 2, 4]


def test_a_measured_row() -> None:
    row = only(make_record(steps=make_steps([0.25, 0.5, 0.25, 1.0], data_wait=0.125)), epoch_images=1024)
    assert row["images_per_second"] == 32.0
    assert row["images_per_second_low"] < 32.0 < row["images_per_second_high"]
    assert row["interval"] == "within one process"
    assert row["seconds_per_epoch"] == 32.0
    assert row["seconds_per_epoch_low"] < 32.0 < row["seconds_per_epoch_high"]
    assert row["epoch_images"] == 1024
    assert row["step_seconds"] == 0.5
    assert row["data_wait_share"] == 0.25
    assert row["steps"] == 4
    assert row["peak_memory_bytes"] == 1_234_567_168
    assert row["peak_memory_how"] == "VmHWM, peak resident set since set-up"
    assert (row["status"], row["reason"]) == ("measured", "")


def test_where_it_was_measured() -> None:
    record = make_record()
    row = only(record)
    assert row["threads"] == 7
    assert (row["torch"], row["ultralytics"], row["python"]) == ("2.14.1", "8.4.100", "3.12.4")
    assert (row["machine"], row["machine_title"]) == ("3f9ac2d41b07", record.machine.title)
    assert row["data"] == "coco-like 9b1f4e0c7a23"
    assert row["recipe"] == record.recipe.fingerprint
    assert row["id"] == "20261122-184512-3f9ac2/train-yolov8n-cpu-fp32-b16-i160"


@pytest.mark.parametrize("status", ["substituted", "out_of_memory", "failed", "interrupted"])
def test_what_was_not_measured_is_missing_and_never_0(status: str) -> None:
    row = only(make_record(status=status, reason="Because."))
    assert [name for name in FIGURES if not pd.isna(row[name])] == []
    assert all(pd.isna(row[name]) for name in ("threads", "interval", "peak_memory_how"))
    assert (row["status"], row["reason"]) == (status, "Because.")
    assert row["batch"] == 16


def test_figures_of_steps_that_were_not_measured_to_the_end_are_missing() -> None:
    row = only(make_record(status="invalid", steps=make_steps()))
    assert [name for name in FIGURES if not pd.isna(row[name])] == []


def test_too_few_steps_leave_the_interval_missing() -> None:
    row = only(make_record(steps=make_steps([0.5, 0.5])))
    ends = [name for name in COLUMNS if name.endswith(("_low", "_high"))]
    assert len(ends) == 4
    assert all(pd.isna(row[name]) for name in ends)
    assert pd.isna(row["interval"])
    assert row["images_per_second"] == 32.0


def test_waiting_for_data_is_a_share_of_training_alone() -> None:
    assert pd.isna(only(make_record(mode="predict"))["data_wait_share"])
    assert only(make_record(mode="train"))["data_wait_share"] == 0.0


def test_forward_pass() -> None:
    record = make_record(mode="predict", phases={"forward": Phase([0.125, 0.375], "separate calls")})
    assert only(record)["forward_images_per_second"] == 64.0
    assert pd.isna(only(make_record(mode="train"))["forward_images_per_second"])
    empty = make_record(mode="predict", phases={"forward": Phase([], "no calls")})
    assert pd.isna(only(empty)["forward_images_per_second"])


def test_peak_memory_is_the_allocators_where_there_is_one() -> None:
    allocated, process, none = Memory(1, "allocator"), Memory(2, "process"), Memory(None, "no statistics")
    assert peak_memory({"process": process, "allocated": allocated}) == allocated
    assert peak_memory({"process": process, "allocated": none}) == process
    assert peak_memory({"process": none, "allocated": none}) is None
    assert peak_memory({}) is None
    assert pd.isna(only(make_record(memory={"allocated": none}))["peak_memory_bytes"])


def test_memory_beyond_32_bits_stays_exact() -> None:
    assert only(make_record(memory={"allocated": Memory(2**53 + 1, "allocator")}))["peak_memory_bytes"] == 2**53 + 1


def test_a_record_without_data_or_threads() -> None:
    row = only(make_record(data=None, effective={}))
    assert row["data"] is None
    assert pd.isna(row["threads"])


def test_a_file_as_model_shows_its_name() -> None:
    assert only(make_record(model="/a/best.pt"))["model"].startswith("best.pt_")


# Which rows are shown


def at(hour: int, **changes: object) -> Record:
    return make_record(run=f"r{hour:02d}", started=f"2026-11-22T{hour:02d}:00:00+00:00", **changes)


def test_latest_keeps_the_newest_row_of_every_case() -> None:
    table = frame([at(12, batch=4), at(10, batch=4), at(11, batch=8), at(9, batch=8)])
    assert latest(table)[["run", "batch"]].to_numpy().tolist() == [["r12", 4], ["r11", 8]]


def test_latest_keeps_machines_and_versions_apart() -> None:
    records = [
        at(9),
        at(10, machine=make_machine(fingerprint="000000000000")),
        at(11, environment=make_environment(torch="2.15.0")),
        at(12, environment=make_environment(ultralytics="8.4.101")),
        at(13),
    ]
    assert latest(frame(records))["run"].tolist() == ["r10", "r11", "r12", "r13"]


@pytest.mark.parametrize("axis", ["mode", "model", "device", "amp", "batch", "imgsz"])
def test_latest_keeps_every_axis_apart(axis: str) -> None:
    other = {"mode": "predict", "model": "yolo11n", "device": "mps", "amp": "on", "batch": 1, "imgsz": 32}[axis]
    assert len(latest(frame([at(9), at(10, **{axis: other})]))) == 2


def test_latest_of_two_at_the_same_second_is_the_last_read() -> None:
    table = frame([at(9, status="failed"), at(9)])
    assert latest(table)["status"].tolist() == ["measured"]


def test_latest_of_nothing() -> None:
    assert latest(frame([])).empty
