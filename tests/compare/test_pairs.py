"""Pairs whose sides differ in settings: which of them may share their steps, and what the ratio is of."""

from __future__ import annotations

import math
from typing import Any, cast

import pytest

from bench.cases.plan import PlannedRun
from bench.compare.pairs import PairInputs, ends_within_steps, turn_steps
from bench.records.comparison import Measurement, Pair
from tests.builders import make_case, make_recipe, make_steps


def inputs(head: dict[str, Any] | None = None, device: str = "cpu") -> PairInputs:
    """Inputs of a pair whose head differs in some values."""
    base = make_case(device=device)
    planned = PlannedRun(base, make_recipe())
    changed = None if head is None else PlannedRun(base.of({**base.values, **head}), make_recipe())
    return PairInputs(cast("Any", None), planned, ({}, {}), changed)


def test_both_sides_run_the_same_case_without_another_head() -> None:
    same = inputs()
    assert same.side(0) == same.side(1) == same.planned
    assert same.alike
    assert (turn_steps(same), ends_within_steps(same)) == (1, True)


def test_each_side_has_its_settings() -> None:
    pair = inputs({"cache": "ram"})
    assert (pair.side(0).case.further, pair.side(1).case.further) == ((), (("cache", "ram"),))


@pytest.mark.parametrize(
    ("head", "alike"),
    [
        ({"cache": "ram"}, True),
        ({"threads": 2}, True),
        ({"batch": 32}, False),
        ({"nbs": 16}, False),
        ({"compile": "on"}, False),
        ({"forced_workers": 2}, False),
    ],
)
def test_sides_with_other_steps_or_loaders_take_turns_of_a_whole_window(head: dict[str, Any], alike: bool) -> None:
    pair = inputs(head)
    assert pair.alike is alike
    assert turn_steps(pair) == (1 if alike else None)
    assert ends_within_steps(pair) is alike


def test_a_gpu_takes_turns_of_a_whole_window_anyway() -> None:
    pair = inputs({"workers": 2}, device="0")
    assert pair.alike
    assert (turn_steps(pair), ends_within_steps(pair)) == (None, False)


def make_pair(base_images: int, head_images: int, head_seconds: float) -> Pair:
    return Pair(
        started="2026-11-22T18:45:14+00:00",
        head_first=False,
        base=Measurement(steps=make_steps([0.25] * 4, images=base_images)),
        head=Measurement(steps=make_steps([head_seconds] * 4, images=head_images)),
    )


def test_the_ratio_of_sides_with_other_batches_is_that_of_an_epoch() -> None:
    assert make_pair(16, 16, 0.5).log == pytest.approx(math.log(2))
    assert make_pair(16, 32, 0.5).log == pytest.approx(0.0)
    assert make_pair(16, 64, 0.5).log == pytest.approx(-math.log(2))
