"""Further axes with real Ultralytics: each value runs and is read back, or ends the case with a reason."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bench.cases.axes import Axis, register, unregister, whole_number
from bench.cases.case import Case
from bench.cases.plan import PlannedRun
from bench.records.record import Record
from bench.runner.launchers.local import Launcher
from tests.end_to_end.real.conftest import run_one, tiny
from tests.worker.ultralytics.data_sets import contents, make


def with_axes(mode: str = "train", data: str = "coco-like", **further: object) -> PlannedRun:
    planned = tiny(mode, data, batch=4)
    return msgspec.structs.replace(planned, case=Case.of({**planned.case.values, **further}))


def measured(launcher: Launcher, folder: Path, planned: PlannedRun) -> Record:
    record = run_one(launcher, folder, planned)
    assert record.outcome.status.value == "measured", record.outcome.reason
    return record


def test_training_with_other_settings(forking: Launcher, tmp_path: Path) -> None:
    planned = with_axes(optimizer="AdamW", deterministic="off", threads=1, workers=0, channels_last="off")
    record = measured(forking, tmp_path, planned)
    ran = {name: record.effective[name] for name in ("optimizer", "deterministic", "threads", "workers")}
    assert ran == {"optimizer": "AdamW", "deterministic": False, "threads": 1, "workers": 0}
    assert record.case == planned.case
    assert "fill_uninitialized_memory" in record.effective


def test_prediction_with_other_settings(forking: Launcher, tmp_path: Path) -> None:
    record = measured(forking, tmp_path, with_axes("predict", channels_last="off", threads=1))
    assert (record.effective["channels_last"], record.effective["threads"]) == (False, 1)


@pytest.mark.parametrize(
    ("further", "reason"),
    [
        ({"workers": 2}, "workers 2 requested, workers 0 would run: on cpu and mps"),
        (
            {"channels_last": "on"},
            "channels_last on requested, channels_last off would run: Ultralytics trains with",
        ),
    ],
)
def test_what_a_cpu_does_not_do_ends_the_case(
    forking: Launcher, tmp_path: Path, further: dict[str, object], reason: str
) -> None:
    record = run_one(forking, tmp_path, with_axes(**further))
    assert (record.outcome.status.value, record.steps) == ("substituted", None)
    assert record.outcome.reason.startswith(reason)


@pytest.mark.parametrize("value", ["ram", "disk"])
def test_cached_images_leave_the_made_data_as_they_were(
    forking: Launcher, cache: Path, tmp_path: Path, value: str
) -> None:
    record = measured(forking, tmp_path / "cached", with_axes(cache=value))
    assert record.effective["cache"] == value
    assert not list((cache / "data").rglob("*.npy"))
    assert not list((cache / "scratch").rglob("*.npy"))
    later = measured(forking, tmp_path / "later", with_axes(cache="off"))
    assert later.effective["cache"] is False


def test_cached_images_leave_the_users_data_as_they_were(forking: Launcher, tmp_path: Path) -> None:
    yaml = make(tmp_path / "set", images=9)
    (tmp_path / "set" / "images" / "train" / "0.jpg").write_bytes(b"")
    before = contents(tmp_path / "set")
    record = measured(forking, tmp_path / "runs", with_axes(data=str(yaml), cache="disk"))
    assert (record.effective["cache"], record.effective["images"]) == ("disk", 8)
    assert record.effective["images_dropped"] == 1
    assert contents(tmp_path / "set") == before


def test_an_argument_that_ultralytics_does_not_know_is_no_failure(forking: Launcher, tmp_path: Path) -> None:
    register(Axis("flux", "Flux", str, "help", arguments=lambda value: {"flux": value}, setting="flux"))
    try:
        record = run_one(forking, tmp_path, with_axes(flux="on"))
    finally:
        unregister("flux")
    assert record.outcome.status.value == "unsupported"
    assert record.outcome.reason == "flux on requested: this Ultralytics has no argument 'flux'."


def test_a_new_axis_runs_with_its_entry_alone(forking: Launcher, tmp_path: Path) -> None:
    seed = whole_number("seed", 0, 512)
    register(Axis("seed", "Seed", seed, "help", arguments=lambda value: {"seed": value}, setting="seed"))
    try:
        record = measured(forking, tmp_path, with_axes(seed=8))
    finally:
        unregister("seed")
    assert record.effective["seed"] == 8
    assert record.case.id.endswith("-seed8")


def test_gradients_are_accumulated_over_the_nominal_batch(forking: Launcher, tmp_path: Path) -> None:
    record = measured(forking, tmp_path, with_axes(nbs=8))
    assert (record.effective["nbs"], record.effective["accumulate"]) == (8, 2)
    assert record.steps is not None and record.steps.accumulation_steps == 2
    assert record.case.id.endswith("-nbs8")


def test_rectangular_batches_have_no_mosaic_and_say_their_sizes(forking: Launcher, tmp_path: Path) -> None:
    planned = with_axes(rect="on")
    wide = msgspec.structs.replace(planned, case=msgspec.structs.replace(planned.case, imgsz=160))
    record = measured(forking, tmp_path, wide)
    assert (record.effective["rect"], record.effective["mosaic"], record.effective["imgsz"]) == (True, 0.0, 160)
    sizes = record.extra["batch_sizes"]
    assert sizes["most"] in ("128x160", "160x160")
    assert 0 < sizes["pixels"] <= 1 and 0 < sizes["epoch_pixels"] <= 1
    assert "gflops" not in record.extra


def test_sizes_that_vary_are_read_from_batches(forking: Launcher, tmp_path: Path) -> None:
    planned = with_axes(multi_scale="0.5")
    longer = msgspec.structs.replace(planned, recipe=msgspec.structs.replace(planned.recipe, window_steps=12))
    record = measured(forking, tmp_path, longer)
    assert (record.effective["multi_scale"], record.effective["imgsz"]) == (0.5, 64)
    sizes = record.extra["batch_sizes"]
    assert (sizes["least"], sizes["epoch_pixels"]) == ("32x32", None) and sizes["distinct"] > 1


def test_workers_are_forced_on_a_cpu_where_that_is_asked_for(forking: Launcher, tmp_path: Path) -> None:
    record = measured(forking, tmp_path, with_axes(forced_workers=1))
    assert record.effective["workers"] == 1
    assert record.case.id.endswith("-forced_workers1")


def test_bfloat16_is_forced_on_a_cpu_and_acts(forking: Launcher, tmp_path: Path) -> None:
    record = measured(forking, tmp_path, with_axes(amp="forced-bf16"))
    assert (record.effective["amp"], record.effective["loss_scaling"]) == ("forced-bf16", False)
    agreement = record.checks["forced_agreement"]
    assert agreement["layers"]["bfloat16"] > 50 and set(agreement["layers"]) <= {"bfloat16", "float32"}
    assert agreement["forced"] != agreement["fp32"]
    assert record.case.id.startswith("train-yolov8n-cpu-forcedbf16-b4-i64")


@pytest.mark.parametrize(
    ("mode", "further", "reason"),
    [
        ("predict", {}, "amp forced-bf16 requested: a precision is forced on training only; predict with amp off"),
        (
            "train",
            {"compile": "on"},
            "amp forced-bf16 requested: it is read from hooks on layers, which a compiled",
        ),
    ],
)
def test_a_precision_is_not_forced_everywhere(
    forking: Launcher, tmp_path: Path, mode: str, further: dict[str, object], reason: str
) -> None:
    record = run_one(forking, tmp_path, with_axes(mode, amp="forced-bf16", **further))
    assert (record.outcome.status.value, record.steps) == ("unsupported", None)
    assert record.outcome.reason.startswith(reason)
