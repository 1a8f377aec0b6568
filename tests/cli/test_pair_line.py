"""A line for each pair of a live comparison."""

from __future__ import annotations

import msgspec
import pytest

from bench.cli.live.pairs import pair_line
from tests.builders import make_compared, make_pairs

NOISE = ["others used 1.71 of the machine's 2 processors", "a thread waited 37.0 % of the time for a processor"]


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.cli.live.pairs.processors", lambda: 2)


def test_the_first_pair() -> None:
    compared = make_compared([0.017])
    compared.pairs[0] = msgspec.structs.replace(compared.pairs[0], interference=NOISE, retries=2)
    assert pair_line(compared, 0.03) == ("pair 1/4  +1.7 %  12 s  noisy (other processes: 1.7 of 2 cores), repeated 2×")


def test_later_pairs_have_the_estimate_so_far_and_the_next_look() -> None:
    assert pair_line(make_compared([0.01] * 5), 0.03).startswith("pair 5/8  +1.0 %  so far +1.0 ± 0.0 %  ")
    assert pair_line(make_compared([0.01] * 5), 0.03, planned=False).startswith("pair 5  +1.0 %")


def test_pairs_of_a_confirmation_and_those_that_run_one_after_the_other() -> None:
    assert pair_line(make_compared([0.05] * 4, [0.05, 0.04]), 0.03).startswith("confirmation 2/4  +4.1 %  so far")
    apart = make_compared(pairs=make_pairs([0.01], lockstep=False))
    assert pair_line(apart, 0.03).endswith("s  one after the other")
