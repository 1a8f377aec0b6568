from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest

from bench.analysis.speedup import default_baseline, named, parse_baseline, speedups
from bench.analysis.table import frame
from bench.cases.axes import NOT_ASKED
from bench.errors import UsageError
from bench.records.record import Record, Window
from tests.builders import make_case, make_environment, make_machine, make_recipe, make_record, make_steps

CPU = {"device": "cpu", "amp": "off"}


def at(seconds: float, **changes: Any) -> Record:
    """A record with four steps of so many seconds each: no noise, so no width."""
    return make_record(steps=make_steps([seconds] * 4, images=changes.get("batch", 16)), **changes)


def ratios(records: list[Record], baseline: dict[str, Any]) -> list[float]:
    return speedups(frame(records), baseline)["speedup"].tolist()


# What the user writes


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("device=cpu", {"device": "cpu"}),
        ("device=cpu,amp=off", CPU),
        (" device=cuda:1 , batch=16", {"device": "1", "batch": 16}),
        ("mode=train,model=yolov8n.yaml,imgsz=640", {"mode": "train", "model": "yolov8n", "imgsz": 640}),
    ],
)
def test_a_baseline(text: str, values: dict[str, Any]) -> None:
    assert parse_baseline(text) == values


@pytest.mark.parametrize(
    "text", ["", ",", "device", "device=", "=cpu", "colour=red", "device=cpu,", "device=tpu", "batch=x"]
)
def test_a_bad_baseline_is_refused_with_one_sentence(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_baseline(text)
    assert str(refused.value).endswith(".")
    assert "\n" not in str(refused.value)


def test_a_model_file_as_baseline(tmp_path) -> None:
    file = tmp_path / "best.pt"
    file.touch()
    records = [at(0.5, model=str(file)), at(0.25, model="yolo11n")]
    assert ratios(records, named(parse_baseline(f"model={file}"), records)) == [2.0]
    assert ratios(records, named(parse_baseline("model=best.pt"), records)) == [2.0]


# What is taken where nothing was said


def test_the_cpu_where_another_device_was_measured() -> None:
    assert default_baseline(frame([at(0.5), at(0.25, device="mps"), at(0.25, batch=4)])) == CPU


def test_amp_off_where_only_amp_and_less_varies() -> None:
    assert default_baseline(frame([at(0.5), at(0.25, amp="on"), at(0.25, batch=4)])) == {"amp": "off"}
    assert default_baseline(frame([at(0.5, device="0"), at(0.25, device="1", amp="on")])) == {"amp": "off"}


def test_the_smallest_batch() -> None:
    assert default_baseline(frame([at(0.5, batch=16), at(0.5, batch=4), at(0.5, batch=8, imgsz=64)])) == {"batch": 4}


def test_the_smallest_size() -> None:
    assert default_baseline(frame([at(0.5, imgsz=640), at(0.5, imgsz=64, model="yolo11n")])) == {"imgsz": 64}


def test_the_first_model() -> None:
    assert default_baseline(frame([at(0.5, model="yolov8n"), at(0.5, model="yolo11n")])) == {"model": "yolov8n"}


def test_nothing_varies() -> None:
    assert default_baseline(frame([at(0.5)])) == {}
    assert default_baseline(frame([])) == {}


def test_what_was_not_measured_does_not_vary() -> None:
    assert default_baseline(frame([at(0.5), make_record(status="unsupported", device="mps")])) == {}


def test_the_default_baseline_was_measured() -> None:
    table = frame([at(0.5, device="0", amp="on"), at(0.25, device="0", amp="bf16")])
    assert speedups(table, default_baseline(table))["speedup"].tolist() in ([2.0], [0.5])


# Ratios


def test_a_case_over_its_counterpart() -> None:
    records = [at(0.5), at(0.125, device="mps"), at(0.0625, device="0", amp="on")]
    table = speedups(frame(records), CPU)
    assert table["device"].tolist() == ["mps", "0"]
    assert table["speedup"].tolist() == [4.0, 8.0]
    assert table["baseline_images_per_second"].tolist() == [32.0, 32.0]


def test_the_baseline_itself_is_left_out_and_so_is_what_has_no_counterpart() -> None:
    records = [at(0.5), at(0.25, amp="on"), at(0.25, amp="on", batch=4), at(0.25, amp="on", mode="predict")]
    table = speedups(frame(records), {"amp": "off"})
    assert table[["mode", "amp", "batch"]].to_numpy().tolist() == [["train", "on", 16]]


def test_the_counterpart_agrees_on_all_other_axes() -> None:
    records = [at(1.0, batch=4), at(0.5, batch=16), at(0.25, batch=4, amp="on"), at(0.25, batch=16, amp="on")]
    assert ratios(records, {"amp": "off"}) == [4.0, 2.0]


def test_throughput_counts_and_not_the_time_of_a_step() -> None:
    assert ratios([at(0.5, batch=4), at(0.5, batch=16)], {"batch": 4}) == [4.0]


@pytest.mark.parametrize(
    "changes",
    [
        {"machine": make_machine(fingerprint="000000000000")},
        {"environment": make_environment(torch="2.15.0")},
        {"environment": make_environment(ultralytics="8.4.101")},
    ],
)
def test_machines_and_versions_are_never_mixed(changes: dict[str, Any]) -> None:
    assert ratios([at(0.5), at(0.25, device="mps", **changes)], CPU) == []


@pytest.mark.parametrize(
    "changes", [{"version": 1}, {"overrides": {**make_recipe().overrides, "optimizer": "AdamW"}}, {"window_steps": 99}]
)
def test_ways_of_measuring_are_never_mixed(changes: dict[str, Any]) -> None:
    assert ratios([at(0.5), at(0.25, device="mps", recipe=make_recipe(**changes))], CPU) == []


def test_a_mode_may_be_the_baseline_though_each_fixes_settings_of_its_own() -> None:
    assert ratios([at(0.5), at(0.25, mode="predict")], {"mode": "train"}) == [2.0]


def test_of_several_baselines_the_last_counts() -> None:
    assert ratios([at(1.0, run="r1"), at(0.5, run="r2"), at(0.25, device="mps")], CPU) == [2.0]


# Their intervals


def table_with(**ends: float) -> pd.DataFrame:
    table = frame([at(0.5), at(0.25, device="mps")])
    for name, values in ends.items():
        table[f"images_per_second_{name}"] = values
    return table


def test_no_noise_no_width() -> None:
    row = speedups(frame([at(0.5, device="mps"), at(0.25, device="0")]), {"device": "mps"}).iloc[0]
    assert (row["speedup_low"], row["speedup"], row["speedup_high"]) == (2.0, 2.0, 2.0)


def test_errors_of_both_add_as_those_of_independent_logarithms() -> None:
    row = speedups(
        table_with(low=[32 / math.exp(0.3), 64 / math.exp(0.4)], high=[32 * math.exp(0.3), 64 * math.exp(0.4)]), CPU
    )
    row = row.iloc[0]
    assert row["speedup"] == 2.0
    assert row["speedup_low"] == pytest.approx(2 / math.exp(0.5))
    assert row["speedup_high"] == pytest.approx(2 * math.exp(0.5))


@pytest.mark.parametrize("missing", [0, 1])
def test_ends_are_missing_where_either_interval_is(missing: int) -> None:
    low, high = [30.0, 60.0], [34.0, 68.0]
    low[missing] = high[missing] = math.nan
    row = speedups(table_with(low=low, high=high), CPU).iloc[0]
    assert row["speedup"] == 2.0
    assert math.isnan(row["speedup_low"])
    assert math.isnan(row["speedup_high"])


def test_too_few_steps_for_an_interval() -> None:
    records = [make_record(steps=make_steps([0.5])), make_record(steps=make_steps([0.25]), device="mps")]
    row = speedups(frame(records), CPU).iloc[0]
    assert row["speedup"] == 2.0
    assert math.isnan(row["speedup_low"])


# Nothing to compare


@pytest.mark.parametrize("baseline", [{}, CPU, {"batch": 4}, {"batch": 999}, {"model": "none"}])
@pytest.mark.parametrize(
    "records",
    [[], [make_record(status="failed")], [make_record()], [make_record(), make_record(status="failed", device="mps")]],
)
def test_nothing_to_compare_is_an_empty_table_with_its_columns(records: list[Record], baseline: dict[str, Any]) -> None:
    table = speedups(frame(records), baseline)
    assert table.empty
    assert {"device", "machine", "speedup", "speedup_low", "speedup_high"} <= set(table.columns)


# Several processes, and marks


def test_a_case_of_several_processes_has_one_speed_up() -> None:
    records = [at(0.5), at(0.5, process=2), at(0.25, device="mps"), at(0.25, device="mps", process=2)]
    table = speedups(frame(records), CPU)
    assert table["speedup"].tolist() == [pytest.approx(2.0)]
    assert table["interval_kind"].tolist() == ["between processes"]
    assert speedups(frame(records[:3]), CPU)["interval_kind"].tolist() == ["within one process"]


@pytest.mark.parametrize("interfered", [0, 1])
def test_a_ratio_of_an_interfered_figure_is_flagged(interfered: int) -> None:
    window = Window(wall_seconds=1.0, cpu_seconds=1.0, involuntary_switches=0, processors=2, interference=["steal 3 %"])
    changes: list[dict[str, Any]] = [{}, {}]
    changes[interfered] = {"window": window}
    records = [at(0.5, **changes[0]), at(0.25, device="mps", **changes[1])]
    assert speedups(frame(records), CPU)["interfered"].tolist() == [True]
    assert speedups(frame([at(0.5), at(0.25, device="mps")]), CPU)["interfered"].tolist() == [False]


def test_a_baseline_without_a_counterpart_is_passed_over() -> None:
    records = [at(0.5, imgsz=160), at(0.25, device="mps", imgsz=640), at(0.5, batch=4, device="mps", imgsz=640)]
    assert default_baseline(frame(records)) == {"batch": 4}
    assert ratios(records, {"batch": 4})
    assert default_baseline(frame(records[:2])) == CPU


def test_exported_formats_are_compared_with_the_own_format() -> None:
    """Cases in Ultralytics' own format do not carry the axis."""
    cases = [make_case(mode="predict"), make_case(mode="predict", further=(("format", "onnx"),))]
    table = frame([make_record(case=case) for case in cases])
    assert default_baseline(table) == {"format": NOT_ASKED} == parse_baseline("format=pt")
    assert speedups(table, parse_baseline("format=pt"))["format"].tolist() == ["onnx"]
