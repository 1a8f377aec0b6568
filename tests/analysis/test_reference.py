from __future__ import annotations

from typing import Any

import pytest

from bench.analysis.reference import Doubt, ReferenceCase, interval_share, reference_case, reference_cases
from bench.analysis.table import frame
from bench.records.record import Record, Window
from tests.builders import make_record, make_steps

QUIET = (1.0, 1.01, 0.99, 1.01, 0.99, 1.0, 1.01, 0.99)
LOUD = (1.0, 1.8, 0.5, 1.7, 0.6, 1.5, 0.7, 1.2)


def at(rate: float, noise: tuple[float, ...] = QUIET, *, batch: int = 16, busy: bool = False, **changes: Any) -> Record:
    """A case of about so many images per second; other processes interfere with a busy one."""
    if busy:
        changes["window"] = Window(
            wall_seconds=1.0,
            cpu_seconds=1.0,
            involuntary_switches=0,
            processors=2,
            interference=["others used 1.5 of the machine's 2 processors"],
        )
    steps = make_steps([batch / rate * factor for factor in noise], images=batch)
    return make_record(batch=batch, steps=steps, **({"imgsz": 640} | changes))


def chosen(*records: Record, mode: str = "train") -> ReferenceCase:
    reference = reference_case(frame(records), mode)
    assert reference is not None
    return reference


def test_the_default_size_wins_over_faster_and_larger_ones() -> None:
    assert chosen(at(90, imgsz=320), at(30), at(10, imgsz=1280)).row["imgsz"] == 640


def test_the_largest_size_where_the_default_was_not_measured() -> None:
    missing = make_record(imgsz=640, status="out_of_memory", reason="No room.")
    assert chosen(at(90, imgsz=160), at(30, imgsz=320), missing).row["imgsz"] == 320


def test_a_mac_is_shown_by_its_gpu_although_its_cpu_is_faster_at_a_smaller_size() -> None:
    row = chosen(at(94, imgsz=160), at(8), at(40, device="mps"), at(70, device="mps", imgsz=320)).row
    assert (row["device"], row["imgsz"]) == ("mps", 640)


@pytest.mark.parametrize(("several", "chosen_device"), [("cpu+cpu", "cpu"), ("2xcpu", "cpu"), ("0+1", "0+1")])
def test_several_processes_on_the_cpu_are_no_device_that_ultralytics_offers(several: str, chosen_device: str) -> None:
    alone = at(30, device="0" if several == "0+1" else "cpu")
    assert chosen(alone, at(50, device=several)).row["device"] == chosen_device
    assert chosen(at(50, device=several)).row["device"] == several, "nothing else was measured"


def test_the_fastest_case_of_that_size_and_device() -> None:
    reference = chosen(at(30), at(35, model="yolo11n"), at(20, batch=4))
    assert (reference.row["model"], reference.row["batch"], reference.doubts) == ("yolo11n", 16, ())


@pytest.mark.parametrize("doubtful", [at(50, busy=True, model="yolo11n"), at(50, LOUD, model="yolo11n")])
def test_a_noisy_case_is_not_the_reference_where_a_quiet_one_was_measured(doubtful: Record) -> None:
    assert chosen(at(30), doubtful).row["model"] == "yolov8n"


def test_the_device_is_the_best_one_even_if_all_its_cases_are_noisy() -> None:
    reference = chosen(at(8), at(40, device="mps", busy=True))
    assert (reference.row["device"], reference.doubts) == ("mps", (Doubt.INTERFERED,))


def test_the_fastest_of_all_says_why_it_is_doubtful() -> None:
    reference = chosen(at(30, LOUD), at(35, LOUD, model="yolo11n", busy=True))
    assert reference.row["model"] == "yolo11n"
    assert reference.doubts == (Doubt.INTERFERED, Doubt.WIDE)
    assert (interval_share(reference.row) or 0) > 0.1


def both(*prediction: Record) -> list[str]:
    cases = reference_cases(frame([at(30), at(25, model="yolo11n"), *prediction]))
    assert list(cases) == ["train", "predict"]
    return [case.row["model"] for case in cases.values()]


def test_both_modes_show_the_same_model_where_it_qualifies() -> None:
    quiet, other = at(90, mode="predict"), at(95, mode="predict", model="yolo26n")
    assert both(quiet, other) == ["yolov8n", "yolov8n"]
    assert both(at(90, LOUD, mode="predict"), other) == ["yolov8n", "yolo26n"]
    assert both(at(90, LOUD, mode="predict"), at(95, LOUD, mode="predict", model="yolo26n")) == ["yolov8n", "yolov8n"]
    assert both(other) == ["yolov8n", "yolo26n"]
    assert list(reference_cases(frame([other]))) == ["predict"] and reference_cases(frame([])) == {}


def test_too_few_steps_are_a_doubt() -> None:
    reference = chosen(at(30, (1.0, 1.0)))
    assert reference.doubts == (Doubt.NO_INTERVAL,)
    assert interval_share(reference.row) is None


def test_other_workloads_do_not_count_beside_that_of_ultralytics() -> None:
    other = at(900, extra={"workload": {"name": "torch_reference"}}, model="resnet18")
    assert chosen(other, at(30)).row["model"] == "yolov8n"
    assert chosen(other).row["model"] == "resnet18"


def test_an_exported_model_does_not_count_beside_the_original() -> None:
    exported = at(200, mode="predict", further=(("format", "onnx"),))
    assert chosen(exported, at(90, mode="predict"), mode="predict").row["images_per_second"] == pytest.approx(90)
    assert chosen(exported, mode="predict").row["format"] == "onnx"


def test_each_mode_has_its_own() -> None:
    records = at(30), at(90, mode="predict", imgsz=320)
    assert chosen(*records, mode="predict").row["imgsz"] == 320


def test_nothing_measured_has_no_reference_case() -> None:
    assert reference_case(frame([])) is None
    assert reference_case(frame([make_record(status="failed")])) is None
    assert reference_case(frame([at(30)]), "predict") is None
