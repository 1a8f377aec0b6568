from __future__ import annotations

import random

import pytest

from bench.analysis.metrics import METRICS
from bench.analysis.table import COLUMNS
from bench.formatting import format_bytes, format_duration, format_number


@pytest.mark.parametrize(
    "show", [format_number, format_duration, format_bytes, *(m.unit.show for m in METRICS.values())]
)
def test_nothing_but_0_shows_as_0(show) -> None:
    def something(text: str) -> bool:
        return any(digit in text.split("e-")[0] for digit in "123456789")

    draw = random.Random(0)
    assert not something(show(0.0))
    for _ in range(500):
        value = 10 ** draw.uniform(-300, 15)
        assert something(show(value)), value


def test_units_of_the_registry() -> None:
    shown = {key: metric.unit.show(0.125) for key, metric in METRICS.items()}
    assert shown["images_per_second"] == "0.125"
    assert shown["seconds_per_epoch"] == "125 ms"
    assert shown["data_wait_share"] == "12.5 %"
    assert shown["peak_memory_bytes"] == "0.125 B"


def test_every_metric_is_a_column_of_the_table_and_stands_under_its_own_key() -> None:
    assert set(METRICS) <= set(COLUMNS)
    assert all(key == metric.key for key, metric in METRICS.items())


def test_which_way_is_better() -> None:
    higher = {key for key, metric in METRICS.items() if metric.better == "higher"}
    assert higher == {"images_per_second", "forward_images_per_second", "images_per_joule"}
