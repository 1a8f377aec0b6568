"""Claims of guides, and their verdicts on one machine."""

from __future__ import annotations

from bench.analysis.table import newest_rows
from bench.claims.claim import ClaimResult, ClaimVerdict, Evidence
from bench.claims.verdicts import judge_claims
from bench.report.inputs import MachineInputs, records_of
from bench.report.sections import ceilings
from bench.report.sections.section import Section

DECIDED = (ClaimVerdict.HOLDS, ClaimVerdict.FAILS)


def build(machine: MachineInputs) -> list[ClaimResult] | None:
    """Judge all claims by the rows and ceilings of a machine, and return those that are decided; None without any."""
    own = Evidence(machine.table, machine.records, ceilings.newest(machine.ceilings), machine.page.accuracy)
    results = judge_claims(own._replace(elsewhere=_elsewhere(machine)))
    return [result for result in results if result.verdict in DECIDED] or None


def _elsewhere(machine: MachineInputs) -> Evidence | None:
    """Gather the rows of the other machines of the page; None without any."""
    if machine.history is None:
        return None
    rows = newest_rows(machine.history[machine.history["machine"] != machine.key])
    return Evidence(rows, records_of(rows, machine.page.records), ()) if len(rows) else None


SECTION = Section("claims", "", build, template="claims", question="claims")
