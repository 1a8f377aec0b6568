from __future__ import annotations

import io

import pytest
from matplotlib.image import imread

from bench.report.headline.share import HEIGHT, WIDTH, Figures, Line, SharePicture

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
