"""A line per case: what is in it, in columns of 80 and on narrow terminals."""

from __future__ import annotations

import pytest

from bench.analysis.table import row
from bench.pytest_plugin.case_lines import (
    CaseLines,
    epoch_text,
    memory_text,
    number_text,
    process_note,
    shown_axes,
    why_flagged,
    why_noisy,
)
from bench.records.record import Memory
from tests.builders import make_case, make_record, make_steps

COCO = 118_287


def text(pieces) -> str:
    return "".join(piece for piece, _ in pieces)


def made(**changes):
    steps = make_steps([0.5, 0.51, 0.49, 0.5] * 4)
    return make_record(steps=steps, memory={"process": Memory(1288490189, "peak")}, **changes)


def lines_of(*records, total=16, epoch_images=0):
    return CaseLines([record.case for record in records], total, epoch_images)


def format_line(lines, record, width=80, notes=(), **cells):
    return text(lines.measured("3/16", record.case, {**row([record], COCO), **cells}, notes, width))


def test_a_case_in_columns() -> None:
    first, other = made(), made(mode="predict", batch=4)
    lines = lines_of(first, other)
    header = lines.header(80)
    assert header.split() == ["mode", "model", "batch", "images/s", "COCO", "epoch", "memory"]
    line = format_line(lines, first)
    assert line.split()[:5] == ["3/16", "train", "yolov8n", "16", "32.0"]
    assert " ± " in line and line.endswith("62 min  1.2 GiB")
    assert line.index("32.0") - 1 == header.index("images/s")
    assert "min" not in format_line(lines, other), "prediction has no epochs"


def test_an_epoch_of_other_images_is_not_called_coco() -> None:
    assert "COCO" not in lines_of(made(), epoch_images=500).header(80)


def test_only_axes_that_vary_have_columns() -> None:
    cases = [make_case(imgsz=size, device=device) for size, device in [(320, "cpu"), (640, "0")]]
    assert shown_axes(cases) == ["mode", "model", "device", "imgsz"]
    assert shown_axes(cases[:1]) == ["mode", "model"]
    assert CaseLines(cases, 2, 0).name(cases[1]) == "train yolov8n cuda:0 640 px"


def test_the_columns_of_the_default_profile_of_a_gpu_fit_into_80() -> None:
    records = [
        made(mode=mode, device=device, amp=amp, imgsz=size, batch=batch, model="yolo11n")
        for mode in ("train", "predict")
        for device in ("cpu", "0")
        for amp in ("off", "on")
        for size in (640, 320)
        for batch in (16, 4)
    ]
    lines = lines_of(*records, total=50)
    assert lines.header(80), "it is in columns"
    flags = "interfered (others used 1.55 of the machine's 2 processors)"
    rates = {"images_per_second": 99_999.0, "images_per_second_low": 99_700.0, "images_per_second_high": 100_300.0}
    cells = {"flags": flags, **rates, "seconds_per_epoch": 30_000, "peak_memory_bytes": 13 * 2**30}
    shown_lines = [format_line(lines, record, **cells) for record in records]
    assert max(map(len, shown_lines)) <= 80 and not any("\n" in line for line in shown_lines)
    assert "99,999 ± 0.3 %" in shown_lines[0]


@pytest.mark.parametrize(("rate", "half"), [(9.87, 0.4), (68.8, 90.0), (1234.0, 3.7), (99_999.0, 300.0)])
def test_the_columns_stay_in_place_whatever_the_rate(rate: float, half: float) -> None:
    record = made()
    lines = lines_of(record, made(mode="predict", batch=4))
    rates = {"images_per_second": rate, "images_per_second_low": rate - half, "images_per_second_high": rate + half}
    line = format_line(lines, record, **rates, seconds_per_epoch=400_000)
    header = lines.header(80)
    assert line.endswith("  111 h  1.2 GiB")
    assert line.index("111 h") + len("111 h") == header.index("COCO epoch") + len("COCO epoch")
    assert line.index("±") == header.index("images/s") + 6


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(40, "40 s"), (3720, "62 min"), (30_000, "8.3 h"), (35_900, "10 h"), (400_000, "111 h"), (4e6, "1,111 h")],
)
def test_the_time_of_an_epoch_is_short(seconds: float, expected: str) -> None:
    assert epoch_text(seconds) == expected


def test_a_case_that_differs_on_an_axis_without_a_column_says_so() -> None:
    record, question = made(), made(amp="on")
    lines = lines_of(record, made(batch=4))
    assert lines.name(record.case) == "train yolov8n batch 16"
    assert lines.name(question.case) == "train yolov8n batch 16 amp on"
    assert format_line(lines, question, notes=["process 2 of 3"]).endswith(" amp on, process 2 of 3")
    assert text(lines.without_figure("3/16", question.case, "substituted", 80)).endswith("  amp on, substituted")
    assert "amp" not in format_line(lines, record)


def test_a_narrow_terminal_has_the_figures_on_a_line_of_their_own() -> None:
    record = made()
    lines = lines_of(record, made(batch=4))
    assert lines.header(40) == ""
    flags = "interfered (others used 1.55 of the machine's 2 processors)"
    first, *rest = format_line(lines, record, width=40, flags=flags).split("\n")
    assert first == "3/16  train yolov8n batch 16"
    assert rest[0].startswith("      32.0 images/s ± ") and rest[-1].endswith("noisy")
    assert max(map(len, [first, *rest])) <= 40


def test_several_workloads_have_their_own_units_and_names() -> None:
    lstm = made(model="lstm256", batch=128, imgsz=28)
    resnet = made(model="ultralytics:resnet18", imgsz=224)
    lines = lines_of(lstm, resnet, made(model="bert-tiny", imgsz=128))
    header = lines.header(100)
    assert "items/s" in header and "COCO" not in header
    assert " size " in header and " px " not in header
    assert " steps " in lines_of(lstm, made(model="lstm256", imgsz=14)).header(80)
    narrow = format_line(lines, lstm, width=40)
    assert "28 steps" in narrow and "sequences/s" in narrow
    assert "ultralytics:resnet18" in format_line(lines, resnet, width=40)
    assert "sequences/s" in format_line(lines, made(model="bert-tiny", imgsz=128), width=40)


def test_flags_that_need_action_are_named_and_explained_once() -> None:
    record = made()
    lines = lines_of(record)
    reasons = "a thread waited 56.3 % of the time for a processor, others used 1.55 of the machine's 2 processors"
    flags = f"interfered ({reasons})"
    cells = {"flags": f"{flags}; modelled"}
    assert format_line(lines, record, **cells).endswith("  noisy")
    assert lines.explanation(cells) == "noisy: other processes used 1.6 of 2 cores"
    assert lines.explanation(cells) == ""
    assert lines.explanation({"flags": "modelled"}) == ""


def test_a_reason_for_noise_that_is_not_other_processes() -> None:
    assert (
        why_flagged("interfered in 2 of 3 processes (the machine ran on its battery)")
        == "the machine ran on its battery"
    )
    assert why_noisy([]) == ""
    loads = [f"others used {used} of the machine's 2 processors" for used in ("0.91", "1.20", "1.00")]
    assert why_noisy(["a thread waited", *loads]) == "other processes used 1.2 of 2 cores"


@pytest.mark.parametrize(
    ("status", "style"), [("failed", "red"), ("out_of_memory", "yellow"), ("substituted", "yellow")]
)
def test_a_case_without_a_figure_says_how_it_ended(status: str, style: str) -> None:
    record = make_record(status=status, reason="Because.")
    pieces = lines_of(record).without_figure("3/16", record.case, status, 80)
    assert text(pieces).endswith(status.replace("_", " "))
    assert pieces[-1][1] == style


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (800 * 2**20, "800 MiB"),
        (1010 * 2**20, "1.0 GiB"),
        (13 * 2**30, "13 GiB"),
        (139 * 2**30, "139 GiB"),
        (None, ""),
    ],
)
def test_memory_is_short(size: int | None, expected: str) -> None:
    assert memory_text(size) == expected


def test_numbers_of_processes() -> None:
    assert [number_text(7, 18), number_text(20, 18)] == ["7/18", "+2"]
    notes = [process_note(make_record(process=number), 3) for number in (1, 2, 4)]
    assert notes == ["", "process 2 of 3", "process 4"]


def test_notes_follow_the_figures() -> None:
    record = made(process=2)
    assert format_line(lines_of(record), record, notes=["process 2 of 3"]).endswith("1.2 GiB  process 2 of 3")
