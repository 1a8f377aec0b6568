"""A made-up comparison in which everything happens that can be shown, for the tests of its renderings."""

from __future__ import annotations

import math

import msgspec

from bench.records.comparison import Comparison, SideOutcome
from bench.records.outcome import Outcome, Status
from bench.records.record import Memory
from tests.builders import (
    make_compared,
    make_comparison,
    make_effective,
    make_measured,
    make_pair,
    make_pairs,
    make_side,
)

HOSTILE = '<script>alert("x")</script> & a | b ![x](http://e.vil/p.png) **bold** `code` @octocat \x1b[31m\nnext'
HOSTILE_MODEL = HOSTILE.partition("\x1b")[0].replace("/", "-")
"""A model may have a name of printable characters only: others are refused when a record is read."""

PACKAGES = "torch 2.14.1 → 2.15.0; it also brought triton 3.5 → 3.6"


def eventful() -> Comparison:
    """A slower case, a faster one, the same, an undecided one with more memory, one-sided and unfinished ones."""
    slower = make_compared([0.055, 0.061, 0.058, 0.06], [0.0479, 0.0493, 0.0481, 0.0492] * 2, batch=4)
    slower.pairs[1] = msgspec.structs.replace(
        slower.pairs[1], retries=2, interference=["others used 0.30 of 2 processors"]
    )
    flipped = SideOutcome(
        effective={**make_effective(slower.case), "mosaic": 0.0, "optimizer": "MuSGD", "brand_new": 1}
    )
    faster = make_compared([-0.08, -0.075, -0.082, -0.078], [-0.07, -0.072] * 4, batch=8)
    heavy = {"process": Memory(720 * 2**20, "VmHWM, peak resident set since set-up")}
    logs = [0.03, -0.01, 0.05, -0.02, 0.04, 0.0, 0.03, -0.01, 0.05, 0.02, -0.02, 0.04]
    wavering = make_compared(
        base=SideOutcome(),
        head=SideOutcome(),
        pairs=[make_pair(log, head=make_measured(0.25 * math.exp(log), memory=heavy)) for log in logs],
        batch=64,
        sequential_reason="memory does not hold both processes at once",
    )
    return make_comparison(
        [
            msgspec.structs.replace(slower, head=flipped),
            faster,
            make_compared([0.002, -0.003, 0.001, -0.001]),
            wavering,
            make_compared(
                base=SideOutcome(),
                head=SideOutcome(outcome=Outcome(Status.OUT_OF_MEMORY, f"Out of memory: {HOSTILE}")),
                batch=128,
            ),
            make_compared(base=SideOutcome(outcome=Outcome(Status.UNSUPPORTED, "No.")), head=SideOutcome(), amp="bf16"),
            make_compared(
                pairs=make_pairs([0.01]),
                base=SideOutcome(),
                head=SideOutcome(),
                mode="predict",
                error=f"died: {HOSTILE}",
            ),
        ],
        exclude_newer="2026-11-20",
    )


def hostile() -> Comparison:
    """All text that a record can hold, at its worst."""
    case = make_compared([0.055, 0.061, 0.058, 0.06], [0.05] * 8, model=HOSTILE_MODEL)
    head = SideOutcome(effective={"optimizer": HOSTILE, HOSTILE: "x", "variables": {HOSTILE: "y"}})
    return make_comparison(
        [msgspec.structs.replace(case, base=SideOutcome(effective={"optimizer": "SGD", "variables": {}}), head=head)],
        base=make_side(asked=HOSTILE, packages=[f"{HOSTILE}==1"]),
        head=make_side("2.15.0", asked=HOSTILE),
        margin_from=HOSTILE,
        exclude_newer=HOSTILE,
        run=HOSTILE,
    )
