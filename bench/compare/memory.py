"""Peak memory of a case on both sides of a live comparison, and its verdict."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

import msgspec

from bench.analysis.table import MEMORY_ORDER
from bench.compare.verdict import Estimate, Verdict, interim_look
from bench.records.comparison import SIDES, Measurement, Pair


class Peak(msgspec.Struct, frozen=True):
    """Peak memory of a case on both sides.

    Attributes:
        figure, method: name of the figure in a record, and how it was measured.
        base, head: bytes, geometric means over pairs.
        estimate: of the ratio head / base.
        verdict: at the margin of memory; ``slower`` stands for more.
    """

    figure: str
    method: str
    base: float
    head: float
    estimate: Estimate
    verdict: Verdict


def memory_ratios(pairs: Sequence[Pair]) -> tuple[str, list[float]]:
    """Return the name of the figure used for peak memory, and its ``ln(head / base)`` for each pair.

    Logarithms are rounded, so that equal allocations have no spread. Both values are empty without a figure that both
    sides have in all pairs.
    """
    for name in MEMORY_ORDER:
        bytes_ = [[_bytes(getattr(pair, side), name) for pair in pairs] for side in SIDES]
        if pairs and all(size for side in bytes_ for size in side):
            return name, [round(math.log(head / base), 9) for base, head in zip(*bytes_, strict=True)]
    return "", []


def _bytes(measured: Measurement, name: str) -> int:
    figure = measured.memory.get(name)
    return (figure.bytes or 0) if figure else 0


def judge_memory(pairs: Sequence[Pair], margin: float, real: bool) -> Peak | None:
    """Judge peak memory over all pairs.

    Args:
        pairs: all pairs of the case, none of which was chosen by its memory.
        margin: a share.
        real: whether a difference is significant over all cases; else an alarm becomes inconclusive.
    """
    name, logs = memory_ratios(pairs)
    if not logs:
        return None
    look = interim_look(logs)
    verdict = look.verdict(margin)
    hows = dict.fromkeys(getattr(pair, side).memory[name].method for pair in pairs for side in SIDES)
    base, head = (statistics.geometric_mean(_bytes(getattr(pair, side), name) for pair in pairs) for side in SIDES)
    return Peak(
        figure=name,
        method="; ".join(hows),
        base=base,
        head=head,
        estimate=look,
        verdict=Verdict.INCONCLUSIVE if verdict.alarm and not real else verdict,
    )
