"""Claims of guides, and their verdicts on one machine."""

from __future__ import annotations

import msgspec

from bench.claims.claim import ClaimResult, ClaimVerdict, Evidence
from bench.claims.verdicts import judge_claims
from bench.report.inputs import MachineInputs
from bench.report.sections import ceilings
from bench.report.sections.section import Section


class Claims(msgspec.Struct, frozen=True):
    """All claims: those with a verdict on this machine, and those without."""

    judged: list[ClaimResult]
    unjudged: list[ClaimResult]


def build(machine: MachineInputs) -> Claims:
    """Judge all claims by the rows and ceilings of a machine."""
    results = judge_claims(Evidence(machine.table, machine.records, ceilings.newest(machine.ceilings)))
    return Claims(
        [result for result in results if result.verdict is not ClaimVerdict.UNTESTED],
        [result for result in results if result.verdict is ClaimVerdict.UNTESTED],
    )


SECTION = Section("claims", "What guides claim, and what was seen here", build, template="claims")
