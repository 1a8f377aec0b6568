"""Sizes of memory as they are typed."""

from __future__ import annotations

import pytest

from bench.errors import UsageError
from bench.sizes import exact, parse_bytes, shown


@pytest.mark.parametrize(
    ("text", "size"),
    [("4GiB", 2**32), ("1.5 GB", 1_500_000_000), (" 800mib ", 800 * 2**20), ("2TB", 2 * 10**12)],
)
def test_a_size(text: str, size: int) -> None:
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
def test_what_is_none(text: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        parse_bytes("memory-limit", text)


@pytest.mark.parametrize(("size", "text"), [(2**31, "2048MiB"), (2 * 10**9, "2000000000B"), (5, "5B")])
def test_exact(size: int, text: str) -> None:
    assert exact(size) == text
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
def test_shown(size: float, text: str) -> None:
    assert shown(size) == text
