"""A real pair: two workers of this environment that take turns, trained and predicted."""

import contextlib
import math
import os
import random
from pathlib import Path

import msgspec
import pytest

from bench.compare import pairs
from bench.compare.lockstep import WorkerFailed
from bench.compare.scheduler import PairScheduler
from bench.records.comparison import CaseComparison, Comparison, EnvironmentSide
from bench.records.store import read_comparison
from bench.runner.measure import find_data
from tests.builders import make_machine
from tests.end_to_end.real.conftest import tiny


@pytest.fixture
def pairing(forking):
    def make(**axes):
        planned = tiny(**axes)
        data = find_data(forking, planned)
        return pairs.PairInputs((forking, forking), planned, (data, data))

    return make


@pytest.mark.parametrize("mode", ["train", "predict"])
def test_both_windows_hold_the_same_steps(pairing, mode, monkeypatch):
    monkeypatch.setattr("bench.compare.background_load.BackgroundLoadMonitor.interference", lambda self, workers: [])
    two = pairs.run_interleaved(pairing(mode=mode, batch=4), True, random.Random(0), None)
    base, head = two.pair.base, two.pair.head
    assert math.isfinite(two.pair.log) and abs(two.pair.log) < 1
    for side in (base, head):
        assert side.cpu_seconds > 0
        assert side.peak_bytes > 2**26
        assert set(side.phases) >= {"forward"}
    # The second process warmed up by as many steps as the first: the same images, and the optimizer at the same steps.
    assert (base.steps.warmup_discarded, base.steps.warmup) == (head.steps.warmup_discarded, head.steps.warmup)
    assert (base.steps.optimizer, len(base.steps.window)) == (head.steps.optimizer, len(head.steps.window))
    assert base.steps.warmup == 1
    assert two.effective[0] == two.effective[1]
    usable = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    assert len(two.pair.processors) == (1 if len(usable) > 1 and two.effective[0]["threads"] == 1 else 0)
    assert two.plan.window_steps == len(base.steps.window)
    assert (two.pair.block_steps, two.pair.interleaved_within_steps) == (1, True)
    for side in (base, head):  # what passes while the other one has its turn is in no step and in no part
        parts = sum(side.phases[name].seconds[0] for name in side.phases)
        assert parts < max(side.steps.window)
    assert sum(base.steps.window) + sum(head.steps.window) < two.pair.seconds
    again = pairs.run_interleaved(pairing(mode=mode, batch=4), False, random.Random(1), two.plan)
    assert again.pair.base.steps.optimizer == base.steps.optimizer


def test_a_case_that_is_substituted_says_which_side_and_why(pairing):
    with pytest.raises(WorkerFailed, match=r"head: .*amp on requested") as raised:
        pairs.run_interleaved(pairing(amp="on"), True, random.Random(0), None)
    assert raised.value.outcome.status.value == "substituted"


def test_one_after_the_other_where_they_may_not_live_at_once(pairing):
    two = pairs.run_sequential(pairing(batch=4), False)
    assert not two.pair.lockstep
    assert two.pair.base.steps.window and two.pair.head.steps.window


def test_a_comparison_leaves_nothing_behind(forking, tmp_path):
    planned = tiny(batch=4)
    side = EnvironmentSide(asked="torch", key="0", packages=[], environment=forking.interpreter.environment)
    result = Comparison(
        run="run",
        started="2026-11-25T10:10:10+00:00",
        machine=make_machine(),
        base=side,
        head=side,
        margin=0.03,
        margin_from="",
        memory_margin=0.02,
        cases=[CaseComparison(case=planned.case, recipe=planned.recipe)],
    )
    before = descriptors()

    def two_pairs(comparison):
        return {planned.case.id: False} if len(comparison.cases[0].pairs) < 2 else {}

    PairScheduler(result, (forking, forking), tmp_path, two_pairs, lambda *_: None).run()
    assert read_comparison(tmp_path) == msgspec.structs.replace(result, run=tmp_path.name)
    assert [pair.head_first for pair in result.cases[0].pairs].count(True) in (0, 1, 2)
    assert descriptors() <= before + 1  # the parent's own socket, where it was not open yet
    place = Path(os.environ["YOLOPACE_CACHE"]) / "scratch"
    assert not [entry for entry in place.iterdir() if entry.name.startswith(f"{os.getpid()}-")]


def descriptors():
    with contextlib.suppress(OSError):
        return len(os.listdir("/proc/self/fd"))
    return 0
