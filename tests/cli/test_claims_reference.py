"""The committed list of claims is the one of ``claims.toml``."""

from __future__ import annotations

from pathlib import Path

from bench.claims.claim import claims
from bench.cli.claims_reference import reference

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "claims.md"


def test_the_committed_page_is_current() -> None:
    stale = "run: python -m bench.cli.claims_reference > docs/reference/claims.md"
    assert PAGE.read_text(encoding="utf-8") == reference(), stale


def test_every_claim_has_a_row_of_four_cells() -> None:
    rows = [line for line in reference().splitlines() if line.startswith("| ")][1:]
    assert [row.split(" | ")[0] for row in rows] == [f"| {claim.id}" for claim in claims()]
    assert {row.count("|") for row in rows} == {5}
