"""Live comparisons among what is reported: a line for each, and one forest plot of them all."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import msgspec

from bench.compare.findings import ComparisonResult, evaluate
from bench.formatting import format_share
from bench.records.comparison import Comparison
from bench.report import labels
from bench.report.comparisons.changes import format_estimate, format_interval
from bench.report.comparisons.regress import plots
from bench.report.comparisons.regress.conclusion import conclusion, format_conclusion
from bench.report.plots import Plot, facets
from bench.report.sections.section import Section
from bench.report.tables import markdown

COLUMNS = ("Base", "Head", "Verdict", "Time", "Interval", "Margin", "Pairs")


class Line(msgspec.Struct, frozen=True):
    """A comparison: its cells as in :data:`COLUMNS`, its verdict as the style sheet knows it, and a sentence."""

    cells: tuple[str, ...]
    verdict: str
    sentence: str


class Upgrades(msgspec.Struct, frozen=True):
    """The panel of one machine."""

    columns: tuple[str, ...]
    lines: list[Line]
    plots: list[Plot]

    def markdown(self) -> str:
        """As a Markdown table."""
        return markdown(self.columns, [list(line.cells) for line in self.lines])


def section(comparisons: Sequence[Comparison]) -> Upgrades | None:
    """The panel of the comparisons of one machine, oldest first; None without any."""
    found = [evaluate(one) for one in sorted(comparisons, key=lambda one: (one.started, one.run))]
    if not found:
        return None
    groups: dict[Hashable, list[ComparisonResult]] = {}
    for one in found:
        groups.setdefault(_how(one.comparison), []).append(one)
    drawn = [
        msgspec.structs.replace(plot, key=facets.slug("upgrade", *([str(number)] * (len(groups) > 1)), plot.key))
        for number, members in enumerate(groups.values(), 1)
        for plot in plots.together(members)
    ]
    return Upgrades(COLUMNS, [_line(one) for one in found], drawn)


def _how(comparison: Comparison) -> Hashable:
    """What comparisons on one plot have alike: the margin, and how each mode was measured."""
    return comparison.margin, frozenset((one.case.mode, one.recipe.fingerprint) for one in comparison.cases)


def _line(found: ComparisonResult) -> Line:
    comparison = found.comparison
    seen = found.overall.estimate if found.overall else None
    return Line(
        cells=(
            labels.to_one_line(comparison.base.asked),
            labels.to_one_line(comparison.head.asked),
            format_conclusion(found),
            format_estimate(seen) if seen else labels.NONE,
            (format_interval(seen) or labels.NONE) if seen else labels.NONE,
            f"± {format_share(comparison.margin)}",
            f"{found.pairs:,}",
        ),
        verdict=str(found.conclusion),
        sentence=" ".join(conclusion(found)),
    )


SECTION = Section(
    "live_comparisons", "Upgrades", lambda machine: section(machine.comparisons), template="live_comparisons"
)
