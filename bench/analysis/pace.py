"""What a live comparison says of speed alone: the word that a row of releases is judged by."""

from __future__ import annotations

from enum import StrEnum

from bench.analysis.upgrade import Standing, Upgrade
from bench.analysis.verdict import Verdict


class Pace(StrEnum):
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
        return self in (Pace.SLOWER, Pace.FASTER)

    @property
    def known(self) -> bool:
        """Whether it says anything of how fast head is."""
        return self.changed or self is Pace.SAME


def pace(found: Upgrade) -> Pace:
    """A comparison in a word, whatever memory says."""
    said = {finding.verdict for finding in found.findings} | ({found.overall.verdict} if found.overall else set())
    holds = {
        Pace.SLOWER: Verdict.SLOWER in said,
        Pace.CANNOT_RUN: bool(found.standing(Standing.BASE_ONLY)),
        Pace.NOT_COMPARED: not found.judged,
        Pace.INCONCLUSIVE: bool(found.undecided),
        Pace.FASTER: Verdict.FASTER in said,
    }
    return next((one for one, true in holds.items() if true), Pace.SAME)
