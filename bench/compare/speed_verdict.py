"""What a live comparison says of speed alone: the word that a row of releases is judged by."""

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
        """Whether it says that there is a difference."""
        return self in (SpeedVerdict.SLOWER, SpeedVerdict.FASTER)

    @property
    def is_known(self) -> bool:
        """Whether it says anything of how fast head is."""
        return self.changed or self is SpeedVerdict.SAME


def speed_verdict(found: ComparisonResult) -> SpeedVerdict:
    """A comparison in a word, whatever memory says."""
    said = {finding.verdict for finding in found.findings} | ({found.overall.verdict} if found.overall else set())
    holds = {
        SpeedVerdict.SLOWER: Verdict.SLOWER in said,
        SpeedVerdict.CANNOT_RUN: bool(found.standing(Standing.BASE_ONLY)),
        SpeedVerdict.NOT_COMPARED: not found.judged,
        SpeedVerdict.INCONCLUSIVE: bool(found.undecided),
        SpeedVerdict.FASTER: Verdict.FASTER in said,
    }
    return next((one for one, true in holds.items() if true), SpeedVerdict.SAME)
