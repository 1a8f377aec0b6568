"""Searches as they come out of real runs, with a proof of given ratios."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from bench.cases import Case
from bench.records.comparison import CaseComparison, Comparison, EnvironmentSide, Measurement, Pair, SideOutcome
from bench.records.tune import NotTried, Tried, Tuning
from tests.builders import make_case, make_environment, make_machine, make_recipe, make_steps

PRESENT = make_case()
WINNER = make_case(further=(("cache", "ram"),))
SECONDS = 0.25


def make_pair(log: float, fresh: bool, base: Case, head: Case) -> Pair:
    """A pair whose seconds per image have this ratio."""
    before = SECONDS / 16 * base.batch
    after = before * math.exp(log) * head.batch / base.batch
    sides = [
        Measurement(steps=make_steps([seconds] * 4, images=case.batch))
        for seconds, case in ((before, base), (after, head))
    ]
    return Pair(
        started="2026-11-22T18:45:14+00:00",
        head_first=False,
        base=sides[0],
        head=sides[1],
        confirmation=fresh,
        seconds=10,
    )


def make_proof(
    logs: Sequence[float], fresh: Sequence[float] = (), head: Case = WINNER, head_side: SideOutcome | None = None
) -> Comparison:
    """A proof of such pairs."""
    pairs = [make_pair(log, False, PRESENT, head) for log in logs]
    pairs += [make_pair(log, True, PRESENT, head) for log in fresh]
    side = EnvironmentSide(asked="settings", key="", packages=[], environment=make_environment())
    compared = CaseComparison(
        case=PRESENT, recipe=make_recipe(), head_case=head, head_recipe=make_recipe(), pairs=pairs, head=head_side
    )
    return Comparison(
        run="tune-a",
        started="2026-11-22T18:45:14+00:00",
        machine=make_machine(),
        base=side,
        head=side,
        margin=0.03,
        margin_from="as asked",
        memory_margin=0.0,
        cases=[compared],
    )


def make_tuning(**changes: Any) -> Tuning:
    """A search that tried a cache and found it 40 % faster, but for the changes."""
    fields: dict[str, Any] = {
        "run": "tune-a",
        "started": "2026-11-22T18:45:14+00:00",
        "machine": make_machine(),
        "environment": make_environment(),
        "present": PRESENT,
        "recipe": make_recipe(),
        "values": {"cache": ["ram"], "threads": ["2"]},
        "budget": 600.0,
        "margin": 0.03,
        "margin_from": "as asked",
        "design": "all 3 combinations",
        "tried": [
            Tried(
                case=WINNER, status="measured", seconds_per_image=0.011, log=-0.34, half=0.05, processes=3, earlier=1
            ),
            Tried(case=PRESENT, status="measured", seconds_per_image=0.0156, log=0.0, half=0.0, processes=3),
            Tried(
                case=make_case(further=(("threads", 2),)),
                status="substituted",
                reason="threads 2 requested, threads 1 would run.",
            ),
        ],
        "not_tried": [NotTried("workers", "Ultralytics loads images in the training process on CPU")],
        "winner": WINNER,
        "complete": True,
        "seconds": 300.0,
        "epoch_images": 1000,
        "setup": (1.0, 5.0),
    }
    return Tuning(**(fields | changes))


PROVEN = make_proof([-0.34, -0.33, -0.35, -0.34], [-0.33, -0.34, -0.35, -0.34])
"""Pairs that prove the winner."""
