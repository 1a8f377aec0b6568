"""A row of releases as lines for the terminal; whoever calls it prints them."""

from __future__ import annotations

from collections.abc import Sequence

from bench.compare.sweep import Series, Sweep
from bench.report import labels
from bench.report.comparisons.sweep import words
from bench.report.labels import plain


def told(found: Sweep) -> str:
    """All that is said of a row, the conclusion last.

    Returns:
        Lines without a newline at the end. What was recorded cannot steer the terminal: it has lost its control
        characters.
    """
    lines = [words.title(found), *columns([[heading, text] for heading, text in words.about(found)])]
    for series in found.series:
        lines += ["", series.case.id, *columns(_rows(series, found))]
    several = [entry for entry in found.others if entry.found and entry.found.several]
    if several:
        rows = [
            [entry.release, words.stands(entry, found), words.takes(entry.found.overall.estimate)]
            for entry in several
            if entry.found and entry.found.overall
        ]
        lines += ["", "all cases together", *columns(rows)]
    noted = [f"{release}: {note}" for release, notes in words.noted(found) for note in notes]
    lines += ["", *noted] if noted else []
    return "\n".join(map(plain, [*lines, "", *words.conclusion(found)]))


def _rows(series: Series, found: Sweep) -> list[list[str]]:
    """One line a release: version, verdict, change, throughput, pairs."""
    rows = [[found.base, words.FIRST, "", labels.rate(series.level), "", f"{series.pairs} pairs"]]
    for point in series.points:
        counted = words.pairs(series, point, found)
        rows.append(
            [
                point.release,
                words.verdict(point, found),
                words.takes(point.estimate),
                words.rate(point),
                f"({ends})" if (ends := words.ends(point)) else "",
                f"{counted} pairs" if point.verdict else "",
            ]
        )
    return rows


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as indented lines whose columns stand below each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        ("  " + "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))).rstrip() for row in rows
    ]
