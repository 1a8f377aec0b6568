from __future__ import annotations

import io

import msgspec
import pytest
from matplotlib.image import imread

from bench.report.context import page
from bench.report.headline.share import HEIGHT, WIDTH, Figures, Line, SharePicture
from bench.report.inputs import Inputs
from tests.analysis.test_reference import at
from tests.builders import make_ceiling

ONE = Figures(
    "AMD EPYC",
    (Line("69.6 images/s ± 4.0 %", "Training yolo11n · cpu"), Line("193 images/s", "Prediction", noisy=True)),
)
LONG = Figures("M" * 900 + "\x1b[31m", (Line("1" * 300, "x $\\frac" * 90),))


@pytest.mark.parametrize("machines", [[ONE], [LONG], [ONE, LONG], [ONE] * 9, [Figures("Nothing", ())]])
def test_the_picture_has_the_size_that_sites_ask_for(machines: list[Figures]) -> None:
    content = SharePicture(machines, "torch 2.15.0")
    picture = imread(io.BytesIO(content.png), format="png")
    assert picture.shape[:2] == (HEIGHT, WIDTH)
    edge = picture[:, -40:, :3].reshape(-1, 3)
    assert (edge == edge[0]).all(), "no text runs over the right edge"


def test_the_same_content_is_the_same_bytes() -> None:
    content = SharePicture([ONE], "torch 2.15.0")
    assert content.png == content.png


def test_a_doubtful_figure_is_named_with_its_case() -> None:
    sure, doubtful = ONE.lines
    assert (sure.caption, doubtful.caption) == ("Training yolo11n · cpu", "Prediction · noisy")


@pytest.mark.parametrize(
    ("threads", "facts"),
    [
        (1, "8 cores · 1 CPU thread · 2026-11-22"),
        (7, "8 cores · 7 CPU threads · 2026-11-22"),
        (None, "8 cores · 2026-11-22"),
    ],
)
def test_a_machine_has_its_cores_threads_and_day(threads: int | None, facts: str) -> None:
    record = at(30)
    record = msgspec.structs.replace(record, effective={**(record.effective or {}), "threads": threads})
    [machine] = page(Inputs(records=[record], epoch_images=1_000)).share.machines
    assert machine.facts == facts


def test_the_day_of_a_largest_batch_counts_where_nothing_was_timed() -> None:
    [machine] = page(Inputs(records=[], epoch_images=1_000, ceilings=[make_ceiling()])).share.machines
    assert machine.facts.endswith(f" · {make_ceiling().started[:10]}")
