"""The last lines of a run."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from bench.pytest_plugin import result_block
from bench.pytest_plugin.result_block import MOST_LINES, Result, next_commands, summary
from bench.pytest_plugin.screen import Screen
from bench.records.record import Memory
from tests.builders import make_record, make_steps


def made(seconds=0.5, **changes):
    times = [seconds * factor for factor in (1.0, 1.01, 0.99, 1.0)] * 4
    steps = make_steps(times, images=changes.get("batch", 16))
    peak = {"process": Memory(2**30 + 2**24 * changes.get("batch", 16), "peak")}
    return make_record(steps=steps, memory=peak, **changes)


def result(*records, **changes: Any) -> Result:
    measured = sum(record.steps is not None for record in records)
    usual = {"machine": "AMD EPYC", "cases": len(records), "measured": measured, "processes": measured}
    usual |= {"seconds": 107.0, "records": records, "epoch_images": 118_287}
    usual |= {"report": Path("reports/a/index.html"), "folder": Path("results/a")}
    return Result(**{**usual, **changes})


@pytest.fixture
def write_result(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "80")

    def write(given: Result) -> list[str]:
        pipe = io.StringIO()
        result_block.write(Screen(pipe), given)
        return pipe.getvalue().splitlines()

    return write


def entry(lines, label):
    """The text of an entry that fits into one line; None where there is none."""
    return next((line.strip().removeprefix(label).strip() for line in lines if line.strip().startswith(label)), None)


def test_the_result_of_a_cpu(write_result) -> None:
    records = [made(), made(0.2, batch=4), made(0.2, mode="predict")]
    lines = write_result(result(*records))
    assert lines[1] == "Result · AMD EPYC · 3 of 3 cases measured in 1 min 47 s"
    assert entry(lines, "Train").startswith("yolov8n batch ")
    assert "images/s ± " in entry(lines, "Train") and "COCO epoch" in entry(lines, "Train")
    assert "epoch" not in entry(lines, "Predict")
    assert entry(lines, "Next") == "yolopace run --processes 5     narrower intervals"
    assert lines[-2:] == ["Report    reports/a/index.html", "Records   results/a"]
    assert len(lines) <= MOST_LINES and max(map(len, lines)) <= 80


def test_a_larger_batch_is_compared_with_the_smallest(write_result) -> None:
    lines = write_result(result(made(0.5, batch=16), made(0.4, batch=4)))
    assert entry(lines, "Batch").startswith("16 is ") and " faster than 4 and takes " in entry(lines, "Batch")


def test_a_gpu_is_compared_with_the_cpu_in_the_same_case(write_result) -> None:
    cpu, gpu = made(2.0), made(0.1, device="0")
    lines = write_result(result(cpu, gpu))
    assert entry(lines, "Device") == "cuda:0 is 20 times as fast as cpu in this case"
    assert "cuda:0" in entry(lines, "Train")
    assert entry(write_result(result(cpu, made(0.1, device="0", imgsz=320))), "Device") is None


def test_amp_is_compared_where_no_other_device_is(write_result) -> None:
    lines = write_result(result(made(0.1, device="0"), made(0.05, device="0", amp="on")))
    assert entry(lines, "AMP") == "amp on is 2.0 times as fast as amp off in this case"


def test_an_epoch_of_the_users_own_images(write_result) -> None:
    lines = write_result(result(made(), epoch_images=5000, is_coco=False))
    assert "epoch of 5,000 images" in entry(lines, "Train")


def test_nothing_measured_says_what_to_do(write_result) -> None:
    lines = write_result(result(make_record(status="unsupported", reason="No."), report=None))
    assert lines[1].startswith("Result · AMD EPYC · 0 of 1 cases measured")
    assert entry(lines, "Notes") == "1 not available"
    assert entry(lines, "Next").startswith("yolopace doctor")
    assert entry(lines, "Report") is None


def test_what_is_noisy_or_failed_is_counted() -> None:
    window = make_record().window
    assert summary([made()]) == "" or window is not None
    failures = [make_record(batch=batch, status="failed", reason="No.") for batch in (1, 2)]
    assert summary([made(), *failures, make_record(batch=64, status="out_of_memory", reason="No.")]) == (
        "2 failed; 1 out of memory"
    )


def test_a_run_that_was_stopped_can_go_on() -> None:
    commands = next_commands(result(made(), resume="20261129-a"), {})
    assert commands[0] == ("yolopace run --resume 20261129-a", "go on with this run")


def test_notes_come_before_further_commands(write_result) -> None:
    notes = ("the time budget ended before 3 more processes could be started",)
    records = [made(), made(0.2, batch=4), made(0.2, mode="predict")]
    lines = write_result(result(*records, notes=notes))
    assert entry(lines, "Notes").startswith("the time budget ended")
    assert len(lines) <= MOST_LINES


def test_a_run_of_ceilings_counts_them(write_result) -> None:
    lines = write_result(result(cases=0, measured=0, ceilings=(1, 2)))
    assert lines[1] == "Result · AMD EPYC · 1 of 2 ceilings found in 1 min 47 s"
