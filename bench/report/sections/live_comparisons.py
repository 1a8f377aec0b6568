"""The live comparisons of a report: one line each, and forest plots of all of them."""

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
from bench.report.inputs import MachineInputs
from bench.report.plots import Plot, facets
from bench.report.sections.section import Section
from bench.report.tables import markdown

COLUMNS = ("Base", "Head", "Verdict", "Time", "Interval", "Margin", "Pairs")


class Line(msgspec.Struct, frozen=True):
    """A comparison: its cells as in :data:`COLUMNS`, its verdict as in the style sheet, and a sentence."""

    cells: tuple[str, ...]
    verdict: str
    sentence: str


class Upgrades(msgspec.Struct, frozen=True):
    """The section of one machine."""

    columns: tuple[str, ...]
    lines: list[Line]
    plots: list[Plot]

    def markdown(self) -> str:
        """Render as a Markdown table."""
        return markdown(self.columns, [list(line.cells) for line in self.lines])


def section(comparisons: Sequence[Comparison]) -> Upgrades | None:
    """Return the section of the comparisons of one machine, oldest first; None without comparisons."""
    ordered = sorted(comparisons, key=lambda comparison: (comparison.started, comparison.run))
    results = [evaluate(comparison) for comparison in ordered]
    if not results:
        return None
    groups: dict[Hashable, list[ComparisonResult]] = {}
    for result in results:
        groups.setdefault(_how(result.comparison), []).append(result)
    drawn = [
        msgspec.structs.replace(plot, key=facets.slug("upgrade", *([str(number)] * (len(groups) > 1)), plot.key))
        for number, members in enumerate(groups.values(), 1)
        for plot in plots.together(members)
    ]
    return Upgrades(COLUMNS, [_line(result) for result in results], drawn)


def _how(comparison: Comparison) -> Hashable:
    """Return the key that comparisons on one plot share: the margin, and the recipe of each mode."""
    return comparison.margin, frozenset(
        (compared.case.mode, compared.recipe.fingerprint) for compared in comparison.cases
    )


def _line(result: ComparisonResult) -> Line:
    comparison = result.comparison
    estimate = result.overall.estimate if result.overall else None
    return Line(
        cells=(
            labels.to_one_line(comparison.base.asked),
            labels.to_one_line(comparison.head.asked),
            format_conclusion(result),
            format_estimate(estimate) if estimate else labels.NONE,
            (format_interval(estimate) or labels.NONE) if estimate else labels.NONE,
            f"± {format_share(comparison.margin)}",
            _pairs(result),
        ),
        verdict=str(result.conclusion),
        sentence=" ".join(conclusion(result)),
    )


def _pairs(result: ComparisonResult) -> str:
    """Format the number of pairs that the figure comes from: ``8``; ``4 of 8`` where a confirmation replaced others."""
    counted = sum(len(finding.counted) for finding in result.findings)
    return f"{result.pairs:,}" if counted in (0, result.pairs) else f"{counted:,} of {result.pairs:,}"


def build(machine: MachineInputs) -> Upgrades | None:
    """Return the section of a machine."""
    return section(machine.comparisons)


SECTION = Section("live_comparisons", "", build, template="live_comparisons", question="upgrades")
