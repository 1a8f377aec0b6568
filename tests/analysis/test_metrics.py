from __future__ import annotations

import random

import pytest

from bench.analysis.metrics import METRICS, show_bytes, show_duration, significant
from bench.analysis.table import COLUMNS

KIB, MIB, GIB = 2**10, 2**20, 2**30


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.0, "0"),
        (-0.0, "0"),
        (1, "1.00"),
        (1234.5, "1,234"),
        (1235.5, "1,236"),
        (999.4, "999"),
        (999.6, "1,000"),
        (99.96, "100.0"),
        (123_456_789, "123,456,789"),
        (0.01234, "0.0123"),
        (-0.01234, "-0.0123"),
        (-1234.5, "-1,234"),
        (1e-7, "0.000000100"),
        (1e-8, "1.00e-08"),
        (5e-324, "4.94e-324"),
    ],
)
def test_three_significant_digits(value: float, text: str) -> None:
    assert significant(value) == text


def test_as_many_digits_as_asked() -> None:
    assert significant(3.14159, 1) == "3"
    assert significant(3.14159, 5) == "3.1416"
    assert significant(0.5, 1) == "0.5"


@pytest.mark.parametrize("show", [significant, show_duration, show_bytes, *(m.unit.show for m in METRICS.values())])
def test_nothing_but_0_shows_as_0(show) -> None:
    def something(text: str) -> bool:
        return any(digit in text.split("e-")[0] for digit in "123456789")

    draw = random.Random(0)
    assert not something(show(0.0))
    for _ in range(500):
        value = 10 ** draw.uniform(-300, 15)
        assert something(show(value)), value


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (1e-9, "0.00000100 ms"),
        (0.00456, "4.56 ms"),
        (0.999, "999 ms"),
        (1, "1.00 s"),
        (12.34, "12.3 s"),
        (59.94, "59.9 s"),
        (59.99, "60.0 s"),
        (60, "1 min 00 s"),
        (119.6, "2 min 00 s"),
        (200.4, "3 min 20 s"),
        (3599.4, "59 min 59 s"),
        (3599.7, "1 h 00 min"),
        (3600, "1 h 00 min"),
        (3720, "1 h 02 min"),
        (7199, "2 h 00 min"),
        (3_600_000, "1,000 h 00 min"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert show_duration(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 B"),
        (1, "1.00 B"),
        (1023, "1,023 B"),
        (KIB, "1.00 KiB"),
        (MIB - 1, "1,024 KiB"),
        (640 * MIB, "640 MiB"),
        (12.3 * GIB, "12.3 GiB"),
        (2048 * GIB, "2,048 GiB"),
    ],
)
def test_bytes(number: float, text: str) -> None:
    assert show_bytes(number) == text


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
