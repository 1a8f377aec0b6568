from __future__ import annotations

from typing import Any

import msgspec
import pandas as pd
import pytest

from bench.analysis.intervals import ci_between_processes
from bench.analysis.table import COLUMNS, NUMBERS, WHOLE, frame, newest_rows, peak_memory
from bench.records.record import CalibrationSummary, Data, EpochOverhead, Memory, Origin, Phase, Record
from tests.builders import make_environment, make_machine, make_recipe, make_record, make_steps

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
    assert row["interval_kind"] == "within one process, widened for drift"
    assert row["seconds_per_epoch"] == 32.0
    assert row["seconds_per_epoch_low"] < 32.0 < row["seconds_per_epoch_high"]
    assert row["epoch_images"] == 1024
    assert row["step_seconds"] == 0.5
    assert row["data_wait_share"] == 0.25
    assert row["steps"] == 4
    assert row["peak_memory_bytes"] == 1_234_567_168
    assert row["peak_memory_method"] == "VmHWM, peak resident set since set-up"
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
    assert all(pd.isna(row[name]) for name in ("threads", "interval_kind", "peak_memory_method"))
    assert (row["status"], row["reason"]) == (status, "Because.")
    assert row["batch"] == 16


def test_figures_of_steps_that_were_not_measured_to_the_end_are_missing() -> None:
    row = only(make_record(status="invalid", steps=make_steps()))
    assert [name for name in FIGURES if not pd.isna(row[name])] == []


def test_too_few_steps_leave_the_interval_missing() -> None:
    row = only(make_record(steps=make_steps([0.5, 0.5])))
    ends = [name for name in COLUMNS if name.endswith(("_low", "_high"))]
    assert len(ends) == 10
    assert all(pd.isna(row[name]) for name in ends)
    assert pd.isna(row["interval_kind"])
    assert row["images_per_second"] == 32.0


def test_waiting_for_data_is_a_share_of_training_alone() -> None:
    assert pd.isna(only(make_record(mode="predict"))["data_wait_share"])
    assert only(make_record(mode="train"))["data_wait_share"] == 0.0


def test_forward_pass() -> None:
    record = make_record(mode="predict", phases={"forward": Phase([0.25], "separate calls")})
    assert only(record)["forward_images_per_second"] == 64.0
    assert pd.isna(only(make_record(mode="train"))["forward_images_per_second"])
    assert pd.isna(only(make_record(mode="predict", phases={}))["forward_images_per_second"])


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


# Several processes of a case


def in_process(number: int, seconds: float = 0.25, **changes: object) -> Record:
    return make_record(process=number, steps=make_steps([seconds] * 4, images=16), **changes)


def test_the_processes_of_a_case_are_one_row() -> None:
    records = [in_process(1, 0.25), make_record(batch=4), in_process(3, 0.26), in_process(2, 0.24)]
    table = frame(records, epoch_images=1000)
    assert table.index.tolist() == [0, 1]
    row = table.iloc[0].to_dict()
    expected = ci_between_processes([16 / 0.25, 16 / 0.24, 16 / 0.26])
    assert row["images_per_second"] == pytest.approx(expected.point)
    assert row["images_per_second_low"] == pytest.approx(expected.low)
    assert row["images_per_second_high"] == pytest.approx(expected.high)
    assert (row["interval_kind"], row["processes"], row["steps"]) == ("between 3 processes", 3, 12)
    assert row["seconds_per_epoch"] * row["images_per_second"] == pytest.approx(1000, rel=1e-12)
    assert row["step_seconds"] * row["images_per_second"] == pytest.approx(16, rel=1e-12)
    assert row["process_stdev"] == pytest.approx(0.040026, rel=1e-3)
    assert row["id"] == records[0].id
    assert pd.isna(table.iloc[1]["process_stdev"])
    assert table.iloc[1]["processes"] == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"run": "another"},
        {"machine": make_machine(fingerprint="000000000000")},
        {"environment": make_environment(torch="2.15.0")},
        {"environment": msgspec.structs.replace(make_environment(), origins={"torch": Origin(source="path")})},
        {"recipe": make_recipe(window_steps=99)},
        {"batch": 4},
    ],
)
def test_what_was_not_measured_alike_is_not_put_together(changes: dict[str, object]) -> None:
    assert frame([in_process(1), in_process(2, **changes)])["processes"].tolist() == [1, 1]


TWINS = make_machine(id="aaaaaaaaaaaa"), make_machine(id="bbbbbbbbbbbb")


def test_two_machines_of_one_type_are_two_and_their_titles_differ() -> None:
    table = frame([make_record(machine=machine) for machine in TWINS])
    assert table["machine"].tolist() == [machine.id for machine in TWINS]
    title = make_machine().title
    assert table["machine_title"].tolist() == [f"{title} · ID aaaaaa", f"{title} · ID bbbbbb"]
    assert len(newest_rows(table)) == 2


def test_an_old_record_is_of_the_one_machine_of_its_type() -> None:
    records = [make_record(), make_record(machine=TWINS[0], run="b", started="2026-11-23T00:00:00+00:00")]
    table = frame(records)
    assert table["machine"].tolist() == [TWINS[0].id] * 2
    assert table["machine_title"].tolist() == [make_machine().title] * 2
    assert newest_rows(table)["run"].tolist() == ["b"]


def test_an_old_record_is_of_neither_of_two_machines_of_its_type() -> None:
    table = frame([make_record(machine=machine) for machine in (make_machine(), *TWINS)])
    assert table["machine"].nunique() == 3 and table["machine_title"].nunique() == 3


def test_a_copy_of_a_record_is_no_second_process() -> None:
    row = only_of([in_process(1), in_process(2, 0.26), in_process(2, 0.26)])
    assert row["processes"] == 2


def test_processes_on_other_data_of_the_same_name_are_another_row() -> None:
    before, after = (Data(name="mine.yaml", fingerprint=digits * 6, images=64) for digits in ("0a", "0b"))
    none = make_record(process=4, status="failed", data=None)
    records = [none, in_process(1, data=before), in_process(2, data=before), in_process(3, data=after)]
    table = frame(records)
    assert table["processes"].tolist() == [2, 1]
    assert table["data"].tolist() == ["mine.yaml 0a0a0a0a0a0a", "mine.yaml 0b0b0b0b0b0b"]
    assert table["flags"].tolist() == ["a repeat failed", ""]


def test_two_data_sets_of_one_name_do_not_hide_each_other() -> None:
    recipe = make_recipe(data="/home/me/mine.yaml")
    before, after = (Data(name="mine.yaml", fingerprint=digits * 6, images=64) for digits in ("0a", "0b"))

    def of(run: str, data: Data | None, **changes: object) -> Record:
        return make_record(run=run, recipe=recipe, data=data, **changes)

    alone = frame([of("a", before), of("b", before)])
    assert alone["protocol"].nunique() == 1 and "0a0a" not in alone["protocol"][0]
    assert len(newest_rows(alone)) == 1
    table = frame([of("a", before), of("b", after), of("b", None, batch=4, status="failed")])
    assert len(newest_rows(table)) == 3
    assert [protocol.partition(",")[0] for protocol in table["protocol"]] == [
        "mine.yaml 0a0a0a0a0a0a",
        "mine.yaml 0b0b0b0b0b0b",
        "mine.yaml 0b0b0b0b0b0b",
    ]


def only_of(records: list[Record]) -> dict[str, object]:
    table = frame(records)
    assert len(table) == 1
    return table.iloc[0].to_dict()


def test_peak_memory_is_the_greatest_of_all_processes() -> None:
    memory = {1: 5, 2: 9, 3: 7}
    row = only_of([in_process(n, memory={"process": Memory(size, f"of {n}")}) for n, size in memory.items()])
    assert (row["peak_memory_bytes"], row["peak_memory_method"]) == (9, "of 2")


def test_a_process_that_failed_takes_nothing_from_the_others() -> None:
    failed = make_record(process=2, status="failed", reason="ValueError: no.")
    row = only_of([in_process(1), failed, in_process(3)])
    assert (row["status"], row["processes"]) == ("measured", 2)
    assert row["reason"] == "process 2 failed: ValueError: no."
    assert row["flags"] == "a repeat failed"


def test_where_the_first_process_failed_the_row_is_that_of_the_others() -> None:
    table = frame([make_record(status="failed"), in_process(2)])
    assert table["status"].tolist() == ["measured"]
    assert table.index.tolist() == [1]


def test_no_process_measured() -> None:
    row = only_of([make_record(status="failed"), make_record(process=2, status="failed")])
    assert (row["status"], row["reason"]) == ("failed", "It did not work.")
    assert pd.isna(row["processes"]) and pd.isna(row["flags"])


def test_an_interrupted_repeat_is_no_failure() -> None:
    row = only_of([in_process(1), make_record(process=2, status="interrupted", reason="Stopped while measuring.")])
    assert row["flags"] == ""
    assert row["reason"] == ""


def test_a_calibrated_machine_widens_one_process_but_not_several() -> None:
    noise = CalibrationSummary(
        stdev=0.02, processes=12, calibrated="2026-11-22", case="x", torch="2.14.1", ultralytics="8.4.100"
    )
    alone = only(in_process(1, calibration=noise))
    assert alone["interval_kind"] == "within one process, widened by calibration"
    assert alone["images_per_second_low"] == pytest.approx(64 / (1 + 2.200985 * 0.02))
    together = only_of([in_process(1, calibration=noise), in_process(2, calibration=noise)])
    assert together["images_per_second_low"] == pytest.approx(64.0)


def test_parts_of_a_step_are_shares_of_the_mean_step() -> None:
    phases = {
        "preprocess": Phase([0.0125], "clock"),
        "forward": Phase([0.05, 0.05, 0.075], "clock"),
        "backward": Phase([0.1, 0.1, 0.1], "clock"),
        "optimizer": Phase([0.0, 0.04, 0.0], "clock"),
    }
    window = [0.3, 0.2, 0.2, 0.3] * 2
    steps = make_steps(window, warmup=[0.5] * 4, accumulation_steps=16, timed_accumulation_steps=4, data_wait=0.011)
    mean = (14 * 0.2 + 2 * 0.3) / 16
    row = only(make_record(steps=steps, phases=phases))
    assert row["step_seconds"] == pytest.approx(mean)
    assert row["preprocess_share"] == pytest.approx(0.0125 / mean)
    assert row["forward_share"] == pytest.approx((15 * 0.05 + 0.075) / 16 / mean)
    assert row["backward_share"] == pytest.approx(0.1 / mean)
    assert row["optimizer_share"] == pytest.approx(0.04 / 16 / mean)
    assert row["data_wait_share"] == pytest.approx(0.011 / mean)
    assert row["flags"] == "modelled"
    assert pd.isna(row["forward_images_per_second"])
    assert pd.isna(only(make_record(mode="predict", phases=phases))["forward_share"])


def test_waiting_counts_as_the_steps_do_that_waited() -> None:
    seconds, waits = [0.5] * 4 + [0.3, 0.2, 0.2, 0.3] * 2, [0.0] * 4 + [0.16, 0.0, 0.0, 0.16] * 2
    steps = make_steps(seconds[4:], warmup=seconds[:4], accumulation_steps=16, timed_accumulation_steps=4)
    steps = msgspec.structs.replace(steps, data_wait=waits)
    assert only(make_record(steps=steps))["data_wait_share"] == pytest.approx(2 / 16 * 0.16 / ((14 * 0.2 + 0.6) / 16))


def test_what_an_epoch_has_besides_its_steps() -> None:
    first = in_process(1, epoch_overhead=EpochOverhead(epoch_gap_seconds=0.5, validation=2.0, validation_images=64))
    row = only_of([first, in_process(2, epoch_overhead=EpochOverhead(epoch_gap_seconds=1.5))])
    assert (row["epoch_gap_seconds"], row["validation_seconds"], row["validation_images"]) == (1.0, 2.0, 64)
    assert pd.isna(row["checkpoint_seconds"])
    assert pd.isna(only(in_process(1))["validation_images"])


# Which rows are shown


def at(hour: int, **changes: object) -> Record:
    return make_record(run=f"r{hour:02d}", started=f"2026-11-22T{hour:02d}:00:00+00:00", **changes)


def test_latest_keeps_the_newest_row_of_every_case() -> None:
    table = frame([at(12, batch=4), at(10, batch=4), at(11, batch=8), at(9, batch=8)])
    assert newest_rows(table)[["run", "batch"]].to_numpy().tolist() == [["r12", 4], ["r11", 8]]


def test_latest_keeps_machines_and_versions_apart() -> None:
    records = [
        at(9),
        at(10, machine=make_machine(fingerprint="000000000000")),
        at(11, environment=make_environment(torch="2.15.0")),
        at(12, environment=make_environment(ultralytics="8.4.101")),
        at(13),
    ]
    assert newest_rows(frame(records))["run"].tolist() == ["r10", "r11", "r12", "r13"]


@pytest.mark.parametrize("axis", ["mode", "model", "device", "amp", "batch", "imgsz"])
def test_latest_keeps_every_axis_apart(axis: str) -> None:
    other = {"mode": "predict", "model": "yolo11n", "device": "mps", "amp": "on", "batch": 1, "imgsz": 32}[axis]
    assert len(newest_rows(frame([at(9), at(10, **{axis: other})]))) == 2


def test_latest_of_two_at_the_same_second_is_the_last_read() -> None:
    table = frame([at(9, status="failed"), at(9)])
    assert newest_rows(table)["status"].tolist() == ["measured"]


def test_latest_keeps_ways_of_measuring_apart() -> None:
    overrides = {**make_recipe().overrides, "optimizer": "AdamW"}
    recipes = [make_recipe(version=1), make_recipe(overrides=overrides), make_recipe(), make_recipe(warmup_seconds=9.0)]
    table = newest_rows(frame([at(9 + hour, recipe=recipe) for hour, recipe in enumerate(recipes)]))
    assert table["run"].tolist() == ["r09", "r10", "r12"]
    assert table["protocol"].str.extract(r"by rule (\d) of yolopace$")[0].tolist() == ["1", "2", "2"]
    assert table["overrides_hash"].nunique() == 2 and all(len(digest) == 8 for digest in table["overrides_hash"])


def test_train_and_predict_have_pins_of_their_own_and_one_setup() -> None:
    table = frame([make_record(), make_record(mode="predict")])
    assert (table["overrides_hash"].nunique(), table["protocol"].nunique()) == (2, 1)


def test_latest_of_nothing() -> None:
    assert newest_rows(frame([])).empty


def test_size_of_the_model() -> None:
    row = frame([make_record(extra={"gflops": 8.7})]).iloc[0]
    assert (row["parameters"], row["gflops"]) == (3_157_200, 8.7)


@pytest.mark.parametrize("extra", [{}, {"gflops": None}, {"gflops": "many"}, {"gflops": -1}])
def test_an_unknown_size_of_the_model_is_missing(extra: dict[str, Any]) -> None:
    row = frame([make_record(extra=extra, effective={"parameters": "many"})]).iloc[0]
    assert row[["parameters", "gflops"]].isna().all()
