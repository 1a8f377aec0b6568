"""Estimates from blocks: neither a machine that drifts nor a slow process of a steady one misleads them."""

from __future__ import annotations

import math
import random
import statistics

import pytest

from bench.tune.estimates import Estimates, Observation
from tests.builders import make_case

BASE, OTHER, THIRD = make_case(), make_case(batch=8), make_case(batch=4)


def observation(case: object, block: int, log: float) -> Observation:
    return Observation(case, block, log)  # type: ignore[arg-type]


def test_a_machine_that_changes_its_speed_between_blocks_changes_no_difference() -> None:
    logs = [
        observation(case, block, value + block) for block in range(3) for case, value in ((BASE, 0.0), (OTHER, -0.3))
    ]
    estimates = Estimates(logs, noise=0.01)
    assert estimates.difference(OTHER, BASE).log == pytest.approx(-0.3)
    assert estimates.drift(range(3)) == pytest.approx(math.expm1(2.0), rel=0.1)
    assert estimates.fastest([BASE, OTHER], BASE) == OTHER


def test_cases_that_no_block_links_are_never_the_fastest() -> None:
    logs = [observation(BASE, 1, 0.0), observation(OTHER, 1, 0.1), observation(THIRD, 2, -5.0)]
    estimates = Estimates(logs, noise=0.01)
    assert math.isinf(estimates.difference(THIRD, BASE).half)
    assert estimates.fastest([BASE, OTHER, THIRD], BASE) == BASE


def test_on_a_steady_machine_a_slow_reference_misleads_less_than_it_is_slow() -> None:
    """By the reference of the last block alone, the error of THIRD would have a standard deviation of 0.06 x 1.5."""
    draw, errors, hits = random.Random(7), [], 0
    for _ in range(400):
        cases = [(block, case) for block in range(4) for case in (BASE, OTHER)] + [(4, OTHER), (4, THIRD)]
        logs = [observation(case, block, draw.gauss(0, 0.06)) for block, case in cases]
        difference = Estimates(logs, noise=0.06).difference(THIRD, BASE)
        errors.append(difference.log)
        hits += difference.low <= 0 <= difference.high
    assert statistics.pstdev(errors) < 0.06 * 1.25
    assert hits >= 372


def test_pairs_count_for_more_than_processes_alone() -> None:
    alone = [observation(BASE, 1, 0.0), observation(OTHER, 1, 0.1)]
    pair = [Observation(BASE, 2, 0.0, paired=True), Observation(OTHER, 2, -0.1, paired=True)]
    assert Estimates(alone + pair, noise=0.05).difference(OTHER, BASE).log == pytest.approx(-0.06, abs=0.01)


def test_intervals_hold_the_truth_in_nineteen_of_twenty_searches() -> None:
    draw, hits, count = random.Random(7), 0, 400
    for _ in range(count):
        logs = [
            observation(case, block, value + 0.1 * block + draw.gauss(0, 0.02))
            for block in range(3)
            for case, value in ((BASE, 0.0), (OTHER, 0.05), (THIRD, 0.1))
        ]
        difference = Estimates(logs, noise=0.02).difference(OTHER, BASE)
        hits += difference.low <= 0.05 <= difference.high
    assert 0.92 <= hits / count <= 0.99


def test_more_processes_narrow_an_interval() -> None:
    few = [observation(case, 1, 0.0) for case in (BASE, OTHER)]
    many = [observation(case, block, 0.0) for block in range(4) for case in (BASE, OTHER)]
    wide, narrow = (Estimates(logs, noise=0.02).difference(OTHER, BASE).half for logs in (few, many))
    assert narrow < wide / 2


def test_nothing_measured_is_no_error() -> None:
    assert Estimates([], noise=0.02).drift([1]) == 0.0
