from __future__ import annotations

import math
import random
import statistics
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from bench.compare.estimator import pending_cases
from bench.compare.findings import ComparisonResult, Conclusion, Standing, evaluate, exit_code
from bench.compare.settings import differing
from bench.compare.verdict import FRESH_LOOKS, Verdict
from bench.errors import ExitCode
from bench.records.comparison import CaseComparison, Comparison, Measurement, Pair, SideOutcome
from bench.records.outcome import Outcome, Status
from bench.records.record import Memory, Phase
from tests.builders import make_compared, make_comparison, make_measured, make_pair, make_pairs, make_side, make_steps

MIB = 2**20
FULL = SideOutcome(outcome=Outcome(Status.OUT_OF_MEMORY, "Tried to allocate 9 GiB."))
FAILED = SideOutcome(outcome=Outcome(Status.FAILED, "It broke."))
STOPPED = SideOutcome(outcome=Outcome(Status.INTERRUPTED, "Stopped."))
RUNS = SideOutcome()
FEW = FRESH_LOOKS[0]
"""Fresh pairs that decide where they agree."""


def around(middle: float, count: int = 4, by: float = 0.003) -> list[float]:
    """Logarithms that scatter a little, with just this mean where there is an even number of them."""
    return [middle + (by if number % 2 else -by) for number in range(count)]


def slower(**changes: Any) -> CaseComparison:
    """A case whose alarm at 6 % was confirmed at 5 %."""
    return make_compared(around(0.06), around(0.05, FEW), **changes)


def same(**changes: Any) -> CaseComparison:
    return make_compared(around(0.001), **changes)


def faster(**changes: Any) -> CaseComparison:
    return make_compared(around(-0.06), around(-0.05, FEW), **changes)


def undecided(**changes: Any) -> CaseComparison:
    return make_compared(around(0.02, 12, 0.05), **changes)


def one_sided(base: SideOutcome, head: SideOutcome, **changes: Any) -> CaseComparison:
    return make_compared(base=base, head=head, **changes)


def evaluate_cases(*cases: CaseComparison, **changes: Any) -> ComparisonResult:
    return evaluate(make_comparison(cases, **changes))


def itself(*cases: CaseComparison) -> ComparisonResult:
    return evaluate_cases(*cases, head=make_side())


def remembering(ratios: Sequence[float], **changes: Any) -> CaseComparison:
    """A case of the same speed whose head needs so many times the memory, pair by pair."""
    pairs = [
        make_pair(
            log, head=make_measured(0.25 * math.exp(log), memory={"process": Memory(round(640 * MIB * r), "rss")})
        )
        for log, r in zip(around(0.0, len(ratios)), ratios, strict=True)
    ]
    return make_compared(base=RUNS, head=RUNS, pairs=pairs, **changes)


# Speed


def test_a_confirmed_alarm_reports_the_fresh_pairs_alone() -> None:
    [finding] = evaluate_cases(slower()).findings
    assert finding.judged is not None and finding.verdict is Verdict.SLOWER and finding.confirmed
    assert finding.judged.estimate.log == pytest.approx(0.05)
    assert finding.interim is not None and finding.interim.log == pytest.approx(0.06)
    assert len(finding.counted) == FEW and all(pair.confirmation for pair in finding.counted)
    assert finding.pairs == (4, FEW)


def test_an_alarm_that_fresh_pairs_refute_is_not_raised_again_by_all_cases_together() -> None:
    result = evaluate_cases(make_compared(around(0.2), around(0.001, FEW)), same(batch=4))
    assert [finding.verdict for finding in result.findings] == [Verdict.SAME, Verdict.SAME]
    assert result.overall is not None and result.overall.verdict is Verdict.SAME
    assert exit_code(result) is ExitCode.OK


def test_speeds_of_both_sides_and_the_reported_ratio_agree() -> None:
    draw = random.Random(20261122)
    for count in (1, 2, 4, 7, 8, 12):
        [finding] = evaluate_cases(make_compared([draw.gauss(0, 0.05) for _ in range(count)])).findings
        assert finding.base is not None and finding.head is not None and finding.judged is not None
        assert finding.head.seconds / finding.base.seconds == pytest.approx(finding.judged.estimate.ratio)
        assert finding.base.images_per_second == pytest.approx(16 / finding.base.seconds)
        assert len(finding.counted) == finding.judged.estimate.pairs


def test_a_figure_leaves_out_the_pairs_beyond_the_look_that_decided() -> None:
    [finding] = evaluate_cases(make_compared([*around(0.0), 0.5, 0.5])).findings
    assert finding.verdict is Verdict.SAME and len(finding.counted) == 4
    assert finding.head is not None and finding.head.seconds == pytest.approx(0.25)


def test_one_case_is_its_own_overall_figure() -> None:
    result = evaluate_cases(slower())
    assert result.overall == result.findings[0].judged and not result.covers_several_cases
    assert evaluate_cases(slower(), same(batch=4)).covers_several_cases


def test_nothing_at_all_has_no_figure() -> None:
    result = evaluate_cases()
    assert (result.overall, result.order_effect, result.findings) == (None, None, ())
    assert exit_code(result) is ExitCode.NOTHING_MEASURED


def test_one_pair_says_nothing_yet() -> None:
    result = evaluate_cases(make_compared([0.5]))
    assert result.findings[0].verdict is Verdict.INCONCLUSIVE
    assert exit_code(result) is ExitCode.NOT_COMPARABLE


def test_a_case_that_ended_early_does_not_take_the_others_rounds() -> None:
    result = evaluate_cases(same(), slower(batch=4), make_compared([0.3], batch=8, error="It died."))
    assert [finding.id for finding in result.together] == [finding.id for finding in result.findings[:2]]
    assert result.overall is not None and result.overall.estimate.pairs == 4
    few = evaluate_cases(make_compared([0.0, 0.01]), make_compared([0.0], batch=4))
    assert few.overall is not None and few.overall.estimate.pairs == 1, "where no case has more"


def test_whatever_was_to_be_measured_is_judged_by_the_same_alarms() -> None:
    """Where nothing is outstanding, no case waits for its confirmation."""
    draw = random.Random(7)
    for _ in range(60):
        cases = [
            make_compared([draw.gauss(draw.choice((0, 0.03)), 0.02) for _ in range(12)], batch=b) for b in (2, 4, 8)
        ]
        comparison = make_comparison([*cases, one_sided(RUNS, FULL, batch=64), make_compared(batch=128, error="No.")])
        while wanted := pending_cases(comparison):
            for case in comparison.cases:
                if case.case.id in wanted:
                    case.pairs += make_pairs([draw.gauss(0.03, 0.02)], confirmation=wanted[case.case.id])
        for finding in evaluate(comparison).findings:
            assert finding.judged is None or "it ended before" not in finding.judged.note


# Parts of a step


def phases(**seconds: float) -> dict[str, Phase]:
    return {name: Phase([value], "clock") for name, value in seconds.items()}


def make_phase_pairs(
    base: dict[str, Phase], head: dict[str, Phase], took: tuple[float, float], **changes: Any
) -> list[Pair]:
    def measured(seconds: float, parts: dict[str, Phase]) -> Measurement:
        steps = make_steps([seconds] * 4, warmup=[seconds], data_wait=0.01)
        return make_measured(steps=steps, phases=parts)

    return [make_pair(base=measured(took[0], base), head=measured(took[1], head), **changes) for _ in range(4)]


def test_the_part_that_grew_most_stands_first_and_all_of_them_make_up_the_change() -> None:
    before, after = (
        phases(forward=0.1, backward=0.1, optimizer=0.02),
        phases(forward=0.1, backward=0.13, optimizer=0.01),
    )
    [finding] = evaluate_cases(
        make_compared(base=RUNS, head=RUNS, pairs=make_phase_pairs(before, after, (0.25, 0.27)))
    ).findings
    assert [part.name for part in finding.parts] == ["backward", "data", "forward", "rest", "optimizer"]
    assert sum(part.change for part in finding.parts) == pytest.approx(0.02)
    assert finding.change == pytest.approx(0.02)
    assert finding.share(finding.parts[0]) == pytest.approx(1.5)
    assert sum(finding.share(part) or 0 for part in finding.parts) == pytest.approx(1.0)


def test_where_a_step_became_shorter_the_part_that_shrank_most_stands_first() -> None:
    pairs = make_phase_pairs(phases(forward=0.1, backward=0.1), phases(forward=0.05, backward=0.11), (0.25, 0.21))
    [finding] = evaluate_cases(make_compared(base=RUNS, head=RUNS, pairs=pairs)).findings
    assert (finding.parts[0].name, finding.parts[-1].name) == ("forward", "backward")


def test_a_part_that_one_side_does_not_tell_is_in_the_rest() -> None:
    pairs = make_phase_pairs(phases(forward=0.1, optimizer=0.1), phases(forward=0.1), (0.25, 0.25))
    [finding] = evaluate_cases(make_compared(base=RUNS, head=RUNS, pairs=pairs)).findings
    parts = {part.name: part for part in finding.parts}
    assert set(parts) == {"data", "forward", "rest"}
    assert parts["rest"].base == pytest.approx(0.14)


def test_parts_that_are_more_than_the_step_have_no_rest() -> None:
    """As on a device that is waited for at every mark, in steps of their own."""
    pairs = make_phase_pairs(phases(forward=0.2, backward=0.2), phases(forward=0.2, backward=0.2), (0.25, 0.25))
    [finding] = evaluate_cases(make_compared(base=RUNS, head=RUNS, pairs=pairs)).findings
    assert {part.name for part in finding.parts} == {"data", "forward", "backward"}
    assert all(finding.share(part) is None for part in finding.parts), "of a step that did not change"


def test_prediction_waits_for_no_data() -> None:
    [finding] = evaluate_cases(same(mode="predict")).findings
    assert "data" not in {part.name for part in finding.parts}


def test_a_part_without_a_mean_is_left_out() -> None:
    steps = make_steps([0.25] * 4, warmup=[0.25], accumulation_steps=4, optimizer=[3])
    parts = {"forward": Phase([0.1, None, None], "clock"), "backward": Phase([0.1, 0.1, 0.1], "clock")}
    measured = make_measured(steps=steps, phases=parts)
    pairs = [make_pair(base=measured, head=measured)] * 4
    [finding] = evaluate_cases(make_compared(base=RUNS, head=RUNS, pairs=pairs)).findings
    assert {part.name for part in finding.parts} == {"data", "backward", "rest"}


# Memory


@pytest.mark.parametrize(
    ("ratios", "verdict"),
    [
        ([1.0] * 4, Verdict.SAME),
        ([1.125] * 4, Verdict.SLOWER),
        ([0.8] * 4, Verdict.FASTER),
        ([1.03, 1.02, 1.03, 1.02], Verdict.SAME),
        ([1.0, 1.3, 0.9, 1.2], Verdict.INCONCLUSIVE),
        ([1.5], Verdict.INCONCLUSIVE),
    ],
)
def test_memory_has_a_margin_of_its_own(ratios: list[float], verdict: Verdict) -> None:
    peak = evaluate_cases(remembering(ratios)).findings[0].memory
    assert peak is not None and peak.verdict is verdict
    assert peak.base == pytest.approx(640 * MIB)
    assert peak.head / peak.base == pytest.approx(peak.estimate.ratio, rel=1e-6)
    assert (peak.figure, peak.method) == ("process", "VmHWM, peak resident set since set-up; rss")


def test_with_many_cases_more_memory_may_be_by_chance() -> None:
    grown = remembering([1.08, 1.12, 1.16, 1.2])
    for others, verdict in ((0, Verdict.SLOWER), (40, Verdict.INCONCLUSIVE)):
        peak = evaluate_cases(grown, *(same(batch=number) for number in range(100, 100 + others))).findings[0].memory
        assert peak is not None and peak.verdict is verdict


def test_the_allocators_figure_goes_before_the_process() -> None:
    memory = {"allocated": Memory(100, "allocator"), "reserved": Memory(9, "x"), "process": Memory(700, "rss")}
    measured = make_measured(memory=memory)
    [finding] = evaluate_cases(
        make_compared(base=RUNS, head=RUNS, pairs=[make_pair(base=measured, head=measured)])
    ).findings
    assert finding.memory is not None and finding.memory.figure == "allocated"
    assert finding.memory.base == pytest.approx(100)


def test_a_figure_that_one_side_lacks_does_not_compare() -> None:
    lacking = make_measured(memory={"process": Memory(None, "not told")})
    pairs = [*make_pairs([0.0] * 3), make_pair(head=lacking)]
    assert evaluate_cases(make_compared(base=RUNS, head=RUNS, pairs=pairs)).findings[0].memory is None


def test_memory_that_is_not_decided_leaves_the_conclusion_as_it_is() -> None:
    result = evaluate_cases(remembering([1.0, 1.3, 0.9, 1.2]))
    assert (result.conclusion, exit_code(result)) == (Conclusion.SAME, ExitCode.OK)


# Settings


def test_settings_that_differ_are_named_with_both_values_and_their_cases() -> None:
    def flipped(batch: int, **changes: Any) -> CaseComparison:
        case = same(batch=batch)
        assert case.base is not None
        return msgspec.structs.replace(case, head=SideOutcome(effective={**case.base.effective, **changes}))

    result = evaluate_cases(flipped(4, mosaic=0.0), flipped(8, mosaic=0.0, optimizer="MuSGD"), same(batch=16))
    ids = [finding.id for finding in result.findings]
    assert [(setting.key, setting.base, setting.head) for setting in result.settings] == [
        ("mosaic", 1.0, 0.0),
        ("optimizer", "SGD", "MuSGD"),
    ]
    assert [setting.cases for setting in result.settings] == [(ids[0], ids[1]), (ids[1],)]
    assert result.one_sided_settings == () and exit_code(result) is ExitCode.OK


def test_what_one_side_does_not_tell_is_no_difference_of_what_runs() -> None:
    base = {"mosaic": 1.0, "nnpack": None, "old": 3, "warnings": ["a"]}
    head = {"mosaic": 1.0, "nnpack": True, "new": False, "warnings": ["b"]}
    assert list(differing(base, head)) == [
        ("nnpack", None, True, False),
        ("old", 3, None, False),
        ("new", None, False, False),
    ]
    result = evaluate_cases(
        msgspec.structs.replace(same(), base=SideOutcome(effective=base), head=SideOutcome(effective=head))
    )
    assert result.settings == () and [setting.key for setting in result.one_sided_settings] == ["nnpack", "old", "new"]


def test_a_setting_of_several_parts_differs_by_its_parts() -> None:
    base, head = {"variables": {"A": "1", "B": "2"}}, {"variables": {"A": "1", "B": "3", "C": "4"}}
    assert list(differing(base, head)) == [("variables.B", "2", "3", True), ("variables.C", None, "4", True)]


def test_numbers_that_are_equal_are_no_difference() -> None:
    assert list(differing({"multi_scale": False, "mosaic": 1}, {"multi_scale": 0.0, "mosaic": 1.0})) == []


# Cases that cannot be compared


@pytest.mark.parametrize(
    ("base", "head", "standing", "code"),
    [
        (RUNS, FULL, Standing.BASE_ONLY, ExitCode.REGRESSION),
        (RUNS, FAILED, Standing.BASE_ONLY, ExitCode.REGRESSION),
        (FULL, RUNS, Standing.HEAD_ONLY, ExitCode.OK),
        (FULL, FULL, Standing.NEITHER, ExitCode.OK),
        (FULL, FAILED, Standing.NEITHER, ExitCode.NOT_COMPARABLE),
        (RUNS, STOPPED, Standing.UNFINISHED, ExitCode.NOT_COMPARABLE),
        (None, FULL, Standing.UNFINISHED, ExitCode.NOT_COMPARABLE),
        (RUNS, RUNS, Standing.UNFINISHED, ExitCode.NOT_COMPARABLE),
        (None, None, Standing.UNFINISHED, ExitCode.NOT_COMPARABLE),
    ],
)
def test_a_case_without_pairs(
    base: SideOutcome | None, head: SideOutcome | None, standing: Standing, code: ExitCode
) -> None:
    result = evaluate_cases(make_compared(base=base, head=head), same(batch=4))
    assert result.findings[0].standing is standing
    assert exit_code(result) is code


def test_without_any_pair_only_a_one_sided_case_says_something() -> None:
    assert exit_code(evaluate_cases(one_sided(FULL, FULL))) is ExitCode.NOTHING_MEASURED
    assert exit_code(evaluate_cases(one_sided(RUNS, RUNS))) is ExitCode.NOTHING_MEASURED
    assert exit_code(evaluate_cases(one_sided(RUNS, FULL))) is ExitCode.REGRESSION
    result = evaluate_cases(one_sided(FULL, RUNS))
    assert (result.conclusion, exit_code(result)) == (Conclusion.RUNS_MORE, ExitCode.OK)


# The whole


@pytest.mark.parametrize(
    ("cases", "conclusion", "code"),
    [
        ([same()], Conclusion.SAME, ExitCode.OK),
        ([same(), faster(batch=4)], Conclusion.FASTER, ExitCode.OK),
        ([same(), undecided(batch=4), faster(batch=8)], Conclusion.INCONCLUSIVE, ExitCode.NOT_COMPARABLE),
        ([same(), undecided(batch=4), slower(batch=8)], Conclusion.SLOWER, ExitCode.REGRESSION),
        ([remembering([1.2] * 4), faster(batch=4)], Conclusion.MORE_MEMORY, ExitCode.REGRESSION),
        ([remembering([0.5] * 4)], Conclusion.SAME, ExitCode.OK),
        ([slower(), one_sided(RUNS, FULL, batch=64)], Conclusion.SLOWER, ExitCode.REGRESSION),
        ([make_compared(around(0.06), around(0.05, 3))], Conclusion.INCONCLUSIVE, ExitCode.NOT_COMPARABLE),
        ([make_compared(around(0.0, 3), error="It died.")], Conclusion.INCONCLUSIVE, ExitCode.NOT_COMPARABLE),
    ],
)
def test_the_conclusion_in_a_word_and_the_exit_code(
    cases: list[CaseComparison], conclusion: Conclusion, code: ExitCode
) -> None:
    result = evaluate_cases(*cases)
    assert (result.conclusion, exit_code(result)) == (conclusion, code)


def test_all_cases_together_may_be_slower_though_none_is_by_itself() -> None:
    """Noise of single cases that their mean does not have."""
    result = evaluate_cases(
        make_compared([0.035 + by for by in (0.06, -0.06) * 6]),
        make_compared([0.035 + by for by in (-0.06, 0.0601) * 6], batch=4),
    )
    assert {finding.verdict for finding in result.findings} == {Verdict.INCONCLUSIVE}
    assert result.overall is not None and result.overall.verdict is Verdict.SLOWER
    assert exit_code(result) is ExitCode.NOT_COMPARABLE


def test_all_cases_together_leave_nothing_open_that_each_has_decided() -> None:
    """The overall figure has no more rounds than the case that was decided first."""
    noisy = [0.05, -0.03, 0.05, -0.03, *around(-0.01, 8, 0.0)]
    result = evaluate_cases(same(), make_compared(noisy, batch=4))
    assert [finding.verdict for finding in result.findings] == [Verdict.SAME, Verdict.SAME]
    assert result.overall is not None and result.overall.verdict is Verdict.INCONCLUSIVE
    assert (result.conclusion, exit_code(result)) == (Conclusion.SAME, ExitCode.OK)


@pytest.mark.parametrize("case", [slower(), faster(), remembering([1.5] * 4), remembering([0.5] * 4)])
def test_a_thing_that_differs_from_itself_is_a_false_alarm(case: CaseComparison) -> None:
    result = itself(case)
    assert (result.self_comparison, result.conclusion, exit_code(result)) == (
        True,
        Conclusion.FALSE_ALARM,
        ExitCode.REGRESSION,
    )


def test_a_thing_that_is_as_fast_as_itself_is_fine() -> None:
    result = itself(same(), same(batch=4))
    assert (result.conclusion, exit_code(result)) == (Conclusion.SAME, ExitCode.OK)


def test_retries_and_interfered_pairs_are_counted() -> None:
    pairs = [
        make_pair(retries=2),
        make_pair(interference=["steal 3 %"]),
        make_pair(retries=1, interference=["a", "b"]),
        make_pair(),
    ]
    result = evaluate_cases(make_compared(base=RUNS, head=RUNS, pairs=pairs), same(batch=4))
    assert (result.findings[0].retries, result.findings[0].interfered) == (3, 2)
    assert (result.retries, result.interfered, result.pairs) == (3, 2, 8)
    assert result.findings[0].seconds == 48.0


def test_the_slot_effect_is_over_all_pairs() -> None:
    later = 0.01
    pairs = [make_pair(-later if first else later, head_first=first) for first in (True, False, False, True)]
    result = evaluate_cases(
        make_compared(base=RUNS, head=RUNS, pairs=pairs), make_compared(base=RUNS, head=RUNS, pairs=pairs, batch=4)
    )
    assert (
        result.order_effect is not None
        and result.order_effect.log == pytest.approx(later)
        and result.order_effect.pairs == 8
    )
    assert statistics.fmean(pair.log for pair in pairs) == pytest.approx(0)


def test_what_is_said_survives_the_file(tmp_path: Any) -> None:
    from bench.records.store import Store, read_comparison

    comparison = make_comparison([slower(), remembering([1.2] * 4, batch=4), one_sided(RUNS, FULL, batch=64)])
    assert Store.at(tmp_path).save(comparison) == ""
    assert isinstance(comparison, Comparison)
    again, before = evaluate(read_comparison(tmp_path)), evaluate(comparison)
    assert (again.findings, again.overall, again.conclusion) == (before.findings, before.overall, before.conclusion)
