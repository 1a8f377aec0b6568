"""Limits in words, and whether an earlier record was measured under the same ones."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from bench.analysis.recorded_limits import measured_alike, named, phrases, ranges
from bench.machine.description import Conditions, Limits
from tests.builders import GIB, make_record

ALL = Limits(
    cpu_quota=0.2,
    processors=[0, 1, 2, 8],
    memory_nodes=[1],
    memory_bytes=2 * GIB,
    address_space_bytes=16 * GIB,
    data_bytes=8 * GIB,
)


def test_every_limit_has_words() -> None:
    assert phrases(ALL) == [
        "CPU quota 0.2 processors",
        "processors allowed 4 (numbers 0-2,8)",
        "NUMA nodes allowed 1 (number 1)",
        "memory limit of the control group 2.00 GiB",
        "address space limit 16.0 GiB",
        "data limit 8.00 GiB",
    ]
    assert len(named(Limits())) == len(Limits.__struct_fields__)
    assert phrases(Limits()) == []


@pytest.mark.parametrize(
    ("numbers", "text"), [([3], "3"), ([0, 1], "0-1"), ([5, 1, 0, 3], "0-1,3,5"), ([], ""), (range(64), "0-63")]
)
def test_numbers_are_written_as_linux_writes_them(numbers: Any, text: str) -> None:
    assert ranges(numbers) == text


FREE, SET = {"limits": Limits(), "variables": {}}, {"limits": Limits(), "variables": {"OMP_NUM_THREADS": "4"}}


@pytest.mark.parametrize(
    ("before", "now", "alike"),
    [
        (FREE, FREE, True),
        (SET, SET, True),
        (FREE, {"limits": ALL, "variables": {}}, False),
        ({"limits": ALL, "variables": {}}, FREE, False),
        (FREE, SET, False),
        (SET, FREE, False),
        ({}, FREE, True),  # an older record says nothing: it had no limits, as far as anyone knows
        ({}, {"limits": ALL, "variables": {}}, False),
        ({}, SET, False),
    ],
)
def test_whether_a_record_was_measured_under_the_limits_of_now(
    before: dict[str, Any], now: dict[str, Any], alike: bool
) -> None:
    assert measured_alike(make_record(conditions=Conditions(**before)), Conditions(**now)) is alike


@pytest.mark.parametrize(("value", "alike"), [("4", True), ("1", False), (None, False)])
def test_an_older_record_has_its_variables_among_the_settings_that_ran(value: str | None, alike: bool) -> None:
    record = make_record(conditions=Conditions())
    ran = {"variables": {} if value is None else {"OMP_NUM_THREADS": value, "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}}
    record = msgspec.structs.replace(record, effective=ran)
    assert measured_alike(record, Conditions(**SET)) is alike
    assert measured_alike(record, Conditions(**FREE))
