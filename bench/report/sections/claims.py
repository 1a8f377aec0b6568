"""Claims of guides, and their verdicts on one machine."""

from __future__ import annotations

from bench.claims.claim import ClaimResult, ClaimVerdict, Evidence
from bench.claims.verdicts import judge_claims
from bench.report.inputs import MachineInputs
from bench.report.sections import ceilings
from bench.report.sections.section import Section

DECIDED = (ClaimVerdict.HOLDS, ClaimVerdict.FAILS)


def build(machine: MachineInputs) -> list[ClaimResult] | None:
    """Judge all claims by the rows and ceilings of a machine, and return those that are decided; None without any."""
    results = judge_claims(Evidence(machine.table, machine.records, ceilings.newest(machine.ceilings)))
    return [result for result in results if result.verdict in DECIDED] or None


SECTION = Section("claims", "", build, template="claims", question="claims")
