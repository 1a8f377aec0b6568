from __future__ import annotations

import json
import logging
from types import SimpleNamespace
from typing import Any

import pytest

from bench.cases.case import Case
from bench.cases.recipe import overrides_for
from bench.worker import effective_settings
from bench.worker.devices.cuda import Cuda
from bench.worker.effective_settings import AXES, check_unchanged, compare, device_name, expected
from bench.worker.protocol import RequestedAxis
from bench.worker.rejection import CaseRejected
from bench.worker.workloads import workloads

ULTRALYTICS = workloads()["ultralytics"]
ASKED = {"mode": "train", "model": "yolov8n", "device": "0", "amp": "on", "batch": 16, "imgsz": 640}


def refusal(asked: dict[str, Any], **runs: Any) -> CaseRejected:
    with pytest.raises(CaseRejected) as caught:
        compare(ULTRALYTICS, {**ASKED, **asked}, {}, {**ASKED, **asked, **runs})
    assert caught.value.status == "substituted"
    return caught.value


def test_what_was_asked_passes() -> None:
    compare(ULTRALYTICS, ASKED, {}, {"device": "0", "amp": "on", "batch": 16, "imgsz": 640, "threads": 7})


@pytest.mark.parametrize("amp", ["off", "on", "bf16"])
def test_every_precision_passes_where_it_runs(amp: str) -> None:
    compare(ULTRALYTICS, {**ASKED, "amp": amp}, {}, {**ASKED, "amp": amp})


def test_settings_that_were_not_requested_may_have_any_value() -> None:
    compare(ULTRALYTICS, ASKED, {}, {**ASKED, "mode": "other", "model": "other", "optimizer": "Adam"})


SUBSTITUTED = [
    ({}, {"device": "cpu"}, "device 0 requested, device cpu would run.", ("device", "format")),
    (
        {"device": "cpu"},
        {"amp": "off"},
        "amp on requested, amp off would run: Ultralytics offers no mixed precision here.",
        ("mode", "device", "amp", "format"),
    ),
    (
        {"amp": "bf16"},
        {"amp": "on"},
        "amp bf16 requested, amp on would run: Ultralytics offers no bfloat16 here.",
        ("mode", "device", "amp", "format"),
    ),
    ({"amp": "off"}, {"amp": "on"}, "amp off requested, amp on would run.", ("mode", "device", "amp", "format")),
    (
        {"imgsz": 70},
        {"imgsz": 96},
        "imgsz 70 requested, imgsz 96 would run: sizes are rounded up to a multiple of the model's stride.",
        ("mode", "model", "imgsz"),
    ),
    (
        {},
        {"imgsz": "384x640"},
        "imgsz 640 requested, imgsz 384x640 would run: sizes are rounded up to a multiple of the model's stride.",
        ("mode", "model", "imgsz"),
    ),
    (
        {},
        {"batch": 8},
        "batch 16 requested, batch 8 would run: the dataset has fewer images than one batch, "
        "or the devices cannot share the batch equally.",
        (),
    ),
]


@pytest.mark.parametrize(("asked", "runs", "reason", "axes"), SUBSTITUTED)
def test_a_substitution_says_what_would_run_and_what_decides_it(
    asked: dict[str, Any], runs: dict[str, Any], reason: str, axes: tuple[str, ...]
) -> None:
    refused = refusal(asked, **runs)
    assert (refused.reason, refused.scope) == (reason, axes)


def test_several_at_once_are_all_said_and_settle_no_other_case() -> None:
    refused = refusal({}, device="cpu", amp="off", batch=8)
    assert refused.reason.startswith("device 0 requested, device cpu would run. amp on requested, amp off would run")
    assert refused.reason.count("requested") == 3
    assert refused.scope == ()


def test_every_axis_that_may_change_is_known_to_what_decides() -> None:
    assert set(ULTRALYTICS.scope) == set(AXES)
    assert all(set(axes) <= {*Case.__struct_fields__, "format"} for axes in ULTRALYTICS.scope.values())


@pytest.mark.parametrize(
    ("kind", "index", "name"),
    [("cpu", None, "cpu"), ("mps", None, "mps"), ("mps", 0, "mps"), ("cuda", None, "3"), ("cuda", 1, "1")],
)
def test_devices_are_called_as_cases_call_them(kind: str, index: int | None, name: str) -> None:
    card = Cuda("3")  # the only one that is visible, so torch calls it 0
    assert device_name(SimpleNamespace(type=kind, index=index), card) == name


# What the recipe fixes, and what follows from it ------------------------------------------------------------------


def all_as_asked(**asked: Any) -> dict[str, Any]:
    """A case's settings when everything ran as asked."""
    case = {**ASKED, **asked}
    return {**case, **expected(ULTRALYTICS, case, overrides_for("train"))}


@pytest.mark.parametrize("amp", ["off", "on", "bf16"])
def test_all_that_is_expected_may_run(amp: str) -> None:
    compare(ULTRALYTICS, {**ASKED, "amp": amp}, overrides_for("train"), all_as_asked(amp=amp))


CHANGED = [
    ("optimizer", "AdamW", "optimizer SGD requested, optimizer AdamW would run."),
    ("mosaic", 0.0, "mosaic 1.0 requested, mosaic 0.0 would run."),
    ("deterministic", False, "deterministic True requested, deterministic False would run."),
    ("accumulate", 1, "accumulate 4 requested, accumulate 1 would run."),
    ("rect", True, "rect False requested, rect True would run."),
    ("shuffle", False, "shuffle True requested, shuffle False would run."),
    ("multi_scale", 0.5, "multi_scale False requested, multi_scale 0.5 would run."),
    ("epochs", 12, "epochs 100000 requested, epochs 12 would run."),
    ("compiled", True, "compiled False requested, compiled True would run."),
    ("ema", False, "ema True requested, ema False would run."),
    ("loss_scaling", False, "loss_scaling True requested, loss_scaling False would run."),
    ("drop_last", True, "drop_last False requested, drop_last True would run."),
    ("plots", True, "plots False requested, plots True would run."),
    (
        "cache",
        "npy",
        "cache False requested, cache npy would run: "
        "Ultralytics reads .npy files next to images in place of the images; delete them.",
    ),
    (
        "integrations",
        ["mlflow", "wb"],
        "integrations none requested, integrations mlflow, wb would run: "
        "callbacks that talk to something run between the steps.",
    ),
    (
        "weights",
        "from yolov5su.pt",
        "weights random requested, weights from yolov5su.pt would run: Ultralytics renames what it is asked for.",
    ),
]


@pytest.mark.parametrize(("name", "runs", "reason"), CHANGED, ids=[name for name, _, _ in CHANGED])
def test_a_pinned_setting_that_is_another_ends_the_case(name: str, runs: Any, reason: str) -> None:
    with pytest.raises(CaseRejected) as caught:
        compare(ULTRALYTICS, ASKED, overrides_for("train"), {**all_as_asked(), name: runs})
    refused = caught.value
    assert (refused.status, refused.reason, refused.scope) == ("substituted", reason, ())


def test_an_axis_is_said_alone_since_other_settings_follow_it() -> None:
    with pytest.raises(CaseRejected) as caught:
        compare(ULTRALYTICS, ASKED, overrides_for("train"), {**all_as_asked(), "amp": "off", "loss_scaling": False})
    assert "loss_scaling" not in caught.value.reason


def test_what_this_ultralytics_does_not_know_is_not_compared() -> None:
    compare(ULTRALYTICS, ASKED, overrides_for("train"), {**all_as_asked(), "single_cls": None, "ema": None})


@pytest.mark.parametrize(("batch", "accumulate"), [(1, 64), (4, 16), (16, 4), (24, 3), (64, 1), (200, 1)])
def test_an_optimizer_step_comes_as_often_as_ultralytics_rounds_it(batch: int, accumulate: int) -> None:
    assert expected(ULTRALYTICS, {**ASKED, "batch": batch}, overrides_for("train"))["accumulate"] == accumulate


@pytest.mark.parametrize(
    ("model", "architecture", "weights"),
    [
        ("yolov8n", "of Ultralytics", "random"),
        ("mine/best.pt", "from weights", "from file"),
        ("mine.yaml", None, "random"),
    ],
)
def test_a_plain_name_means_the_model_that_ultralytics_brings(model: str, architecture: Any, weights: str) -> None:
    wanted = expected(ULTRALYTICS, {**ASKED, "model": model}, {})
    assert (wanted.get("architecture"), wanted["weights"]) == (architecture, weights)


# After the window -------------------------------------------------------------------------------------------------


def test_what_stayed_as_it_was_passes() -> None:
    check_unchanged({"batch": 16, "mosaic": 1.0}, {"batch": 16, "mosaic": 1.0})


def test_what_changed_on_the_way_spoils_the_window() -> None:
    with pytest.raises(CaseRejected) as caught:
        check_unchanged({"batch": 16, "warnings": []}, {"batch": 8, "warnings": ["CUDA out of memory with batch=16."]})
    assert caught.value.status == "invalid"
    assert caught.value.reason == (
        "Settings changed while they were measured: batch from 16 to 8, "
        "warnings from none to CUDA out of memory with batch=16."
    )


def test_the_workload_may_lower_accumulation_itself() -> None:
    check_unchanged({"accumulate": 16}, {"accumulate": 4}, ULTRALYTICS.may_change)
    with pytest.raises(CaseRejected):
        check_unchanged({"accumulate": 16}, {"accumulate": 4})


def test_what_was_or_is_unknown_is_not_compared_again() -> None:
    check_unchanged({"assigner_fallback": None}, {"assigner_fallback": True, "new": 1})
    check_unchanged({"assigner_fallback": False}, {"assigner_fallback": None})


# Settings of the process ------------------------------------------------------------------------------------------


def test_settings_of_the_process_fit_into_a_record() -> None:
    runs = effective_settings.torch_settings()
    assert json.loads(json.dumps(runs)) == runs
    assert set(runs) == set(effective_settings.torch_settings())


def test_a_warning_of_ultralytics_is_heard_and_kept_short() -> None:
    logger = logging.getLogger("ultralytics")
    before = list(logger.handlers)
    try:
        for handler in before:
            logger.removeHandler(handler)
        assert effective_settings.torch_settings(["ultralytics"])["warnings"] == []
        logger.warning("NMS time limit\n 2.050s exceeded %s", "x" * 500)
        logger.info("not a warning")
        for _ in range(9):
            logger.warning("again")
        first, *others = effective_settings.torch_settings(["ultralytics"])["warnings"]
        assert first.startswith("NMS time limit 2.050s exceeded x") and len(first) == 300
        assert others == ["again", "again"]
    finally:
        logger.handlers[:] = before


# Further axes -----------------------------------------------------------------------------------------------------


def further(axis: str, text: str, setting: str, value: Any) -> RequestedAxis:
    return RequestedAxis(axis, text, [axis], setting, value)


WORKERS = further("workers", "2", "workers", 2)
COMPILE = further("compile", "on", "compile_mode", "default")
RMSPROP = further("optimizer", "RMSProp", "optimizer", "RMSprop")


def test_a_further_axis_passes_where_it_runs() -> None:
    overrides = {**overrides_for("train"), "compile": True, "optimizer": "RMSProp", "workers": 2}
    runs = {
        **ASKED,
        **expected(ULTRALYTICS, ASKED, overrides),
        "workers": 2,
        "compile_mode": "default",
        "optimizer": "RMSprop",
    }
    compare(ULTRALYTICS, ASKED, overrides, runs, [WORKERS, COMPILE, RMSPROP])


@pytest.mark.parametrize(
    ("asked", "runs", "sentence"),
    [
        (WORKERS, 0, "workers 2 requested, workers 0 would run: on cpu and mps Ultralytics loads images in the"),
        (COMPILE, "off", "compile on requested, compile off would run: torch.compile needs a C++ compiler"),
        (RMSPROP, "SGD", "optimizer RMSProp requested, optimizer SGD would run."),
        (
            further("cache", "ram", "cache", "ram"),
            False,
            "cache ram requested, cache off would run: ",
        ),
        (
            further("deterministic", "off", "deterministic", False),
            True,
            "deterministic off requested, deterministic on",
        ),
    ],
)
def test_a_further_axis_that_something_else_runs_for_ends_the_case(
    asked: RequestedAxis, runs: Any, sentence: str
) -> None:
    with pytest.raises(CaseRejected) as caught:
        compare(ULTRALYTICS, ASKED, {}, {**ASKED, asked.setting: runs}, [asked])
    assert caught.value.status == "substituted"
    assert caught.value.reason.startswith(sentence)


@pytest.mark.parametrize("runs", [{}, {"workers": None}])
def test_a_further_axis_that_cannot_be_read_back_is_not_measured(runs: dict[str, Any]) -> None:
    with pytest.raises(CaseRejected) as caught:
        compare(ULTRALYTICS, ASKED, {}, {**ASKED, **runs}, [WORKERS])
    assert (caught.value.status, caught.value.scope) == ("unsupported", ("mode", "workers"))
    assert caught.value.reason == "workers 2 requested, and what runs cannot be read back."
