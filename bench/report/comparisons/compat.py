"""The compatibility table as Markdown: cases that run, by versions."""

from __future__ import annotations

from bench.compat.table import Compatibility
from bench.report.tables import escaped, markdown


def to_md(compatibility: Compatibility) -> str:
    """Render the table, the reasons behind its numbers in brackets, and differences between keys of records."""
    parts = [f"All cases: {escaped(compatibility.shared)}.\n"] if compatibility.shared else []
    parts.append(markdown(compatibility.columns, compatibility.rows))
    if compatibility.reasons:
        parts.append(
            "".join(f"- [{number}] {escaped(reason)}\n" for number, reason in enumerate(compatibility.reasons, 1))
        )
    if compatibility.differences:
        bullets = "".join(f"- {escaped(difference)}\n" for difference in compatibility.differences)
        parts.append(f"Keys of the records that not every environment has:\n\n{bullets}")
    elif compatibility.keys:
        counts = ", ".join(f"{count} for {heading}" for heading, count in compatibility.keys.items())
        parts.append(f"The records of a case have the same keys wherever it was measured: {counts}.\n")
    return "\n".join(parts)
