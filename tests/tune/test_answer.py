"""The answer of a search: a verdict by the rules of live comparisons, the gain, the time, and what would decide."""

from __future__ import annotations

import math

import pytest

from bench.errors import ExitCode
from bench.records.comparison import SideOutcome
from bench.records.outcome import Outcome, Status
from bench.records.tune import Tried
from bench.tune.answer import Verdict, answer
from tests.builders import make_case
from tests.tune.made import PRESENT, PROVEN, make_proof, make_tuning


def test_a_winner_that_pairs_prove() -> None:
    result = answer(make_tuning(proof=PROVEN))
    assert (result.verdict, result.settings, result.pairs) == (Verdict.SET, {"cache": "ram"}, 8)
    assert result.gain is not None and result.gain.ratio == pytest.approx(math.exp(0.34))
    assert result.gain.low is not None and result.gain.low < result.gain.ratio
    assert result.sentence.startswith("cache=ram: 1.40 times as fast as the defaults (95 % interval 1.3")
    assert result.before == pytest.approx(0.25 / 16)
    assert result.after == pytest.approx(0.25 / 16 * math.exp(-0.34))
    assert result.exit_code is ExitCode.OK


def test_the_users_own_settings_are_called_so() -> None:
    assert "as fast as the present settings" in answer(make_tuning(proof=PROVEN, present_named=True)).sentence


def test_pairs_without_a_difference_keep_the_present_settings() -> None:
    result = answer(make_tuning(proof=make_proof([0.001, -0.002, 0.0, 0.002])))
    assert (result.verdict, result.settings, result.exit_code) == (Verdict.KEEP, {}, ExitCode.OK)
    assert result.sentence == "the defaults: nothing that was tried is faster by 3.0 % or more."
    assert result.reasons[0].startswith("The closest, cache=ram, is 1.00 times as fast (95 % interval")
    assert result.after == result.before


def test_a_winner_that_the_pairs_find_slower_keeps_the_present_settings() -> None:
    slower = make_proof([0.1, 0.11, 0.1, 0.09], [0.1, 0.11, 0.1, 0.09])
    assert answer(make_tuning(proof=slower)).verdict is Verdict.KEEP


def test_a_search_that_the_present_settings_win() -> None:
    result = answer(make_tuning(winner=PRESENT))
    assert (result.verdict, result.settings, result.gain) == (Verdict.KEEP, {}, None)
    assert result.reasons[0].startswith("The closest, cache=ram, is 1.40 times as fast")


def test_pairs_that_scatter_prove_nothing() -> None:
    result = answer(make_tuning(proof=make_proof([-0.3, 0.3] * 6)))
    assert (result.verdict, result.exit_code) == (Verdict.NOT_PROVEN, ExitCode.NOT_COMPARABLE)
    assert result.reasons[0].startswith("The pairs scatter too much to decide at a margin of 3.0 %")
    assert result.budget_needed == 0.0


def test_a_budget_that_is_too_small_for_the_proof_says_what_it_takes() -> None:
    result = answer(make_tuning(proof=make_proof([-0.34, -0.33])))
    assert result.verdict is Verdict.NOT_PROVEN
    assert result.sentence.startswith("cache=ram is the fastest so far, 1.40 times as fast as the defaults")
    assert result.budget_needed > 300.0
    assert "was too small to decide: it would take about" in " ".join(result.reasons)


def test_a_budget_that_is_too_small_for_the_search() -> None:
    result = answer(make_tuning(winner=PRESENT, complete=False, needed=120.0, reserve=100.0))
    assert result.verdict is Verdict.NOT_PROVEN
    assert result.sentence == "so far nothing is faster than the defaults by 3.0 % or more."
    assert result.budget_needed == pytest.approx(520.0)
    assert answer(make_tuning(winner=None, tried=[], complete=False)).sentence == "nothing was decided."


def test_a_proven_winner_of_an_incomplete_search_says_so() -> None:
    result = answer(make_tuning(proof=PROVEN, complete=False, needed=120.0))
    assert result.verdict is Verdict.SET
    assert result.reasons == ["The time did not suffice for all settings: about 2 min more may show faster ones."]


def test_a_stopped_search() -> None:
    result = answer(make_tuning(stopped=True, complete=False))
    assert (result.verdict, result.reasons[0]) == (
        Verdict.NOT_PROVEN,
        "It was stopped: --resume continues with what was measured.",
    )


def test_pairs_that_did_not_run_give_their_reason() -> None:
    failed = SideOutcome(outcome=Outcome(Status.OUT_OF_MEMORY, "No memory."))
    assert answer(make_tuning(proof=make_proof([], head_side=failed))).reasons[0] == "The pairs did not run: No memory."


def test_present_settings_without_a_figure_give_their_reason() -> None:
    row = Tried(case=PRESENT, status="substituted", reason="batch 16 requested, batch 3 would run.")
    result = answer(make_tuning(winner=None, complete=False, tried=[row]))
    assert result.reasons == [
        "The present settings give no figure (substituted): batch 16 requested, batch 3 would run."
    ]
    assert (result.sentence, result.exit_code) == ("nothing was decided.", ExitCode.NOT_COMPARABLE)


def test_a_machine_that_changed_its_speed_is_mentioned() -> None:
    assert "changed its speed by 25.0 %" in " ".join(answer(make_tuning(proof=PROVEN, drift=0.25)).reasons)
    assert answer(make_tuning(proof=PROVEN, drift=0.05)).reasons == []


def test_batches_are_compared_by_the_time_of_an_epoch() -> None:
    """A batch of 32 whose step takes twice as long is no gain at all."""
    larger = make_case(batch=32)
    proof = make_proof([0.0] * 4, head=larger)
    assert proof.cases[0].pairs[0].head.steps.step_seconds == pytest.approx(0.5)
    assert proof.cases[0].pairs[0].log == pytest.approx(0.0)
    assert answer(make_tuning(winner=larger, proof=proof)).verdict is Verdict.KEEP
