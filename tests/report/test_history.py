from __future__ import annotations

import pytest

from bench.analysis.history import Change
from bench.analysis.table import frame, newest_rows
from bench.report.history import CAVEAT, change_sentence
from bench.report.inputs import Inputs, MachineInputs
from tests.builders import make_machine
from tests.report.conftest import timed


def change(before: float, now: float, clear: bool = True, started: str = "2026-11-25T02:51:01+00:00") -> Change:
    return Change(run="a", started=started, before=before, now=now, clear=clear)


@pytest.mark.parametrize(
    ("since", "sentence"),
    [
        (change(69.6, 37.9), f"46 % slower than this machine's run of 25 Nov 2026. {CAVEAT}"),
        (change(40.0, 60.0), f"50 % faster than this machine's run of 25 Nov 2026. {CAVEAT}"),
        (
            change(40.0, 40.1, clear=False),
            "No clear change since this machine's run of 25 Nov 2026: the intervals overlap.",
        ),
        (change(2.0, 1.0, started="long ago"), f"50 % slower than this machine's run of long ago. {CAVEAT}"),
    ],
)
def test_a_change_is_a_sentence_that_says_it_was_not_interleaved(since: Change, sentence: str) -> None:
    assert change_sentence(since) == sentence


def test_the_inputs_of_a_machine_know_its_earlier_runs() -> None:
    records = [
        timed(rate, 16, run=run, started=f"2026-11-{day}T00:00:00+00:00")
        for rate, run, day in ((69.6, "a", 25), (37.9, "b", 29))
    ]
    table = frame(records)
    newest = newest_rows(table)
    inputs = Inputs(records=records, epoch_images=1000)
    machine = MachineInputs(newest, inputs, make_machine().key, history=table)
    since = machine.change_since(newest.iloc[0].to_dict())
    assert since is not None and since.run == "a"
    assert MachineInputs(newest, inputs, make_machine().key).change_since(newest.iloc[0].to_dict()) is None
