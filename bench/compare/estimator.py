"""Select the pair estimator for a case, and list the cases that need another pair.

A pair has two estimators (:mod:`bench.records.comparison`). The paired one compares adjacent steps of the two processes
and is more precise. The other one is the ratio of the mean steps, in which every step counts. The paired estimator is
used unless the two differ significantly: stalls of head are in few steps, and only the ratio of the means shows them.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from bench.analysis.noise import LOOKS
from bench.compare.verdict import Verdict, confirm, interim_decision, interim_look, significant_cases
from bench.records.comparison import CaseComparison, Comparison, Pair


class PairRatios(msgspec.Struct, frozen=True):
    """``ln(head / base)`` of a case's pairs, by the selected estimator.

    Attributes:
        interim: of the pairs of the interim looks, in the order of measurement.
        confirmation: of the fresh pairs that confirm an alarm.
        counts_every_step: whether the estimator is the ratio of the mean steps, in which every step counts.
    """

    interim: list[float]
    confirmation: list[float]
    counts_every_step: bool


def pair_ratios(compared: CaseComparison, margin: float) -> PairRatios:
    """Return the ratios that a case is judged by; ``margin`` is a share."""
    looks, fresh = compared.interim, compared.confirmation
    if is_localized(looks, margin):
        return PairRatios(
            [pair.log_ratio_of_means for pair in looks], [pair.log_ratio_of_means for pair in fresh], True
        )
    return PairRatios([pair.log for pair in looks], [pair.log for pair in fresh], False)


def is_localized(looks: Sequence[Pair], margin: float) -> bool:
    """Whether a difference is concentrated in few steps, so that every step has to count.

    True where, at an interim look, the two estimators differ significantly by at least the margin. Also true where they
    differ by less, in the direction of an alarm that the ratio of the mean steps raises and the paired one does not.

    Args:
        looks: the pairs of the interim looks, in the order of measurement.
        margin: a share.
    """
    paired = [pair.log for pair in looks]
    by_means = [pair.log_ratio_of_means for pair in looks]
    if paired == by_means:  # as without time slices of a single step
        return False
    differences = [w - p for w, p in zip(by_means, paired, strict=True)]
    for count in LOOKS:
        if count > len(looks):
            break
        steady, rest = interim_look(paired[:count]), interim_look(differences[:count])
        if rest.verdict(margin).alarm:
            return True
        verdict, every = steady.verdict(margin), interim_decision(by_means[:count], margin)
        if (
            every is not None
            and every[0].alarm
            and every[0] is not verdict
            and not rest.includes_zero
            and rest.log * every[1].log > 0
        ):
            return True
        if verdict is Verdict.SAME:
            break
    return False


def pending_cases(comparison: Comparison) -> dict[str, bool]:
    """Return the ids of cases that need another pair, and whether it confirms an alarm; empty once all is decided.

    Cases that one side cannot run, or whose processes died, need none. Alarms are confirmed once the looks of every
    case are over, because which of them stand depends on all cases. An alarm that stands remains so: p values of the
    other cases only become smaller, which lowers the bar.
    """
    margin = comparison.margin
    logs = {compared.case.id: pair_ratios(compared, margin) for compared in comparison.cases}
    live = {
        compared.case.id: logs[compared.case.id]
        for compared in comparison.cases
        if compared.both_runnable and not compared.error
    }
    raised = significant_cases({name: ratios.interim for name, ratios in logs.items() if ratios.interim}, margin)
    undecided = {
        name for name, ratios in live.items() if interim_decision(ratios.interim, margin, name in raised) is None
    }
    if undecided:
        return dict.fromkeys(sorted(undecided), False)
    return {name: True for name in sorted(raised & live.keys()) if _unconfirmed(live[name], margin)}


def _unconfirmed(ratios: PairRatios, margin: float) -> bool:
    """Whether an alarm that stands needs more fresh pairs."""
    word = interim_decision(ratios.interim, margin)
    return word is not None and confirm(word[0], ratios.confirmation, margin) is None
