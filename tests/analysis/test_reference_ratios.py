from __future__ import annotations

from bench.analysis import mixed_precision
from bench.analysis.reference import reference_case
from bench.analysis.reference_ratios import Ratio, batch_ratio, reference_ratios
from bench.analysis.table import frame
from bench.records.record import Record
from tests.analysis.test_reference import QUIET, at


def ratios(*records: Record) -> dict[str, Ratio]:
    table = frame(records)
    reference = reference_case(table)
    assert reference is not None
    return {ratio.question: ratio for ratio in reference_ratios(table, reference)}


def batches(*records: Record) -> Ratio | None:
    table = frame(records)
    reference = reference_case(table)
    assert reference is not None
    return batch_ratio(table, reference)


def test_a_gpu_is_compared_with_the_cpu_on_the_case_that_both_measured() -> None:
    """The reference is yolo11n with AMP; the CPU has yolov8n without it."""
    answers = ratios(
        at(8),
        at(80, device="mps"),
        at(100, device="mps", model="yolo11n"),
        at(400, device="mps", imgsz=320),
        at(90, imgsz=320),
    )
    assert list(answers) == ["device"]
    ratio = answers["device"]
    assert round(ratio.point, 6) == 10 and ratio.row["model"] == "yolov8n" and ratio.baseline == {"device": "cpu"}
    assert ratio.is_clear and not ratio.interfered


def test_amp_is_compared_on_the_reference_where_it_is_slower_too() -> None:
    answers = ratios(
        at(100, device="0"), at(80, device="0", amp="on"), at(150, device="0", amp="on", batch=4, imgsz=320)
    )
    assert list(answers) == ["amp"]
    assert round(answers["amp"].point, 6) == 0.8 and answers["amp"].row["batch"] == 16


def test_a_forced_precision_is_no_answer_and_no_reference() -> None:
    assert ratios(at(100), at(300, amp="forced-bf16")) == {}
    table = frame([at(100), at(300, amp="forced-bf16")])
    reference = reference_case(table)
    assert reference is not None and reference.row["amp"] == "off"
    assert mixed_precision.precision(table).empty
    alone = reference_case(frame([at(300, amp="forced-bf16")]))
    assert alone is not None and alone.row["amp"] == "forced-bf16" and alone.row["flags"] == "forced"


def test_several_devices_are_compared_with_one_and_with_the_cpu() -> None:
    answers = ratios(at(10), at(100, device="0"), at(180, device="0+1"))
    assert {question: round(ratio.point, 6) for question, ratio in answers.items()} == {"device": 18, "devices": 1.8}


def test_two_processes_on_the_cpu_are_no_other_device() -> None:
    assert list(ratios(at(10), at(16, device="cpu+cpu"))) == ["devices"]


def test_without_a_shared_size_there_is_no_ratio() -> None:
    assert ratios(at(80, device="mps"), at(10, imgsz=160)) == {}


def test_interference_with_either_case_is_reported() -> None:
    assert ratios(at(8, busy=True), at(80, device="mps"))["device"].interfered


def test_a_ratio_without_an_interval_is_not_clear() -> None:
    ratio = ratios(at(8, (1.0, 1.0)), at(80, QUIET, device="mps"))["device"]
    assert (ratio.low, ratio.high, ratio.is_clear) == (None, None, False)


def test_the_batch_is_compared_with_the_one_that_differs_most() -> None:
    ratio = batches(at(30), at(28, batch=8), at(20, batch=2), at(90, batch=64, model="yolo11n", imgsz=320))
    assert ratio is not None and round(ratio.point, 6) == 1.5 and ratio.baseline == {"batch": 2}


def test_a_single_batch_has_no_ratio() -> None:
    assert batches(at(30), at(20, batch=4, model="yolo11n")) is None
