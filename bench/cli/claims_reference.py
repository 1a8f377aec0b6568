"""Write the list of claims: ``python -m bench.cli.claims_reference > docs/reference/claims.md``."""

from __future__ import annotations

from bench.claims.claim import claims

INTRODUCTION = """\
# Claims of web guides

<!-- Generated: python -m bench.cli.claims_reference > docs/reference/claims.md -->

Web guides on training YOLO make these claims. Each is here in our words, with the hardware or software that its guide
speaks of. A report shows the claims that its records decide, as `holds` or `does not hold`. Ratios are judged in every
case that was measured."""


def reference() -> str:
    """Return the page: one row per claim."""
    rows = [f"| {claim.id} | {claim.text} | {claim.of} | {claim.how} |" for claim in claims()]
    return "\n".join([INTRODUCTION, "", "| claim | it says | of | what decides it |", "|---|---|---|---|", *rows, ""])


if __name__ == "__main__":
    print(reference(), end="")
