"""Two recorded runs for a terminal: the summary first, then what differs and a line per case, within a given width."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from bench.analysis.flags import kinds
from bench.cases.axes import NOT_ASKED
from bench.compare.recorded_runs import CaseMatch, CaseResult, Comparability, RunComparison
from bench.report import labels
from bench.report.brief_table import Column, align, axis_columns, in_order, shared_title, varying_axes
from bench.report.comparisons.recorded_runs import change_of, context, format_factor
from bench.report.labels import NONE

CAUSE = ", most often: "
"""What follows it is the cause of interference, for which a terminal has no room."""

LISTED = 5
"""Largest number of lines of one kind; above it, the rest is counted."""


def render(comparison: RunComparison, width: int) -> str:
    """Render two runs as lines; lines of text may be longer than ``width``, those of tables are not."""
    shown = context(comparison)["shown"]
    blocks = [[shown["summary"], str(shown["meaning"]).replace("`", "")], shown["about"]]
    if comparison.compared:
        blocks.append(_limit(_differing(shown["differing"])) or ["Nothing recorded differs between A and B."])
        blocks += _tables(comparison, width)
        blocks.append([_intervals(comparison)])
    blocks.append(
        _limit([f"Not comparable: {line['case']}: {line['differences']}" for line in shown["not_comparable"]])
    )
    blocks.append(
        _limit([f"One side only: {line['case']}: A {line['a']}, B {line['b']}" for line in shown["one_sided"]])
    )
    if shown["same"]:
        blocks.append([f"The same measurement on both sides: {', '.join(shown['same'])}."])
    if shown["neither_ends"]:
        blocks.append([f"Measured on neither side: {shown['neither']} ({shown['neither_ends']})."])
    lines = ("\n".join(labels.to_one_line(line) for line in block if line) for block in blocks)
    return "\n\n".join(filter(None, lines))


def _limit(lines: Sequence[str]) -> list[str]:
    rest = len(lines) - LISTED
    return [*lines[:LISTED], *([f"... and {rest} more: --wide lists all"] if rest > 0 else [])]


def _differing(differing: Sequence[dict[str, str]]) -> list[str]:
    """Return a line per difference: ``Differs: torch 2.14.1 → 2.15.0``."""
    return [
        f"Differs: {line['what']} {line['a'].partition(CAUSE)[0]} → {line['b'].partition(CAUSE)[0]}"
        + ("" if line["in"] in (NONE, "all cases") else f" in {line['in']}")
        for line in differing
    ]


def _tables(comparison: RunComparison, width: int) -> Iterator[list[str]]:
    """Yield the lines of each mode: its shared axes, then a line per case."""
    matches = comparison.compared
    every = pd.DataFrame([labels.case_values(match.case) for match in matches], index=range(len(matches)))
    every = every.astype("object").where(every.notna(), NOT_ASKED)
    for _, rows in every.groupby("mode", sort=False):
        ordered = in_order(rows)
        cases = [matches[int(place)] for place in ordered.index]
        varying = varying_axes(ordered)
        columns = [
            *axis_columns(ordered, varying),
            Column("A images/s", [_rate(match.a) for match in cases], droppable=1),
            Column("B images/s", [_rate(match.b) for match in cases], droppable=1),
            Column("B is", [_format_change(match) for match in cases]),
            Column("Interval", [_interval(match) for match in cases], droppable=2),
            Column("Memory of B", [_memory(match) for match in cases], droppable=3),
        ]
        yield [shared_title(ordered, varying), *align(columns, [_notes(match) for match in cases], width)]


def _rate(side: CaseResult | None) -> str:
    return NONE if side is None or side.rate is None else labels.rate(side.rate.point).partition(" ")[0]


def _format_change(match: CaseMatch) -> str:
    """Format how B differs: ``1.93× slower``, ``not clear``."""
    change = change_of(match)
    if change.direction == "":
        return "not clear"
    return f"{format_factor(change.factor)} {change.direction or 'the time'}"


def _interval(match: CaseMatch) -> str:
    change = change_of(match)
    if change.low is None or change.high is None:
        return NONE
    return f"{change.low:.3g} to {change.high:.3g}"


def _memory(match: CaseMatch) -> str:
    """Format the change of peak memory: ``+1.5 %``."""
    ratio = match.memory_ratio
    return NONE if ratio is None else f"{100 * (ratio - 1):+.1f} %".replace("-", "\N{MINUS SIGN}")


def _notes(match: CaseMatch) -> str:
    """Name the flags of each side: ``A interfered; B interfered, modelled``."""
    sides = (("A", match.a), ("B", match.b))
    return "; ".join(f"{name} {', '.join(kinds(side.flags))}" for name, side in sides if side and kinds(side.flags))


def _intervals(comparison: RunComparison) -> str:
    """Describe the intervals, once for all cases."""
    if comparison.label is Comparability.SIDE_BY_SIDE:
        return ""
    known = list(dict.fromkeys(match.interval_kind for match in comparison.compared if match.interval_kind))
    return f"Intervals are 95 %, {' or '.join(known)}." if known else "No case has enough steps for an interval."
