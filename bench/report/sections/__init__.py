"""The sections of a machine, in the order of the page. A new one is a file with a :class:`Section`."""

from __future__ import annotations

from bench.errors import UsageError
from bench.report.sections import (
    ceilings,
    claims,
    drawings,
    formats,
    guide_table,
    headline,
    latency,
    live_comparisons,
    measurements,
    mixed_precision,
    not_measured,
    provenance,
    recipes,
    scaling,
    settings,
    tuning,
)
from bench.report.sections.section import Section, Table

__all__ = ["SECTIONS", "Section", "Table", "register", "unregister"]

SECTIONS: list[Section] = [
    headline.SECTION,
    tuning.SECTION,
    provenance.SECTION,
    measurements.SECTION,
    *drawings.SECTIONS,
    scaling.SECTION,
    ceilings.SECTION,
    mixed_precision.SECTION,
    *formats.SECTIONS,
    latency.SECTION,
    live_comparisons.SECTION,
    claims.SECTION,
    guide_table.SECTION,
    not_measured.SECTION,
    settings.SECTION,
    recipes.SECTION,
]
"""All sections; the page shows them by question, in this order within each."""


def register(section: Section, before: str = "") -> None:
    """Add a section, at the end or before another section.

    Args:
        section: the new section.
        before: key of the section that follows it.

    Raises:
        UsageError: if the key of the section is taken, or the key ``before`` is unknown.
    """
    keys = [other.key for other in SECTIONS]
    if section.key in keys:
        raise UsageError(f"section {section.key!r} is registered already: give yours another key.")
    if before and before not in keys:
        raise UsageError(f"section {before!r} is unknown: use {', '.join(keys)}.")
    SECTIONS.insert(keys.index(before) if before else len(keys), section)


def unregister(key: str) -> None:
    """Remove a section."""
    SECTIONS[:] = [section for section in SECTIONS if section.key != key]
