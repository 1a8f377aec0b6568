from __future__ import annotations

import pytest

from bench.durations import about, parse_duration, parse_percent
from bench.errors import UsageError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90.0),
        ("90s", 90.0),
        ("0.5s", 0.5),
        ("10m", 600.0),
        ("1.5h", 5400.0),
        ("1h30m", 5400.0),
        ("1h1m1s", 3661.0),
        ("1m30", 90.0),
        (" 10m ", 600.0),
    ],
)
def test_durations_as_people_write_them(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", " ", "m", "ten", "10 m", "1h 30m", "-5m", "+5m", "5d", "5M", "1,5h", ".5h", "5.h", "1e3", "0", "0h0m"]
)
def test_what_is_no_duration_is_refused_with_one_sentence(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_duration(text)
    assert str(refused.value).startswith(f"{text!r} is no duration: ")
    assert str(refused.value).endswith(".")


def test_more_seconds_than_a_float_holds() -> None:
    with pytest.raises(UsageError):
        parse_duration("9" * 400)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "1 s"),
        (0.4, "1 s"),
        (1.6, "2 s"),
        (40, "40 s"),
        (89.9, "90 s"),
        (90, "2 min"),
        (200, "3 min"),
        (5369, "89 min"),
        (5371, "1 h 30 min"),
        (4800, "80 min"),
        (7199, "2 h 00 min"),
        (90_000, "25 h 00 min"),
    ],
)
def test_about(seconds: float, text: str) -> None:
    assert about(seconds) == text


@pytest.mark.parametrize(
    ("text", "share"), [("2%", 0.02), ("2", 0.02), (" 2 % ", 0.02), ("0.5%", 0.005), ("0.1", 0.001), ("100%", 1.0)]
)
def test_percentages_as_people_write_them(text: str, share: float) -> None:
    assert parse_percent("precision", text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["", " ", "%", "0", "0.02", "-2%", "2%%", "two", "2 percent", "101%", "1e1", "nan"])
def test_what_is_no_percentage_is_refused_with_one_sentence(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_percent("precision", text)
    sentence = f"precision {text!r} is not allowed: write a percentage from 0.1% to 100%, such as 2%."
    assert str(refused.value) == sentence
