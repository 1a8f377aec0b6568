"""Records of two small runs, and the report of one of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bench.analysis.throughput import COCO_TRAIN_IMAGES
from bench.records.record import Record
from bench.report.page import Inputs, write
from tests.builders import make_environment, make_machine, make_record, make_steps

NASTY = 'RuntimeError: <script>alert("x")</script> & a | b'
SPARED = "amp on requested, amp off would run: Ultralytics offers no mixed precision here."


def timed(rate: float, batch: int, **changes: Any) -> Record:
    """A measured record of about so many images per second, with a little noise."""
    steps = [batch / rate * factor for factor in (1.0, 1.02, 0.99, 1.01, 0.98, 1.0, 1.01, 0.99)]
    return make_record(batch=batch, steps=make_steps(steps, images=batch), **changes)


def small_run() -> list[Record]:
    """One machine: training on two batches, prediction, a spared precision, a full memory and a failure."""
    return [
        timed(20.0, 4),
        timed(25.0, 16),
        make_record(batch=64, status="out_of_memory", reason="Out of memory: tried to allocate 9 GiB."),
        make_record(amp="on", batch=4, status="substituted", reason=SPARED),
        make_record(
            amp="on",
            batch=16,
            status="substituted",
            reason=SPARED,
            extra={"skipped_because_of": "train-yolov8n-cpu-amp-b4-i160"},
        ),
        make_record(model="yolo11n", batch=4, status="failed", reason=NASTY, worker_output="Traceback: <b>the end</b>"),
        timed(90.0, 16, mode="predict"),
    ]


def other_run() -> list[Record]:
    """Another machine with another torch: one training case on a GPU."""
    machine = make_machine(fingerprint="a1b2c3d4e5f6", gpus=["NVIDIA H200 (139 GiB)"])
    return [timed(900.0, 16, device="0", imgsz=640, machine=machine, environment=make_environment("2.15.0"), run="b")]


def breakable(html: str) -> str:
    """A page with a plain space between a number and its unit, as it is written in tests."""
    return html.replace("\N{NO-BREAK SPACE}", " ")


def written(records: Sequence[Record], output: Path, **changes: Any) -> str:
    """The text of the page of some records."""
    arguments: dict[str, Any] = {"epoch_images": COCO_TRAIN_IMAGES} | changes
    return breakable(write(Inputs(records=records, **arguments), output).read_text())


@pytest.fixture
def records() -> list[Record]:
    """The small run."""
    return small_run()


@pytest.fixture
def no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """For what plots have no part in: they take most of the time."""
    monkeypatch.setattr("bench.report.plots.PLOTS", ())


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the small run, written once."""
    output = tmp_path_factory.mktemp("report") / "new" / "folder"
    written(small_run(), output, complaints=["bad.json is left out: it is no record."])
    return output


@pytest.fixture(scope="session")
def html(folder: Path) -> str:
    """Its page."""
    return breakable((folder / "index.html").read_text())
