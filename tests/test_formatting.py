"""Durations, sizes, percentages and changes, as people write and read them."""

from __future__ import annotations

import pytest

from bench.errors import UsageError
from bench.formatting import (
    format_bytes,
    format_change,
    format_duration,
    format_exact_bytes,
    format_fixed_percent,
    format_log_ratio,
    format_number,
    format_percent,
    format_rough_bytes,
    format_rough_duration,
    parse_bytes,
    parse_duration,
    parse_percent,
)

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
    assert format_number(value) == text


def test_as_many_digits_as_asked() -> None:
    assert format_number(3.14159, 1) == "3"
    assert format_number(3.14159, 5) == "3.1416"
    assert format_number(0.5, 1) == "0.5"


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
def test_measured_durations(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


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
def test_measured_sizes(number: float, text: str) -> None:
    assert format_bytes(number) == text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90.0),
        ("0.5s", 0.5),
        ("10m", 600.0),
        ("1.5h", 5400.0),
        ("1h30m", 5400.0),
        ("1h1m1s", 3661.0),
        (" 10m ", 600.0),
    ],
)
def test_durations_as_people_write_them(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", " ", "m", "ten", "10 m", "1h 30m", "-5m", "+5m", "5d", "5M", "1,5h", ".5h", "5.h", "1e3", "1m30", "0h0m"],
)
def test_what_is_no_duration_is_refused_with_one_sentence(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_duration(text)
    assert str(refused.value).startswith(f"{text!r} is no duration: ")
    assert str(refused.value).endswith(".")


@pytest.mark.parametrize("text", ["90", "0", "1.5", " 5 "])
def test_a_duration_needs_a_unit(text: str) -> None:
    number = text.strip()
    with pytest.raises(UsageError) as refused:
        parse_duration(text)
    assert str(refused.value) == f"{text!r} has no unit: write {number}s for seconds or {number}m for minutes."


def test_more_seconds_than_a_float_holds() -> None:
    with pytest.raises(UsageError):
        parse_duration("9" * 400 + "s")


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
def test_estimated_durations(seconds: float, text: str) -> None:
    assert format_rough_duration(seconds) == text


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


@pytest.mark.parametrize(
    ("text", "size"),
    [("4GiB", 2**32), ("1.5 GB", 1_500_000_000), (" 800mib ", 800 * 2**20), ("2TB", 2 * 10**12)],
)
def test_sizes_of_memory_as_people_write_them(text: str, size: int) -> None:
    assert parse_bytes("memory-limit", text) == size


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("4", "memory-limit '4' has no unit: write 4GiB or 4MiB."),
        ("much", "is no size of memory"),
        ("-3GiB", "is no size of memory"),
        ("4Gigs", "there is no unit Gigs"),
        ("0GiB", "use a size above 0"),
        ("9000000TiB", "memory-limit '9000000TiB' is more than any machine has"),
        (f"{10**400}GiB", "is more than any machine has"),
    ],
)
def test_what_is_no_size_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        parse_bytes("memory-limit", text)


@pytest.mark.parametrize(("size", "text"), [(2**31, "2048MiB"), (2 * 10**9, "2000000000B"), (5, "5B")])
def test_exact_sizes_are_parsed_back(size: int, text: str) -> None:
    assert format_exact_bytes(size) == text
    assert parse_bytes("memory-limit", text) == size


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (2**32, "4 GiB"),
        (3.5e9, "3.26 GiB"),
        (2**46, "65,536 GiB"),
        (2**37, "128 GiB"),
        (512 * 2**20, "512 MiB"),
        (3.5 * 2**20, "3.5 MiB"),
    ],
)
def test_rough_sizes(size: float, text: str) -> None:
    assert format_rough_bytes(size) == text


def test_percentages() -> None:
    assert (format_percent(0.125), format_percent(0.019, 2)) == ("12.5 %", "1.9 %")
    assert (format_fixed_percent(0.05), format_fixed_percent(0.9779, 2)) == ("5 %", "97.79 %")


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.049, "+4.9 %"), (-0.032, "−3.2 %"), (0.0004, "0.0 %"), (-0.0004, "0.0 %"), (11.0, "+over 1,000 %")],
)
def test_changes_have_a_sign_unless_they_round_to_0(share: float, text: str) -> None:
    assert format_change(share) == text


@pytest.mark.parametrize(("log", "text"), [(0.008, "+0.8"), (0.0953, "+10.0"), (-0.0123, "-1.2"), (-0.0001, "+0.0")])
def test_logarithms_of_ratios_as_changes_in_percent(log: float, text: str) -> None:
    assert format_log_ratio(log) == text
