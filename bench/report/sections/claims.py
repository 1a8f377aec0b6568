"""Claims of guides that the records of one machine decide."""

from __future__ import annotations

import msgspec

from bench.analysis.table import newest_rows
from bench.claims.claim import ClaimResult, ClaimVerdict, Evidence
from bench.claims.verdicts import judge_claims
from bench.report import labels
from bench.report.inputs import MachineInputs, records_of
from bench.report.sections import ceilings
from bench.report.sections.section import Section

DECIDED = (ClaimVerdict.HOLDS, ClaimVerdict.FAILS)


class Claims(msgspec.Struct, frozen=True):
    """The section of one machine.

    Attributes:
        decided: claims with a verdict.
        others: number of claims without one.
    """

    decided: list[ClaimResult]
    others: int

    @property
    def rest(self) -> str:
        """One sentence on the claims without a verdict; empty if there are none."""
        number = labels.count(self.others, "other claim")
        verb = "needs" if self.others == 1 else "need"
        return f"{number} of guides {verb} conditions that were not measured here" if self.others else ""


def build(machine: MachineInputs) -> Claims | None:
    """Judge all claims by the rows and ceilings of a machine; None if none is decided."""
    own = Evidence(machine.table, machine.records, ceilings.newest(machine.ceilings), machine.page.accuracy)
    results = judge_claims(own._replace(elsewhere=_elsewhere(machine)))
    decided = [result for result in results if result.verdict in DECIDED]
    return Claims(decided, len(results) - len(decided)) if decided else None


def _elsewhere(machine: MachineInputs) -> Evidence | None:
    """Gather the rows of the other machines of the page; None without any."""
    if machine.history is None:
        return None
    rows = newest_rows(machine.history[machine.history["machine"] != machine.key])
    return Evidence(rows, records_of(rows, machine.page.records), ()) if len(rows) else None


SECTION = Section("claims", "", build, template="claims", question="claims")
