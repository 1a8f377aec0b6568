from __future__ import annotations

import pytest

from bench.analysis.pace import Pace, pace
from bench.analysis.upgrade import Conclusion, upgrade
from bench.records.comparison import Compared, Ran
from bench.records.outcome import Outcome, Status
from bench.records.record import Memory
from tests.builders import make_compared, make_comparison, make_measured, make_pair

SLOWER = make_compared([0.05, 0.051, 0.049, 0.05], [0.05, 0.051] * 4)
FASTER = make_compared([-0.05, -0.051, -0.049, -0.05], [-0.05, -0.051] * 4, batch=8)
SAME = make_compared([0.002, -0.003, 0.001, -0.001], batch=2)
UNSURE = make_compared([0.05, -0.05], batch=1)
LOST = make_compared(base=Ran(), head=Ran(outcome=Outcome(Status.OUT_OF_MEMORY, "No.")), batch=64)
WON = make_compared(base=Ran(outcome=Outcome(Status.FAILED, "No.")), head=Ran(), batch=32)


@pytest.mark.parametrize(
    ("cases", "said"),
    [
        ([], Pace.NOT_COMPARED),
        ([make_compared()], Pace.NOT_COMPARED),
        ([WON], Pace.NOT_COMPARED),
        ([LOST], Pace.CANNOT_RUN),
        ([SAME], Pace.SAME),
        ([UNSURE], Pace.INCONCLUSIVE),
        ([FASTER, SAME], Pace.FASTER),
        ([FASTER, SAME, WON], Pace.FASTER),
        ([FASTER, UNSURE], Pace.INCONCLUSIVE),
        ([FASTER, LOST], Pace.CANNOT_RUN),
        ([FASTER, SLOWER, LOST, UNSURE], Pace.SLOWER),
        ([make_compared([0.029, 0.031, 0.03, 0.031] * 3, batch=batch) for batch in (4, 8)], Pace.SLOWER),
    ],
)
def test_a_comparison_in_a_word(cases: list[Compared], said: Pace) -> None:
    assert pace(upgrade(make_comparison(cases))) is said


def test_memory_has_no_part_in_it() -> None:
    heavy = make_measured(memory={"process": Memory(720 * 2**20, "VmHWM, peak resident set since set-up")})
    found = upgrade(make_comparison([make_compared(base=Ran(), head=Ran(), pairs=[make_pair(head=heavy)] * 4)]))
    assert found.conclusion is Conclusion.MORE_MEMORY
    assert pace(found) is Pace.SAME


def test_what_is_known_and_what_changed() -> None:
    assert {one for one in Pace if one.changed} == {Pace.SLOWER, Pace.FASTER}
    assert {one for one in Pace if one.known} == {Pace.SLOWER, Pace.FASTER, Pace.SAME}
