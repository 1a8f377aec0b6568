from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from bench.cases.case import Case
from bench.worker.devices.cuda import Cuda
from bench.worker.effective import AXES, DECIDED_BY, compare, device_name
from bench.worker.refusal import Refused

ASKED = {"mode": "train", "model": "yolov8n", "device": "0", "amp": "on", "batch": 16, "imgsz": 640}


def refusal(asked: dict[str, Any], **runs: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        compare({**ASKED, **asked}, {**ASKED, **asked, **runs})
    assert caught.value.status == "substituted"
    return caught.value


def test_what_was_asked_passes() -> None:
    compare(ASKED, {"device": "0", "amp": "on", "batch": 16, "imgsz": 640, "threads": 7})


@pytest.mark.parametrize("amp", ["off", "on", "bf16"])
def test_every_precision_passes_where_it_runs(amp: str) -> None:
    compare({**ASKED, "amp": amp}, {**ASKED, "amp": amp})


def test_what_is_no_axis_may_be_what_it_likes() -> None:
    compare(ASKED, {**ASKED, "mode": "other", "model": "other", "optimizer": "Adam"})


SUBSTITUTED = [
    ({}, {"device": "cpu"}, "device 0 was asked, device cpu would run.", ("device",)),
    (
        {"device": "cpu"},
        {"amp": "off"},
        "amp on was asked, amp off would run: Ultralytics offers no mixed precision here.",
        ("mode", "device", "amp"),
    ),
    (
        {"amp": "bf16"},
        {"amp": "on"},
        "amp bf16 was asked, amp on would run: Ultralytics offers no bfloat16 here.",
        ("mode", "device", "amp"),
    ),
    ({"amp": "off"}, {"amp": "on"}, "amp off was asked, amp on would run.", ("mode", "device", "amp")),
    (
        {"imgsz": 70},
        {"imgsz": 96},
        "imgsz 70 was asked, imgsz 96 would run: sizes are rounded up to a multiple of the model's stride.",
        ("mode", "model", "imgsz"),
    ),
    (
        {},
        {"imgsz": "384x640"},
        "imgsz 640 was asked, imgsz 384x640 would run: sizes are rounded up to a multiple of the model's stride.",
        ("mode", "model", "imgsz"),
    ),
    (
        {},
        {"batch": 8},
        "batch 16 was asked, batch 8 would run: the data set has fewer images than one batch.",
        (),
    ),
]


@pytest.mark.parametrize(("asked", "runs", "reason", "axes"), SUBSTITUTED)
def test_a_substitution_says_what_would_run_and_what_decides_it(
    asked: dict[str, Any], runs: dict[str, Any], reason: str, axes: tuple[str, ...]
) -> None:
    refused = refusal(asked, **runs)
    assert (refused.reason, refused.axes) == (reason, axes)


def test_several_at_once_are_all_said_and_settle_no_other_case() -> None:
    refused = refusal({}, device="cpu", amp="off", batch=8)
    assert refused.reason.startswith("device 0 was asked, device cpu would run. amp on was asked, amp off would run")
    assert refused.reason.count("was asked") == 3
    assert refused.axes == ()


def test_every_axis_that_may_change_is_known_to_what_decides() -> None:
    assert set(DECIDED_BY) == set(AXES)
    assert all(set(axes) <= set(Case.__struct_fields__) for axes in DECIDED_BY.values())


@pytest.mark.parametrize(
    ("kind", "index", "name"),
    [("cpu", None, "cpu"), ("mps", None, "mps"), ("mps", 0, "mps"), ("cuda", None, "3"), ("cuda", 1, "1")],
)
def test_devices_are_called_as_cases_call_them(kind: str, index: int | None, name: str) -> None:
    card = Cuda("3")  # the only one that is visible, so torch calls it 0
    assert device_name(SimpleNamespace(type=kind, index=index), card) == name
