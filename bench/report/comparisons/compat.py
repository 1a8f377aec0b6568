"""What runs with which versions, as Markdown."""

from __future__ import annotations

from bench.compat.table import Compatibility
from bench.report.tables import escaped, markdown


def to_md(found: Compatibility) -> str:
    """The table, what its numbers in brackets stand for, and whether the keys of the records agree."""
    parts = [f"All cases: {escaped(found.shared)}.\n"] if found.shared else []
    parts.append(markdown(found.columns, found.rows))
    if found.reasons:
        parts.append("".join(f"- [{number}] {escaped(reason)}\n" for number, reason in enumerate(found.reasons, 1)))
    if found.differences:
        said = "".join(f"- {escaped(difference)}\n" for difference in found.differences)
        parts.append(f"Keys of the records that not every environment has:\n\n{said}")
    elif found.keys:
        counts = ", ".join(f"{count} for {heading}" for heading, count in found.keys.items())
        parts.append(f"The records of a case have the same keys wherever it was measured: {counts}.\n")
    return "\n".join(parts)
