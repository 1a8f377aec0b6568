"""Verdicts from pairs: what a look says, when it stops, and how often it would be wrong."""

from __future__ import annotations

import math
import random
import statistics

import numpy as np
import pytest
from scipy import stats

from bench.compare.estimator import pending_cases
from bench.compare.verdict import (
    FRESH_CONFIDENCE,
    FRESH_LOOKS,
    LEVEL,
    LOOKS,
    Estimate,
    Verdict,
    confirm,
    estimate,
    holm,
    interim_decision,
    interim_look,
    judge,
    order_effect,
    overall,
    p_over_looks,
    p_value,
    significant_cases,
)
from bench.records.comparison import SideOutcome
from bench.records.outcome import Outcome, Status
from tests.builders import make_compared, make_comparison, make_pair

STILL = [0.001, -0.001, 0.002, -0.002]
FEW, MANY = FRESH_LOOKS
SLOWER = [0.101, 0.099, 0.102, 0.098]


def noise(count: int, seed: int, mean: float = 0.0, sd: float = 0.01) -> list[float]:
    draw = random.Random(seed)
    return [draw.gauss(mean, sd) for _ in range(count)]


# One estimate


def test_an_estimate_is_students_interval_of_the_logarithms() -> None:
    logs = noise(8, 1, 0.03)
    log_estimate = estimate(logs)
    low, high = stats.t.interval(0.95, 7, np.mean(logs), stats.sem(logs))
    assert (log_estimate.log - log_estimate.half, log_estimate.log + log_estimate.half) == (
        pytest.approx(low),
        pytest.approx(high),
    )
    assert (log_estimate.low, log_estimate.high) == (pytest.approx(math.exp(low)), pytest.approx(math.exp(high)))
    assert log_estimate.ratio == pytest.approx(math.exp(np.mean(logs)))
    assert interim_look(logs).half > log_estimate.half


def test_one_pair_says_nothing_and_shows_no_nonsense() -> None:
    log_estimate = estimate([0.3])
    assert (log_estimate.half, log_estimate.low) == (math.inf, 0.0)
    assert math.isfinite(log_estimate.high) and math.isfinite(log_estimate.decidable)
    assert log_estimate.verdict(0.03) is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("log", "half", "verdict"),
    [
        (0.0, 0.01, Verdict.SAME),
        (0.02, 0.005, Verdict.SAME),  # there is a difference, and it counts as none
        (0.02, 0.015, Verdict.INCONCLUSIVE),
        (0.05, 0.01, Verdict.SLOWER),
        (0.05, 0.049, Verdict.SLOWER),
        (0.05, 0.051, Verdict.INCONCLUSIVE),
        (0.029, 0.01, Verdict.INCONCLUSIVE),  # less than the margin, and perhaps more
    ],
)
def test_what_an_interval_says_at_a_margin_of_three_percent(log: float, half: float, verdict: Verdict) -> None:
    assert Estimate(log, half, 8).verdict(0.03) is verdict
    mirrored = {Verdict.SLOWER: Verdict.FASTER}.get(verdict, verdict)
    assert Estimate(-log, half, 8).verdict(0.03) is mirrored


def test_swapping_base_and_head_swaps_the_verdict() -> None:
    for seed in range(200):
        logs = noise(8, seed, mean=0.03 * (seed % 3 - 1), sd=0.02)
        turned = {Verdict.SLOWER: Verdict.FASTER, Verdict.FASTER: Verdict.SLOWER}
        verdict = estimate(logs).verdict(0.02)
        assert estimate([-log for log in logs]).verdict(0.02) is turned.get(verdict, verdict)


def test_the_margin_that_would_decide_is_the_one_that_does() -> None:
    log_estimate = estimate(noise(8, 3, 0.01))
    assert log_estimate.verdict(log_estimate.decidable * 1.001) is Verdict.SAME
    assert log_estimate.verdict(log_estimate.decidable * 0.999) is not Verdict.SAME


# Looks


def test_it_looks_after_four_eight_and_twelve_pairs_alone() -> None:
    undecided = [0.05, -0.05] * 6
    for count in range(1, 12):
        assert interim_decision(undecided[:count], 0.03) is None
    word = interim_decision(undecided, 0.03)
    assert word is not None and (word[0], word[1].pairs) == (Verdict.INCONCLUSIVE, 12)
    assert interim_decision(SLOWER[:3], 0.03) is None
    assert interim_decision([], 0.03) is None


def test_the_first_look_that_decides_has_the_word_whatever_comes_after_it() -> None:
    word = interim_decision([*STILL, *[0.2] * 8], 0.03)
    assert word is not None and (word[0], word[1].pairs) == (Verdict.SAME, 4)
    late = [0.05, -0.05, 0.05, -0.05, *SLOWER, *SLOWER]
    word = interim_decision(late, 0.03)
    assert word is not None and word[1].pairs == 12


def test_nothing_passes_for_something_about_as_seldom_as_promised() -> None:
    """Repeated looks at nothing: the interval of one of them misses 0 in one of twenty cases."""
    missed = sum(
        any(not interim_look(logs[:count]).includes_zero for count in LOOKS)
        for logs in (noise(12, seed) for seed in range(4000))
    )
    assert missed / 4000 == pytest.approx(LEVEL, abs=0.012)


def test_both_looks_at_fresh_pairs_together_miss_the_truth_as_seldom_as_promised() -> None:
    missed = sum(
        any(not estimate(fresh[:count], FRESH_CONFIDENCE).includes_zero for count in FRESH_LOOKS)
        for fresh in (noise(MANY, seed) for seed in range(4000))
    )
    assert missed / 4000 == pytest.approx(LEVEL, abs=0.012)


def test_fresh_pairs_end_at_the_first_look_that_confirms_or_finds_nothing() -> None:
    assert confirm(Verdict.SLOWER, SLOWER[:3], 0.03) is None
    early = confirm(Verdict.SLOWER, [*SLOWER, *[-0.1] * 4], 0.03)
    assert early is not None and (early.pairs, early.confidence) == (FEW, FRESH_CONFIDENCE)
    nothing = confirm(Verdict.SLOWER, [*STILL, *SLOWER], 0.03)
    assert nothing is not None and (nothing.pairs, nothing.verdict(0.03)) == (FEW, Verdict.SAME)
    wide = [0.05, -0.05, 0.06, -0.06]
    assert confirm(Verdict.SLOWER, [*wide, *SLOWER[:3]], 0.03) is None
    late = confirm(Verdict.SLOWER, [*wide, *SLOWER], 0.03)
    assert late is not None and late.pairs == MANY
    contrary = confirm(Verdict.FASTER, SLOWER, 0.03)
    assert contrary is None  # the other way round decides nothing yet


# Chances


def test_a_chance_is_students() -> None:
    logs = noise(8, 5, 0.01)
    assert p_value(logs) == pytest.approx(stats.ttest_1samp(logs, 0).pvalue)
    assert p_value([0.1]) == p_value([]) == 1.0
    assert (p_value([0.1, 0.1]), p_value([0.0, 0.0])) == (0.0, 1.0)


def test_a_chance_over_looks_counts_those_that_were_taken() -> None:
    logs = [*SLOWER, *noise(6, 2)]
    assert p_over_looks(logs) == pytest.approx(3 * min(p_value(logs[:4]), p_value(logs[:8])))
    assert p_over_looks(SLOWER[:3]) == 1.0
    assert p_over_looks([0.1, -0.1] * 6) == 1.0


def test_holm_is_stricter_the_more_there_are() -> None:
    assert holm({"a": 0.04}) == {"a"}
    assert holm({"a": 0.04, "b": 0.9}) == set()
    assert holm({"a": 0.02, "b": 0.04}) == {"a", "b"}
    assert holm({"a": 0.02, "b": 0.06}) == {"a"}
    assert holm({"a": 0.02, "b": 0.03, "c": 0.5}) == set()
    assert holm({}) == set()


# A case


def test_what_is_the_same_or_undecided_is_reported_from_its_look() -> None:
    judged = judge(STILL, [], 0.03, real=False)
    assert judged is not None
    assert (judged.verdict, judged.estimate.pairs, judged.alarm) == (Verdict.SAME, 4, None)
    judged = judge([0.05, -0.05], [], 0.03, real=False)
    assert judged is not None
    assert (judged.verdict, judged.note) == (Verdict.INCONCLUSIVE, "stopped after 2 pairs")
    assert judge([], [], 0.03, real=False) is None


def test_an_alarm_that_fresh_pairs_confirm_is_reported_from_those_alone() -> None:
    fresh = noise(FEW, 7, 0.06, 0.002)
    judged = judge(SLOWER, fresh, 0.03, real=True)
    assert judged is not None
    assert (judged.verdict, judged.alarm) == (Verdict.SLOWER, Verdict.SLOWER)
    assert judged.estimate == estimate(fresh, FRESH_CONFIDENCE)
    assert judged.estimate.log == pytest.approx(statistics.fmean(fresh))


@pytest.mark.parametrize(
    ("mean", "sd", "verdict"),
    [(0.0, 0.002, Verdict.SAME), (0.03, 0.02, Verdict.INCONCLUSIVE), (-0.06, 0.002, Verdict.INCONCLUSIVE)],
)
def test_an_alarm_that_fresh_pairs_do_not_confirm_is_none(mean: float, sd: float, verdict: Verdict) -> None:
    judged = judge(SLOWER, noise(MANY, 11, mean, sd), 0.03, real=True)
    assert judged is not None
    assert (judged.verdict, judged.alarm) == (verdict, Verdict.SLOWER)
    assert judged.note == "slower at first, which fresh pairs did not confirm"


def test_an_alarm_without_its_fresh_pairs_is_not_decided() -> None:
    judged = judge(SLOWER, [0.1] * (FEW - 1), 0.03, real=True)
    assert judged is not None
    assert (judged.verdict, judged.alarm) == (Verdict.INCONCLUSIVE, Verdict.SLOWER)
    assert "before fresh pairs confirmed it" in judged.note


def test_an_alarm_among_many_cases_has_to_stand_against_their_number() -> None:
    weak = [0.04, 0.06, 0.045, 0.055]
    assert interim_decision(weak, 0.03) is not None
    assert significant_cases({"a": weak}, 0.03) == {"a"}
    others = {f"still {number}": STILL for number in range(60)}
    assert significant_cases({"a": weak, **others}, 0.03) == set()
    assert significant_cases({"a": SLOWER, **others}, 0.03) == {"a"}


def test_an_alarm_that_does_not_stand_decides_nothing_and_the_looks_go_on() -> None:
    weak = [0.04, 0.06, 0.045, 0.055]
    others = [make_compared(STILL, batch=batch) for batch in range(1, 61)]
    case = make_compared(weak, batch=64)
    comparison = make_comparison(cases=[case, *others], margin=0.03)
    assert pending_cases(comparison) == {case.case.id: False}
    judged = judge(weak, [], 0.03, real=False)
    assert judged is not None
    assert (judged.verdict, judged.note) == (Verdict.INCONCLUSIVE, "stopped after 4 pairs")
    case.pairs += [make_pair(log) for log in weak]  # more of the same: now it stands
    assert pending_cases(comparison) == {case.case.id: True}
    # Had they said otherwise, that would count: each interval holds whatever came of the others.
    judged = judge([*weak, *[-0.045, -0.05, -0.055, -0.05]], [], 0.03, real=False)
    assert judged is not None and judged.verdict is Verdict.INCONCLUSIVE
    calm = [*weak, *STILL, *[0.0] * 4]
    judged = judge(calm, [], 0.05, real=False)
    assert judged is not None and judged.verdict is Verdict.SAME


def test_an_alarm_that_never_stands_says_so_after_all_looks() -> None:
    weak = [0.04, 0.06, 0.045, 0.055] * 3
    judged = judge(weak, [], 0.03, real=False)
    assert judged is not None
    assert (judged.verdict, judged.alarm, judged.estimate.pairs) == (Verdict.INCONCLUSIVE, Verdict.SLOWER, 12)
    assert "perhaps by chance" in judged.note


# All cases


def test_all_cases_together_are_their_geometric_mean_in_the_rounds_that_all_had() -> None:
    judged = overall([[0.1, 0.2, 0.3], [0.0, 0.1, 0.2, 9.0]], 0.03)
    assert judged is not None
    assert (judged.estimate.log, judged.estimate.pairs) == (pytest.approx(0.15), 3)
    assert overall([], 0.03) is None
    assert overall([[], [0.1]], 0.03) is None


# What is still to measure


def test_undecided_cases_want_pairs_and_alarms_want_fresh_ones_when_all_looks_are_over() -> None:
    early, still, alarm = (
        make_compared(pairs=[make_pair(log) for log in logs], batch=batch)
        for logs, batch in ((STILL[:2], 1), (STILL, 2), (SLOWER, 4))
    )
    comparison = make_comparison(cases=[early, still, alarm], margin=0.03)
    assert pending_cases(comparison) == {early.case.id: False}
    early.pairs += [make_pair(log) for log in STILL[2:]]
    assert pending_cases(comparison) == {alarm.case.id: True}
    alarm.pairs += [make_pair(log, confirmation=True) for log in SLOWER[: FEW - 1]]
    assert pending_cases(comparison) == {alarm.case.id: True}
    alarm.pairs.append(make_pair(SLOWER[-1], confirmation=True))
    assert pending_cases(comparison) == {}
    alarm.pairs[-1] = make_pair(-0.1, confirmation=True)  # four that do not agree want four more
    assert pending_cases(comparison) == {alarm.case.id: True}
    alarm.pairs += [make_pair(log, confirmation=True) for log in SLOWER]
    assert pending_cases(comparison) == {}


def test_cases_that_cannot_go_on_want_nothing() -> None:
    one_sided = make_compared(head=SideOutcome(outcome=Outcome(Status.SUBSTITUTED, "No such thing.")))
    died = make_compared(error="head: it died", pairs=[make_pair(log) for log in SLOWER], batch=2)
    assert pending_cases(make_comparison(cases=[one_sided, died], margin=0.03)) == {}
    fresh = make_compared(batch=4)
    assert pending_cases(make_comparison(cases=[one_sided, died, fresh], margin=0.03)) == {fresh.case.id: False}


# The slot


def pairs_of(real: float, later: float, firsts: list[bool], seed: int, sd: float = 0.001) -> list[object]:
    draw = random.Random(seed)
    return [make_pair(real + (-later if first else later) + draw.gauss(0, sd), head_first=first) for first in firsts]


def test_the_order_effect_is_separated_from_real_differences_in_any_order() -> None:
    firsts = [True, True, True, False, True, False, True, True]  # not balanced
    cases = [pairs_of(real, 0.01, firsts, seed) for seed, real in enumerate((0.0, 0.05, -0.2))]
    effect = order_effect(cases)  # type: ignore[arg-type]
    assert effect is not None
    assert effect.log == pytest.approx(0.01, abs=0.001)
    assert effect.half < 0.002
    assert effect.pairs == 24


def test_an_order_effect_that_cannot_be_estimated() -> None:
    assert order_effect([]) is None
    assert order_effect([[]]) is None
    for case in ([make_pair(0.1)], [make_pair(0.1), make_pair(0.2)], [make_pair(0.1), make_pair(0.2, head_first=True)]):
        effect = order_effect([case])
        assert effect is not None and effect.half == math.inf
