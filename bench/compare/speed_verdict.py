"""Verdict of a live comparison on speed alone, by which a row of releases is judged."""

from __future__ import annotations

from enum import StrEnum

from bench.compare.findings import ComparisonResult, Standing
from bench.compare.verdict import Verdict


class SpeedVerdict(StrEnum):
    """Head against base; the first of these that holds in any case, or in all of them together."""

    SLOWER = "slower"
    CANNOT_RUN = "cannot_run"
    NOT_COMPARED = "not_compared"
    INCONCLUSIVE = "inconclusive"
    FASTER = "faster"
    SAME = "same"

    @property
    def changed(self) -> bool:
        """Whether the verdict is a difference."""
        return self in (SpeedVerdict.SLOWER, SpeedVerdict.FASTER)

    @property
    def is_known(self) -> bool:
        """Whether the verdict says how fast head is."""
        return self.changed or self is SpeedVerdict.SAME


def speed_verdict(result: ComparisonResult) -> SpeedVerdict:
    """Return the verdict of a comparison on speed, regardless of memory."""
    verdicts = {finding.verdict for finding in result.findings} | (
        {result.overall.verdict} if result.overall else set()
    )
    holds = {
        SpeedVerdict.SLOWER: Verdict.SLOWER in verdicts,
        SpeedVerdict.CANNOT_RUN: bool(result.standing(Standing.BASE_ONLY)),
        SpeedVerdict.NOT_COMPARED: not result.judged,
        SpeedVerdict.INCONCLUSIVE: bool(result.undecided),
        SpeedVerdict.FASTER: Verdict.FASTER in verdicts,
    }
    return next((verdict for verdict, true in holds.items() if true), SpeedVerdict.SAME)
