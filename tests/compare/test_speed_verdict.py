from __future__ import annotations

import pytest

from bench.compare.findings import Conclusion, evaluate
from bench.compare.speed_verdict import SpeedVerdict, speed_verdict
from bench.records.comparison import CaseComparison, SideOutcome
from bench.records.outcome import Outcome, Status
from bench.records.record import Memory
from tests.builders import make_compared, make_comparison, make_measured, make_pair

SLOWER = make_compared([0.05, 0.051, 0.049, 0.05], [0.05, 0.051] * 4)
FASTER = make_compared([-0.05, -0.051, -0.049, -0.05], [-0.05, -0.051] * 4, batch=8)
SAME = make_compared([0.002, -0.003, 0.001, -0.001], batch=2)
UNSURE = make_compared([0.05, -0.05], batch=1)
LOST = make_compared(base=SideOutcome(), head=SideOutcome(outcome=Outcome(Status.OUT_OF_MEMORY, "No.")), batch=64)
WON = make_compared(base=SideOutcome(outcome=Outcome(Status.FAILED, "No.")), head=SideOutcome(), batch=32)


@pytest.mark.parametrize(
    ("cases", "verdict"),
    [
        ([], SpeedVerdict.NOT_COMPARED),
        ([make_compared()], SpeedVerdict.NOT_COMPARED),
        ([WON], SpeedVerdict.NOT_COMPARED),
        ([LOST], SpeedVerdict.CANNOT_RUN),
        ([SAME], SpeedVerdict.SAME),
        ([UNSURE], SpeedVerdict.INCONCLUSIVE),
        ([FASTER, SAME], SpeedVerdict.FASTER),
        ([FASTER, SAME, WON], SpeedVerdict.FASTER),
        ([FASTER, UNSURE], SpeedVerdict.INCONCLUSIVE),
        ([FASTER, LOST], SpeedVerdict.CANNOT_RUN),
        ([FASTER, SLOWER, LOST, UNSURE], SpeedVerdict.SLOWER),
        ([make_compared([0.029, 0.031, 0.03, 0.031] * 3, batch=batch) for batch in (4, 8)], SpeedVerdict.SLOWER),
    ],
)
def test_a_comparison_in_a_word(cases: list[CaseComparison], verdict: SpeedVerdict) -> None:
    assert speed_verdict(evaluate(make_comparison(cases))) is verdict


def test_memory_has_no_part_in_it() -> None:
    heavy = make_measured(memory={"process": Memory(720 * 2**20, "VmHWM, peak resident set since set-up")})
    result = evaluate(
        make_comparison([make_compared(base=SideOutcome(), head=SideOutcome(), pairs=[make_pair(head=heavy)] * 4)])
    )
    assert result.conclusion is Conclusion.MORE_MEMORY
    assert speed_verdict(result) is SpeedVerdict.SAME


def test_what_is_known_and_what_changed() -> None:
    assert {verdict for verdict in SpeedVerdict if verdict.changed} == {SpeedVerdict.SLOWER, SpeedVerdict.FASTER}
    known = {verdict for verdict in SpeedVerdict if verdict.is_known}
    assert known == {SpeedVerdict.SLOWER, SpeedVerdict.FASTER, SpeedVerdict.SAME}
