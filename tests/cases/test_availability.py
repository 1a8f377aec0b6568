from __future__ import annotations

import pytest

from bench.cases.availability import divide, unavailable_lines, why_unavailable
from bench.cases.plan import expand_grid, profile
from tests.builders import make_case

OFF = "Ultralytics turns it off"
NO_BF16 = "Ultralytics predicts in float32 or float16 only"


@pytest.mark.parametrize(
    ("mode", "device", "amp", "why"),
    [
        ("train", "cpu", "on", OFF),
        ("train", "mps", "on", OFF),
        ("predict", "cpu", "on", OFF),
        ("predict", "mps", "on", ""),  # Ultralytics predicts in float16 there
        ("train", "0", "on", ""),
        ("train", "0+1", "on", ""),
        ("train", "cpu", "bf16", ""),  # torch has bfloat16 autocast there
        ("predict", "0", "bf16", NO_BF16),
        ("train", "cpu", "off", ""),
        ("train", "xpu:1", "on", ""),
    ],
)
def test_what_ultralytics_is_expected_not_to_offer(mode: str, device: str, amp: str, why: str) -> None:
    assert why_unavailable(make_case(mode=mode, device=device, amp=amp)) == why


@pytest.mark.parametrize(
    ("devices", "cases", "questions"), [(["cpu"], 12, 2), (["mps", "cpu"], 38, 1), (["0", "cpu"], 50, 0)]
)
def test_quick_plans_what_can_run_and_one_question_for_the_rest(devices: list[str], cases: int, questions: int) -> None:
    possible, asked = divide(expand_grid(profile("quick"), devices, {}))
    assert (len(possible), len(asked)) == (cases, questions)
    assert not any(why_unavailable(plan.case) for plan in possible)
    assert all(why_unavailable(plan.case) for plan in asked)


def test_a_question_for_each_precision_mode_and_device() -> None:
    _, asked = divide(expand_grid(profile("full"), ["mps", "0"], {}))
    assert {(plan.case.mode, plan.case.device, plan.case.amp) for plan in asked} == {
        ("train", "mps", "on"),
        ("predict", "mps", "bf16"),
        ("predict", "0", "bf16"),
    }
    assert len(asked) == 3


def test_one_line_per_precision_and_reason() -> None:
    unavailable = [
        (make_case(mode=mode, device=device, amp="on"), OFF)
        for device in ("cpu", "mps")
        for mode in ("train", "predict")
    ]
    assert unavailable_lines(unavailable) == [f"AMP: not available on cpu and mps ({OFF})"]
    assert unavailable_lines(unavailable[:3]) == [
        f"AMP: not available on cpu ({OFF})",
        f"AMP: not available for training on mps ({OFF})",
    ]
    assert unavailable_lines([(make_case(device="0", amp="bf16"), "No.")], ["train"]) == [
        "AMP in bfloat16: not available on cuda:0 (No.)"
    ]
    assert unavailable_lines([]) == []
