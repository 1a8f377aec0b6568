"""What pytest-benchmark is told of a measured case."""

import pytest

from bench import replay
from bench.conftest import _settle
from tests.builders import make_record, make_steps


class Benchmark:
    """``benchmark`` as far as a case needs it: group, extra information, and rounds."""

    def __init__(self):
        self.group = None
        self.extra_info = {}
        self.data = []

    def pedantic(self, target, setup, rounds, iterations):
        for _ in range(rounds):
            setup()
            target()
            self.data.append(replay.now())


@pytest.fixture
def settled():
    def settle(steps):
        benchmark = Benchmark()
        _settle(make_record(steps=steps), benchmark)
        return benchmark

    return settle


def test_every_step_of_the_window_is_a_round_and_their_mean_is_the_step(settled):
    found = settled(make_steps([0.25, 0.5, 0.25, 1.0]))
    assert found.data == [0.25, 0.5, 0.25, 1.0]
    assert found.group == "train, batch 16, 160 px: time of a step"
    assert (found.extra_info["step_seconds"], found.extra_info["modelled"]) == (0.5, False)


def test_a_modelled_window_says_that_the_mean_of_its_rounds_is_not_the_step(settled):
    steps = make_steps([0.3, 0.2, 0.2, 0.3] * 2, warmup=[0.5] * 4, cycle=16, timed_cycle=4)
    found = settled(steps)
    assert found.group == "train, batch 16, 160 px: time of a step, modelled: see step_seconds"
    assert found.extra_info["modelled"] is True
    assert found.extra_info["step_seconds"] == pytest.approx((14 * 0.2 + 2 * 0.3) / 16)
    assert found.extra_info["step_seconds"] < sum(found.data) / len(found.data)
