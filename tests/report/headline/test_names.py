from __future__ import annotations

import pytest

from bench.analysis.reference import reference_cases
from bench.analysis.table import frame
from bench.records.record import Record
from bench.report.headline import names
from tests.analysis.test_reference import at
from tests.builders import make_ceiling, make_environment, make_machine
from tests.report.conftest import timed

MAC = make_machine(cpu="Apple M3 Pro", gpus=["Apple M3 Pro GPU (27 GiB)"])


def test_the_sentence_names_case_interval_and_epoch(records: list[Record]) -> None:
    text = names.sentence(frame(records), records[0].machine, 118_287)
    assert text.startswith(
        "On AMD EPYC 7R13 Processor, yolov8n trains at 25.0 images/s (cpu, amp off, batch 16, 160 px;"
    )
    assert "95 % interval" in text and text.endswith("one COCO epoch at 160 px takes 1 h 19 min.")
    assert names.sentence(frame(records, 1000), records[0].machine, 1000).endswith(
        "1,000 images at 160 px take 40.0 s."
    )


def test_the_sentence_falls_back_on_prediction_and_on_nothing(records: list[Record]) -> None:
    machine = records[0].machine
    assert "yolov8n predicts at 90.0 images/s" in names.sentence(frame(records[2:]), machine, 1000)
    assert names.sentence(frame(records[2:6]), machine, 1000).startswith("Nothing was measured")
    assert names.heading(frame(records[2:6]), machine) == "AMD EPYC 7R13 Processor: nothing was measured"


@pytest.mark.parametrize(
    ("stop_reason", "ending"),
    [
        ("out of memory", "trains up to batch 24 within 4 GiB (--memory-limit)."),
        ("limit", "trains at batch 24 within 4 GiB (--memory-limit), and no larger one was tried."),
        (
            "predicted",
            "trains up to batch 24 within 4 GiB (--memory-limit); the next one is predicted to need clearly more.",
        ),
    ],
)
def test_the_sentence_of_a_ceiling_says_what_was_tried(records: list[Record], stop_reason: str, ending: str) -> None:
    ceiling = make_ceiling(24, stop_reason=stop_reason)
    assert names.sentence(frame(records[:0]), records[0].machine, 1000, [ceiling]).endswith(ending)
    assert names.heading(frame(records[:0]), records[0].machine, [ceiling]).endswith("trains up to batch 24")


def test_several_versions_are_named_with_the_figure() -> None:
    records = [timed(20.0, 4), timed(30.0, 4, environment=make_environment("2.15.0"))]
    assert "torch 2.15.0" in names.sentence(frame(records), records[0].machine, 1000)
    assert "torch" not in names.facts(frame(records), records[0].machine)
    assert names.facts(frame(records[:1]), records[0].machine).endswith("torch 2.14.1 · Ultralytics 8.4.100")


def test_equal_cards_are_counted() -> None:
    machine = make_machine(gpus=["NVIDIA GeForce RTX 4090 (24 GiB)"] * 4)
    assert names.facts(frame([at(30)]), machine).startswith("4 × NVIDIA GeForce RTX 4090 (24 GiB) · AMD EPYC")


def test_the_threads_stand_beside_the_cores() -> None:
    used = [at(30, effective={"threads": 1}), at(40, batch=4, effective={"threads": 4})]
    assert ", 8 cores, 1 CPU thread used · " in names.facts(frame(used[:1]), used[0].machine)
    assert ", 8 cores, 1 and 4 CPU threads used · " in names.facts(frame(used), used[0].machine)
    assert ", 8 cores · " in names.facts(frame([at(30, effective={})]), used[0].machine)


def test_the_heading_names_the_device_that_computed() -> None:
    gpu = frame([at(90, imgsz=160), at(8), at(40, device="mps")])
    assert names.heading(gpu, MAC) == "Apple M3 Pro GPU: yolov8n trains at 40.0 images/s (640 px)"
    assert names.title(gpu, MAC) == "yolov8n on Apple M3 Pro GPU: 40.0 images/s · yolopace"
    assert names.heading(frame([at(8)]), MAC).startswith("Apple M3 Pro: ")


def test_the_largest_batch_is_that_of_the_reference_not_of_the_smallest_size() -> None:
    [reference] = reference_cases(frame([at(30)])).values()
    small, own = make_ceiling(211, imgsz=160), make_ceiling(12, imgsz=640)
    other = make_ceiling(20, imgsz=640, model="yolo11n")
    assert names.widest([small, own, other], reference) is own
    assert names.widest([small, other], reference) is other
    assert names.widest([small], reference) is None
    assert names.widest([small, own]) is own
