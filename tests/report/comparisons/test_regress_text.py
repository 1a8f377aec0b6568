from __future__ import annotations

import pytest

from bench.compare.findings import evaluate
from bench.compare.verdict import Estimate
from bench.records.comparison import Comparison, SideOutcome
from bench.records.outcome import Outcome, Status
from bench.report.comparisons.changes import format_advice, format_takes
from bench.report.comparisons.regress import method
from bench.report.comparisons.regress.context import context
from bench.report.comparisons.rendering import render_text
from tests.builders import make_compared, make_comparison, make_pairs, make_side
from tests.report.comparisons.comparisons import PACKAGES, eventful, hostile

FULL = SideOutcome(outcome=Outcome(Status.OUT_OF_MEMORY, "Tried to allocate 9 GiB."))


def text_of(comparison: Comparison, packages: str = PACKAGES) -> str:
    return render_text("regress", context(evaluate(comparison), packages))


def lines(*cases: object, **changes: object) -> list[str]:
    return text_of(make_comparison(cases, **changes)).splitlines()


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        (Estimate(0.0478, 0.0076, 8), "takes 4.9 % longer (4.1 to 5.7 %)"),
        (Estimate(-0.0325, 0.0071, 8), "takes 3.2 % less time (2.5 to 3.9 %)"),
        (Estimate(0.02, 0.03, 12), "takes 2.0 % longer (−1.0 to +5.1 %)"),
        (Estimate(-0.02, 0.03, 12), "takes 2.0 % less time (−4.9 to +1.0 %)"),
        (Estimate(0.0001, 0.002, 4), "takes as long (−0.2 to +0.2 %)"),
        (Estimate(0.05, float("inf"), 1), "takes 5.1 % longer (one pair gives no interval)"),
        (Estimate(2.5, 5.0, 2), "takes over 1,000 % longer (−91.8 to +over 1,000 %)"),
    ],
)
def test_a_change_in_words(estimate: Estimate, text: str) -> None:
    assert format_takes(estimate) == text


def conclusion(*cases: object, **changes: object) -> list[str]:
    """The lines of the conclusion, which come first; the very first one has the verdict."""
    text = lines(*cases, **changes)
    return text[1 : text.index("")]


def test_a_case_has_its_verdict_first() -> None:
    text = text_of(eventful()).splitlines()
    start = text.index("train-yolov8n-cpu-fp32-b4-i160")
    assert text[start + 1] == "    SLOWER  head takes 5.0 % longer (4.8 to 5.1 %), 4 of 12 pairs count, 2 min 24 s"
    start = text.index("train-yolov8n-cpu-fp32-b128-i160")
    assert text[start + 1] == "    CANNOT RUN  base alone can run it"


def test_the_verdict_comes_first_then_the_conclusion_and_its_basis() -> None:
    text = text_of(eventful())
    order = [
        "SLOWER  torch==2.14.1 → torch==2.15.0\n",
        "Head is slower in train-yolov8n-cpu-fp32-b4-i160: it takes 5.0 % longer (4.8 to 5.1 %).",
        "\nHead cannot run train-yolov8n-cpu-fp32-b128-i160 (out of memory).",
        "\nInconclusive: train-yolov8n-cpu-fp32-b64-i160 and predict-yolov8n-cpu-fp32-b16-i160.",
        "\nThe effective settings differ: optimizer SGD → MuSGD and mosaic 1 → 0.",
        "    SLOWER  head",
        "Settings that differ\n  optimizer SGD → MuSGD",
        PACKAGES,
        "3.0 % (calibrated 2026-11-20); peak memory 5.0 %",
    ]
    places = [text.index(part) for part in order]
    assert places == sorted(places)


def test_the_parts_of_a_step_stand_beneath_a_case_that_became_slower_and_no_other() -> None:
    text = text_of(eventful()).splitlines()
    start = next(number for number, line in enumerate(text) if line.startswith("train-yolov8n-cpu-fp32-b4-"))
    beneath = []
    for line in text[start + 1 :]:
        if not line.startswith(" "):
            break
        beneath.append(line.split())
    assert [row[0] for row in beneath] == [
        "SLOWER",
        "of",
        "base:",
        "head:",
        "backward",
        "forward",
        "optimizer",
        "rest",
        "data",
        "preprocess",
    ]
    assert beneath[4][1:8] == ["100.00", "ms", "→", "104.98", "ms", "+4.98", "ms"]
    plain = lines(make_compared([0.001, -0.001, 0.002, -0.002]))
    assert not any("forward" in line for line in plain)


def test_memory_is_reported_where_it_differs() -> None:
    text = text_of(eventful())
    assert text.count("    peak memory: ") == 1
    assert "    peak memory: more: 640 MiB → 720 MiB, +12.5 % (alike in all pairs)" in text
    assert "It needs more memory: +12.5 % in train-yolov8n-cpu-fp32-b64-i160." in text


def test_what_is_open_says_what_would_close_it() -> None:
    logs = [0.03, -0.01, 0.05, -0.02, 0.04, 0.0, 0.03, -0.01, 0.05, 0.02, -0.02, 0.04]
    verdict, *_ = lines(make_compared(logs))
    [text] = conclusion(make_compared(logs))
    assert verdict.startswith("INCONCLUSIVE  ")
    assert text.startswith("Inconclusive: head takes 1.7 % longer (")
    assert text.endswith(
        "A verdict at a margin of 3.0 % would take about 32 pairs, and 12 are the most: use a quieter machine."
    )


MORE = "About {} or a quieter machine would decide it at a margin of 3.0 %."
TOO_MANY = "A verdict at a margin of 3.0 % would take about 29 pairs, and 12 are the most: use a quieter machine."
HOPELESS = "More pairs are unlikely to decide it at a margin of 3.0 %; a quieter machine may."


@pytest.mark.parametrize(
    ("estimate", "advice"),
    [
        (Estimate(0.001, 0.04, 4), MORE.format("4 more pairs")),
        (Estimate(0.0, 0.032, 4), MORE.format("4 more pairs")),
        (Estimate(0.01, 0.03, 12), TOO_MANY),
        (Estimate(0.0295, 0.03, 12), HOPELESS),
        (Estimate(0.0, 0.032, 8), MORE.format("4 more pairs")),
        (Estimate(0.1, 0.001, 3), "A verdict takes at least 4 pairs."),
        (Estimate(0.01, float("inf"), 1), "A verdict takes at least 4 pairs."),
    ],
)
def test_the_advice_never_moves_the_margin(estimate: Estimate, advice: str) -> None:
    assert format_advice(estimate, 0.03) == advice


def test_no_pair_at_all() -> None:
    text = lines(make_compared())
    assert text[0] == "NOTHING MEASURED  torch==2.14.1 → torch==2.15.0"
    assert any(line.endswith("no pair was measured") for line in text)
    assert text[1] == lines()[1] == "No pair was measured: the speed is unknown."


def test_one_pair() -> None:
    text = lines(make_compared([0.05]))
    assert any("head takes 5.1 % longer (one pair gives no interval)" in line for line in text)
    assert "inf" not in "\n".join(text) and "nan" not in "\n".join(text)


def test_one_sided_only() -> None:
    text = lines(make_compared(base=SideOutcome(), head=FULL))
    assert text[:3] == [
        "CANNOT RUN  torch==2.14.1 → torch==2.15.0",
        "No pair was measured: the speed is unknown.",
        "Head cannot run train-yolov8n-cpu-fp32-b16-i160 (out of memory).",
    ]
    assert "    head: out of memory: Tried to allocate 9 GiB." in text and "    base: runs" in text


def test_a_thing_against_itself() -> None:
    calm = [0.001, -0.001, 0.002, -0.002]
    text = lines(make_compared(calm), head=make_side())
    assert text[:2] == [
        "SAME  torch==2.14.1 against itself",
        "Both sides are the same (A/A test). No difference of 3.0 % or more was found.",
    ]
    text = lines(make_compared([0.1, 0.11, 0.1, 0.11], [0.1, 0.11] * 4), head=make_side())
    assert text[0].startswith("FALSE ALARM  ")
    assert "Both sides are the same (A/A test). The difference is a false alarm." in text[1]


def test_several_slower_cases_are_a_range() -> None:
    cases = [
        make_compared([m, m + 0.002] * 2, [m, m + 0.002] * 4, batch=b) for b, m in ((4, 0.05), (8, 0.1), (16, 0.07))
    ]
    text = lines(*cases)
    assert text[1].startswith("Head is slower in 3 of 3 cases: it takes 5.2 to 10.6 % longer.")
    assert text[text.index("All cases together") + 1].startswith("    SLOWER  head takes 7.7 % longer (")


def test_what_was_recorded_cannot_steer_the_terminal() -> None:
    text = text_of(hostile(), "torch \x1b[2J\x07")
    assert "\x1b" not in text and "\x07" not in text
    assert all(line.isprintable() for line in text.splitlines())


def test_order_effect_and_retries_are_reported() -> None:
    text = text_of(eventful())
    assert "head was started first in 14 of 41 pairs" in text
    assert "started again, 2 times in all. Interference to the end, and counted all the same: 1 of 41 pairs." in text


@pytest.mark.parametrize(
    ("how", "turn", "figure"),
    [
        ({}, "runs some steps while", method.RATIO_OF_MEANS),
        ({"block_steps": 1}, "runs some steps while", method.PAIRED_STEPS),
        (
            {"block_steps": 1, "interleaved_within_steps": True},
            "runs a few layers of the model while",
            method.PAIRED_STEPS,
        ),
    ],
)
def test_the_interleaving_is_reported(how: dict[str, object], turn: str, figure: str) -> None:
    pairs = make_pairs([0.001, -0.001] * 2, **how)
    text = method.method(evaluate(make_comparison([make_compared(pairs=pairs)])))[0]
    assert turn in text and figure in text
