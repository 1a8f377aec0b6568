from __future__ import annotations

import re
from itertools import pairwise

import numpy as np
import pytest

from bench.report.plots import Plot, draw, palette
from bench.report.plots.palette import GROUNDS, HUES, PHASES, TOKENS, looks, with_variables
from bench.report.plots.style import RC, SMALL
from tests.report.conftest import small_run
from tests.report.plots.test_plots import view


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(colour: str, background: str) -> float:
    low, high = sorted((luminance(colour), luminance(background)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_every_colour_has_the_contrast_of_graphics(theme: int) -> None:
    for name, pair in TOKENS.items():
        assert contrast(pair[theme], GROUNDS[theme]) >= 3, name


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_values_inside_bars_have_the_contrast_of_text(theme: int) -> None:
    for pair in PHASES:
        assert contrast(pair[theme], GROUNDS[theme]) >= 4.5, pair


def test_a_colour_has_one_meaning() -> None:
    light = [pair[0] for pair in TOKENS.values()]
    assert len(light) == len(set(light)), "an SVG is turned into variables by its colours"


def test_a_model_has_its_hue_in_every_panel_and_its_lines_have_shades() -> None:
    models = ["yolov8n", "yolo11n", "yolo26n"]
    every = looks(models, models)
    [alone] = looks(["yolo26n"], models)
    assert [look.colour for look in every] == [hue[0][0] for hue in HUES[:3]]
    assert alone.colour == every[2].colour
    same = looks(["yolo11n"] * 3, models)
    assert [look.colour for look in same] == list(HUES[1][0])
    assert len({(look.marker, str(look.dash)) for look in same}) == 3


def test_lines_of_one_model_never_share_colour_marker_and_dash() -> None:
    lines = looks(["a"] * 6, ["a"])
    assert len({(look.colour, look.marker, str(look.dash)) for look in lines}) == 6


@pytest.fixture(scope="module")
def plots() -> list[Plot]:
    return draw(view(small_run(), batch=4))


def test_a_plot_takes_its_colours_from_the_page(plots: list[Plot]) -> None:
    for plot in plots:
        names = set(re.findall(r"var\(--([a-z0-9-]+)", plot.svg))
        assert names and names <= {*TOKENS, "ground"}
        assert not re.search(r"(?:fill|stroke): #(?!1f77b4)", plot.svg), (
            f"{plot.key}: the fill of caps, which are lines, is the default"
        )


def test_text_of_plots_is_large_enough_where_a_plot_is_not_shrunk(plots: list[Plot]) -> None:
    assert SMALL == RC["font.size"] == 11
    for plot in plots:
        sizes = [float(size) for size in re.findall(r"font(?:-size)?:[^;\"]*?(\d+(?:\.\d+)?)px", plot.svg)]
        assert sizes and min(sizes) >= 11, plot.key


def test_only_known_colours_become_variables() -> None:
    assert with_variables(f"{palette.BAR} #123456 {palette.INK}") == f"var(--bar,{palette.BAR}) #123456 currentColor"


BLINDNESS = {
    "none": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    "protanopia": ((0.152, 1.053, -0.205), (0.115, 0.786, 0.099), (-0.004, -0.048, 1.052)),
    "deuteranopia": ((0.367, 0.861, -0.228), (0.280, 0.673, 0.047), (-0.012, 0.043, 0.969)),
    "tritanopia": ((1.256, -0.077, -0.179), (-0.078, 0.931, 0.148), (0.005, 0.691, 0.304)),
}
"""Machado, Oliveira and Fernandes 2009, severity 1, in linear RGB."""

OKLAB = (
    ((0.4122, 0.5363, 0.0514), (0.2119, 0.6807, 0.1074), (0.0883, 0.2817, 0.6300)),
    ((0.2105, 0.7936, -0.0041), (1.9780, -2.4286, 0.4506), (0.0259, 0.7828, -0.8087)),
)


def seen(colour: str, sight: str) -> np.ndarray:
    """Return a colour as someone of that sight sees it, in OKLab."""
    parts = np.array([int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)])
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    simulated = np.clip(np.array(BLINDNESS[sight]) @ linear, 0, 1)
    return np.array(OKLAB[1]) @ np.cbrt(np.array(OKLAB[0]) @ simulated)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("sight", BLINDNESS)
def test_neighbouring_phases_are_told_apart_by_everyone(theme: int, sight: str) -> None:
    for one, other in pairwise(PHASES):
        assert np.linalg.norm(seen(one[theme], sight) - seen(other[theme], sight)) > 0.1, (one, other)
