from __future__ import annotations

from bench.cases.fingerprints import digest


def test_a_digest_is_one_of_names_and_values_in_any_order() -> None:
    assert digest({"a": 1, "b": {"x": 1, "y": 2}}) == digest({"b": {"y": 2, "x": 1}, "a": 1})
    assert len({digest({"a": 1}), digest({"a": 2}), digest({"b": 1})}) == 3


def test_a_value_that_came_later_counts_only_where_it_is_not_its_default() -> None:
    before = digest({"a": 1})
    assert digest({"a": 1}, {"b": (0, 0)}) == before
    assert digest({"a": 1}, {"b": (2, 0)}) != before
