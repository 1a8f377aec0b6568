"""Which figure of its pairs a case is judged by: stalls are found, and noise is not taken for one."""

from __future__ import annotations

import random
from collections.abc import Sequence

import msgspec
import pytest

from bench.compare.estimator import is_localized, pair_ratios, pending_cases
from bench.compare.findings import evaluate
from bench.compare.verdict import Verdict
from bench.records.comparison import Pair, SideOutcome
from tests.builders import make_compared, make_comparison, make_measured, make_pair, make_steps

MARGIN = 0.03
STEPS = 24


def pair(
    draw: random.Random, *, stall: float = 0.0, slower: float = 1.0, noise: float = 0.004, **changes: object
) -> Pair:
    """Steps of 100 ms that scatter; every eighth one of head stalls for so many seconds."""
    base, head = ([0.1 * draw.gauss(1, noise) for _ in range(STEPS)] for _ in range(2))
    late = [slower * step + stall * (index % 8 == 0) for index, step in enumerate(head)]
    sides = {"base": make_measured(steps=make_steps(base)), "head": make_measured(steps=make_steps(late))}
    return make_pair(**sides, block_steps=1, **changes)  # type: ignore[arg-type]


def pairs(seed: int, looks: int, fresh: int = 0, **changes: float) -> list[Pair]:
    draw = random.Random(seed)
    return [pair(draw, confirmation=number >= looks, **changes) for number in range(looks + fresh)]  # type: ignore[arg-type]


def judged(measured_pairs: Sequence[Pair]) -> tuple[Verdict | None, bool, float]:
    case = make_compared(base=SideOutcome(), head=SideOutcome(), pairs=list(measured_pairs))
    [finding] = evaluate(make_comparison([case], margin=MARGIN)).findings
    assert finding.judged is not None
    return finding.verdict, finding.counts_every_step, finding.judged.estimate.ratio


def test_a_stall_in_every_eighth_step_is_slower_and_every_step_counts() -> None:
    measured_pairs = pairs(1, 4, 4, stall=0.08)
    assert all(measured_pair.log == pytest.approx(0, abs=0.01) for measured_pair in measured_pairs)
    verdict, whole, ratio = judged(measured_pairs)
    assert (verdict, whole) == (Verdict.SLOWER, True)
    assert ratio == pytest.approx(1.1, abs=0.005)


def test_a_stall_that_base_has_and_head_has_not_is_faster() -> None:
    measured_pairs = [
        make_pair(
            base=measured_pair.head, head=measured_pair.base, confirmation=measured_pair.confirmation, block_steps=1
        )
        for measured_pair in pairs(2, 4, 4, stall=0.08)
    ]
    verdict, whole, _ = judged(measured_pairs)
    assert (verdict, whole) == (Verdict.FASTER, True)


def test_steps_that_are_all_slower_are_judged_by_their_neighbours() -> None:
    verdict, whole, ratio = judged(pairs(3, 4, 4, slower=1.05))
    assert (verdict, whole) == (Verdict.SLOWER, False)
    assert ratio == pytest.approx(1.05, abs=0.004)


def test_stalls_that_outweigh_faster_steps_are_slower() -> None:
    verdict, whole, ratio = judged(pairs(11, 4, 4, slower=0.96, stall=0.08))
    assert (verdict, whole) == (Verdict.SLOWER, True)
    assert ratio == pytest.approx(1.06, abs=0.01)


def test_stalls_that_undo_what_faster_steps_gain_are_not_faster() -> None:
    verdict, whole, ratio = judged(pairs(12, 8, 8, slower=0.95, stall=0.04))
    assert whole and verdict is not Verdict.FASTER
    assert ratio == pytest.approx(1.0, abs=0.01)


def test_slower_steps_with_stalls_too_are_not_understated() -> None:
    verdict, whole, ratio = judged(pairs(13, 4, 4, slower=1.05, stall=0.08))
    assert (verdict, whole) == (Verdict.SLOWER, True)
    assert ratio == pytest.approx(1.15, abs=0.01)


def test_pairs_with_and_without_turns_of_a_step_stand_together() -> None:
    measured_pairs = [
        msgspec.structs.replace(measured_pair, block_steps=place % 2)
        for place, measured_pair in enumerate(pairs(14, 4, 4, slower=1.05))
    ]
    verdict, _, ratio = judged(measured_pairs)
    assert verdict is Verdict.SLOWER and ratio == pytest.approx(1.05, abs=0.005)


def test_of_two_cases_the_one_with_stalls_stands_for_itself() -> None:
    stalling = make_compared(base=SideOutcome(), head=SideOutcome(), pairs=pairs(15, 4, 4, stall=0.08))
    calm = make_compared(base=SideOutcome(), head=SideOutcome(), pairs=pairs(16, 4), batch=8)
    result = evaluate(make_comparison([stalling, calm], margin=MARGIN))
    assert [(finding.verdict, finding.counts_every_step) for finding in result.findings] == [
        (Verdict.SLOWER, True),
        (Verdict.SAME, False),
    ]
    assert pending_cases(result.comparison) == {}


def test_a_stall_that_came_once_is_none() -> None:
    measured_pairs = [*pairs(4, 1, stall=0.4), *pairs(5, 3)]
    assert not is_localized(measured_pairs, MARGIN)
    assert judged(measured_pairs)[:2] == (Verdict.SAME, False)


def test_stalls_of_both_sides_alike_are_none() -> None:
    draw = random.Random(6)
    measured_pairs = []
    for _ in range(4):
        sides = []
        for _ in range(2):
            seconds = [0.1 * draw.gauss(1, 0.004) for _ in range(STEPS)]
            for index in draw.sample(range(STEPS), 3):
                seconds[index] += 0.1
            sides.append(make_measured(steps=make_steps(seconds)))
        measured_pairs.append(make_pair(base=sides[0], head=sides[1], block_steps=1))
    assert judged(measured_pairs)[:2] == (Verdict.SAME, False)


def test_noise_seldom_passes_for_stalls() -> None:
    """Of nothing that differs, with steps that are disturbed now and then on either side."""
    draw = random.Random(7)
    alarms = 0
    for _ in range(150):
        measured_pairs = []
        for _ in range(12):
            sides = [
                [0.1 * draw.gauss(1, 0.02) * (1 + draw.random() * (draw.random() < 0.1)) for _ in range(STEPS)]
                for _ in range(2)
            ]
            base, head = (make_measured(steps=make_steps(seconds)) for seconds in sides)
            measured_pairs.append(make_pair(base=base, head=head, block_steps=1))
        alarms += is_localized(measured_pairs, 0.01)
    assert alarms <= 12  # one of twenty would be 7.5


def test_without_turns_of_a_step_there_is_one_figure() -> None:
    case = make_compared([0.1, 0.11, 0.09, 0.1], [0.1])
    logs = pair_ratios(case, MARGIN)
    assert not logs.counts_every_step
    assert logs.interim == [
        measured_pair.log_ratio_of_means for measured_pair in case.interim
    ] and logs.confirmation == [measured_pair.log_ratio_of_means for measured_pair in case.confirmation]


def test_a_stall_wants_fresh_pairs_and_then_no_more() -> None:
    case = make_compared(base=SideOutcome(), head=SideOutcome(), pairs=pairs(8, 4, stall=0.08))
    comparison = make_comparison([case], margin=MARGIN)
    assert pending_cases(comparison) == {case.case.id: True}
    case.pairs = pairs(8, 4, 4, stall=0.08)
    assert pending_cases(comparison) == {}


def test_a_stall_that_fresh_pairs_do_not_show_is_not_slower() -> None:
    measured_pairs = [*pairs(9, 4, stall=0.08), *(pair(random.Random(10 + n), confirmation=True) for n in range(8))]
    verdict, whole, _ = judged(measured_pairs)
    assert whole and verdict is Verdict.SAME
