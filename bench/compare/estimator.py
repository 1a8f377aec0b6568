"""Which figure of its pairs a case is judged by, and which cases want one more pair.

A pair has two figures (:mod:`bench.records.comparison`): one from steps that ran one beside the other, which is the
more exact one, and one from the mean steps, in which every step counts. The first one settles it, unless the two differ
for a reason: where head has stalls that base has not, they are in few steps, and only the second one sees them.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from bench.analysis.noise import LOOKS
from bench.compare.verdict import Verdict, confirm, interim_decision, interim_look, significant_cases
from bench.records.comparison import CaseComparison, Comparison, Pair


class PairRatios(msgspec.Struct, frozen=True):
    """What a case is judged by: ``ln(head / base)`` of its pairs.

    Attributes:
        looks: of the pairs of the planned looks, in the order in which they were measured.
        fresh: of those that were to confirm an alarm.
        whole: whether it is the figure in which every step counts.
    """

    interim: list[float]
    confirmation: list[float]
    whole: bool


def pair_ratios(compared: CaseComparison, margin: float) -> PairRatios:
    """What a case is judged by at a margin, a share."""
    looks, fresh = compared.interim, compared.confirmation
    if is_localized(looks, margin):
        return PairRatios([pair.whole for pair in looks], [pair.whole for pair in fresh], True)
    return PairRatios([pair.log for pair in looks], [pair.log for pair in fresh], False)


def is_localized(looks: Sequence[Pair], margin: float) -> bool:
    """Whether every step has to count, because what differs, or some of it, is in few of them.

    It is so where, at a planned look, the two figures differ by the margin at least and by more than chance; or by less
    and in the direction of an alarm that the mean steps raise and steps beside each other do not.

    Args:
        looks: the pairs of the planned looks, in the order in which they were measured.
        margin: a share.
    """
    beside = [pair.log for pair in looks]
    whole = [pair.whole for pair in looks]
    if beside == whole:  # as where there were no turns of a step
        return False
    apart = [w - b for w, b in zip(whole, beside, strict=True)]
    for count in LOOKS:
        if count > len(looks):
            break
        steady, rest = interim_look(beside[:count]), interim_look(apart[:count])
        if rest.verdict(margin).alarm:
            return True
        said, every = steady.verdict(margin), interim_decision(whole[:count], margin)
        if (
            every is not None
            and every[0].alarm
            and every[0] is not said
            and not rest.holds_nothing
            and rest.log * every[1].log > 0
        ):
            return True
        if said is Verdict.SAME:
            break
    return False


def pending_cases(comparison: Comparison) -> dict[str, bool]:
    """Which cases want one more pair, by their id, and whether that is to confirm an alarm; empty: all is decided.

    Cases that one side cannot run, or whose processes died, want none. Alarms are put to the test when the looks of
    every case are over: which of them stand depends on all. One that stands goes on standing: chances of the others
    only become smaller, and with them the bar lower.
    """
    margin = comparison.margin
    logs = {one.case.id: pair_ratios(one, margin) for one in comparison.cases}
    live = {one.case.id: logs[one.case.id] for one in comparison.cases if one.both and not one.error}
    raised = significant_cases({name: one.interim for name, one in logs.items() if one.interim}, margin)
    undecided = {name for name, one in live.items() if interim_decision(one.interim, margin, name in raised) is None}
    if undecided:
        return dict.fromkeys(sorted(undecided), False)
    return {name: True for name in sorted(raised & live.keys()) if _unconfirmed(live[name], margin)}


def _unconfirmed(one: PairRatios, margin: float) -> bool:
    """Whether an alarm that stands wants more fresh pairs."""
    word = interim_decision(one.interim, margin)
    return word is not None and confirm(word[0], one.confirmation, margin) is None
