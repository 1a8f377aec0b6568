"""The plots of a live comparison: the change of each case, and the parts of a step."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

import msgspec
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from bench.analysis.table import axes_of, case_frame
from bench.compare.findings import DATA, REST, ComparisonResult, Finding, Part
from bench.compare.verdict import Estimate, Verdict
from bench.formatting import format_share
from bench.records.comparison import SIDES
from bench.report import labels
from bench.report.comparisons.changes import format_estimate, format_interval, format_milliseconds, format_tick
from bench.report.comparisons.regress.cases import format_share_of_change, format_steps, shows_parts
from bench.report.plots import facets, palette, scale, style
from bench.report.plots import stacked_bars as stacks
from bench.report.plots.plot import Plot, make_plot

SIGNS = {
    Verdict.SLOWER: (palette.SLOWER, ">"),
    Verdict.FASTER: (palette.FASTER, "<"),
    Verdict.SAME: (palette.SAME, "o"),
    Verdict.INCONCLUSIVE: (palette.UNDECIDED, "s"),
}
"""Colour and marker of each verdict; the marker is hollow for an inconclusive verdict."""

ROWS = 16
"""Maximum number of cases per panel; more cases take several panels."""

ROW, AROUND = 32, 78
SHORT = 40
"""Maximum length, in characters, of a title in the usual font size."""

NAME, WORD = 20, 32
"""Maximum length, in characters, of a line of a case's name, and of a part on a line by itself."""

REACH = 2.5
"""Length to which an interval is drawn, in multiples of the margin or of the largest change."""

NEAR = 1.4
"""Factor by which an axis may exceed that length to show the end of an interval."""

STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)
"""Distances of ticks, in percent."""

TICKS = 7

ORDER = (DATA, "preprocess", "forward", "backward", "optimizer", "postprocess")
"""Parts in the order in which they run in a step; others come after them."""

FOREST = "Change of the time per step"
PARTS = "Where the time went"
FOREST_COLUMNS = ("Case", "Verdict", "Change", "Interval", "Pairs")


class Row(msgspec.Struct, frozen=True):
    """One line of the forest plot: its name, its verdict, the estimate that counts, and the other estimate."""

    name: str
    verdict: Verdict
    estimate: Estimate
    other: Estimate | None = None


def draw(result: ComparisonResult) -> list[Plot]:
    """Return the forest plot, and the parts of each case that became slower or faster."""
    return [*forests(result), *parts(result)]


def forests(result: ComparisonResult) -> list[Plot]:
    """Plot the change of each case with its interval; many cases take several panels."""
    cases = result.judged
    if not cases:
        return []
    table = case_frame([finding.compared.case for finding in cases])
    names = facets.varying(table, axes_of(table))
    every = [_row(finding, labels.point(row, names)) for finding, row in zip(cases, labels.rows(table), strict=True)]
    chunks = [every[start : start + ROWS] for start in range(0, len(every), ROWS)]
    whole = (
        Row("all together", result.overall.verdict, result.overall.estimate)
        if result.covers_several_cases and result.overall
        else None
    )
    plots = []
    title = labels.to_one_line(facets.title(table))
    for number, rows in enumerate(chunks, 1):
        last = whole if number == len(chunks) else None
        plots.append(
            _finished(
                key="change" if len(chunks) == 1 else f"change-{number}",
                title=FOREST,
                figure=functools.partial(forest, rows, last, result.comparison.margin, title),
                alt=_alt(rows, last),
                caption=_caption(rows, result),
                columns=FOREST_COLUMNS,
                rows=_forest_rows([*rows, *([last] if last else [])]),
            )
        )
    return plots


def together(results: Sequence[ComparisonResult]) -> list[Plot]:
    """Plot the cases of several comparisons with the same margin in one forest plot; many take several panels."""
    judged = [(result, finding) for result in results for finding in result.judged]
    if not judged:
        return []
    table = case_frame([finding.compared.case for _, finding in judged])
    names = facets.varying(table, axes_of(table))
    every = []
    for (result, finding), row in zip(judged, labels.rows(table), strict=True):
        versions = f"{result.comparison.base.asked} · to {result.comparison.head.asked}"
        every.append(_row(finding, " · ".join(filter(None, [versions, labels.point(row, names)]))))
    title = (
        labels.to_one_line(facets.title(table))
        if len(table) > 1 or names
        else labels.to_one_line(labels.case(labels.rows(table)[0]))
    )
    plots = []
    for number, start in enumerate(range(0, len(every), ROWS), 1):
        rows = every[start : start + ROWS]
        plots.append(
            _finished(
                key="change" if len(every) <= ROWS else f"change-{number}",
                title=FOREST,
                figure=functools.partial(forest, rows, None, results[0].comparison.margin, title),
                alt=_alt(rows, None),
                caption=_caption(rows, results[0]),
                columns=FOREST_COLUMNS,
                rows=_forest_rows(rows),
            )
        )
    return plots


def _forest_rows(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    return [
        (
            labels.to_one_line(row.name),
            row.verdict.value,
            format_estimate(row.estimate),
            format_interval(row.estimate) or labels.NONE,
            str(row.estimate.pairs),
        )
        for row in rows
    ]


def _row(finding: Finding, name: str) -> Row:
    assert finding.judged, "a case without a pair has no row"
    other = finding.interim if finding.confirmed else finding.confirmation
    return Row(name, finding.judged.verdict, finding.judged.estimate, other)


def _alt(rows: Sequence[Row], whole: Row | None) -> str:
    clauses = [
        f"{row.name} {format_estimate(row.estimate)}, {row.verdict.value}".strip()
        for row in (*rows, *([whole] if whole else []))
    ]
    return f"{FOREST} from base to head: {'; '.join(clauses)}."


def _caption(rows: Sequence[Row], result: ComparisonResult) -> str:
    text = (
        "Right of 0 head takes longer; bars are intervals, and the margin of "
        f"± {format_share(result.comparison.margin)} is shaded. A triangle is a change, a dot the same, a hollow "
        "square inconclusive."
    )
    if any(row.other for row in rows):
        text += (
            " A thin bar above shows the pairs that do not count: interim looks that a confirmation replaced, or a "
            "confirmation with too few pairs."
        )
    return text


def forest(rows: Sequence[Row], whole: Row | None, margin: float, title: str) -> Figure:
    """Draw the forest plot; call it within :func:`style.styled`."""
    every = [*rows, *([whole] if whole else [])]
    drawn, axes = style.canvas(AROUND + ROW * len(every))
    axes.set_title(title, fontsize=12.5 if len(title) <= SHORT else 11)
    axes.set_ylim(len(every) - 0.5, -0.5)
    scale.set_ticks(axes.yaxis, range(len(every)), [_folded(row.name) for row in every])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    margin = math.log1p(margin)
    low, high = limits(every, margin)
    axes.set_xlim(low, high)
    ticks = percent_ticks(low, high)
    scale.set_ticks(axes.xaxis, [math.log1p(tick / 100) for tick in ticks], [format_tick(tick) for tick in ticks])
    axes.axvspan(-margin, margin, facecolor=palette.INK, alpha=0.08, linewidth=0)
    axes.axvline(0, color=palette.INK, linewidth=1.2)
    axes.grid(axis="x")
    axes.set_xlabel("Change of the time per step, base to head")
    for place, row in enumerate(rows):
        if row.other is not None:
            _bar(axes, row.other, place - 0.27, row.verdict, thin=True)
        _bar(axes, row.estimate, place, row.verdict)
    if whole is not None:
        axes.axhline(len(rows) - 0.5, color=palette.INK, linewidth=0.8, alpha=0.4)
        _diamond(axes, whole.estimate, len(rows), whole.verdict)
    for place, row in enumerate(every):
        axes.text(
            1.015,
            place,
            format_estimate(row.estimate),
            transform=axes.get_yaxis_transform(),
            va="center",
            fontsize=style.SMALL,
        )
    return drawn


def _folded(name: str) -> str:
    """Break a name into as many lines as it needs."""
    lines: list[str] = []
    for word in labels.to_one_line(name).split(" · "):
        part = word if len(word) <= WORD else f"{word[: WORD - 1]}…"
        if lines and len(lines[-1]) + len(part) + 3 <= NAME:
            lines[-1] += f" · {part}"
        else:
            lines.append(part)
    return "\n".join(lines)


def limits(rows: Sequence[Row], margin: float) -> tuple[float, float]:
    """Return the ends of an axis that holds all estimates and the margin; a very wide interval is cut."""
    estimates = [estimate for row in rows for estimate in (row.estimate, row.other) if estimate is not None]
    most = REACH * max(margin, *(abs(estimate.log) for estimate in estimates))
    ends = [end for estimate in estimates for end in (estimate.log - estimate.half, estimate.log + estimate.half)]
    if most < (far := max(map(abs, ends))) <= NEAR * most:
        most = far  # no arrow where a little more room shows the end
    low = max(min(-margin, *ends), -most)
    high = min(max(margin, *ends), most)
    room = 0.05 * (high - low)
    return low - room, high + room


def percent_ticks(low: float, high: float) -> list[float]:
    """Return round percentages between two logarithms of ratios, including 0."""
    first, last = math.expm1(low) * 100, math.expm1(high) * 100
    for step in STEPS:
        ticks = [step * number for number in range(math.ceil(first / step), math.floor(last / step) + 1)]
        if len(ticks) <= TICKS:
            return ticks
    return [0.0]


def _bar(axes: Axes, estimate: Estimate, place: float, verdict: Verdict, thin: bool = False) -> None:
    """Draw an interval with its estimate, and an arrow where it goes beyond the axis."""
    colour, marker = SIGNS[verdict]
    low, high = axes.get_xlim()
    ends = max(estimate.log - estimate.half, low), min(estimate.log + estimate.half, high)
    alpha, width = (0.55, 1.0) if thin else (1.0, 2.2)
    axes.plot(ends, [place] * 2, color=colour, linewidth=width, alpha=alpha, solid_capstyle="butt", zorder=3)
    for end, edge, sign in ((estimate.log - estimate.half, low, 4), (estimate.log + estimate.half, high, 5)):
        if not low <= end <= high:
            axes.plot(
                [edge], [place], marker=sign, markersize=4 if thin else 6, color=colour, alpha=alpha, clip_on=False
            )
    hollow = thin or verdict is Verdict.INCONCLUSIVE
    axes.plot(
        [estimate.log],
        [place],
        marker=marker,
        markersize=4.5 if thin else 8.5,
        markerfacecolor="none" if hollow else colour,
        markeredgecolor=colour,
        markeredgewidth=1.0 if thin else 1.6,
        alpha=alpha,
        zorder=4,
    )


def _diamond(axes: Axes, estimate: Estimate, place: float, verdict: Verdict) -> None:
    colour, _ = SIGNS[verdict]
    ends = [
        max(estimate.log - estimate.half, axes.get_xlim()[0]),
        min(estimate.log + estimate.half, axes.get_xlim()[1]),
    ]
    corners = [(ends[0], place), (estimate.log, place - 0.26), (ends[1], place), (estimate.log, place + 0.26)]
    face = "none" if verdict is Verdict.INCONCLUSIVE else colour
    axes.add_patch(Polygon(corners, closed=True, facecolor=face, edgecolor=colour, linewidth=1.6, zorder=4))


def parts(result: ComparisonResult) -> list[Plot]:
    """Plot the parts of a step on both sides, for each case that became slower or faster."""
    cases = [finding for finding in result.findings if shows_parts(finding)]
    return [
        _finished(
            key=f"parts-{number}",
            title=PARTS,
            figure=functools.partial(stacked, finding),
            alt=_parts_alt(finding),
            caption=_parts_caption(finding),
            columns=("Part of a step", "Base", "Head", "Change", "Of the change"),
            rows=[
                (
                    part.name,
                    format_milliseconds(part.base),
                    format_milliseconds(part.head),
                    format_milliseconds(part.change, sign=True),
                    format_share_of_change(finding, part) or labels.NONE,
                )
                for part in finding.parts
            ],
        )
        for number, finding in enumerate(cases, 1)
    ]


def _parts_alt(finding: Finding) -> str:
    first = finding.parts[0]
    change = format_milliseconds(first.change, sign=True)
    return f"{PARTS}, {finding.id}: {format_steps(finding)}; most of it in {first.name}, {change}."


def _parts_caption(finding: Finding) -> str:
    methods = dict.fromkeys(part.method for part in finding.parts if part.method and part.name != DATA)
    clocks = f", timed by {'; '.join(methods)}" if methods else ""
    data = f" “{DATA}” is the wait for the next batch." if any(part.name == DATA for part in finding.parts) else ""
    return f"Phases of the mean step{clocks}.{data}"


def stacked(finding: Finding) -> Figure:
    """Draw both steps as bars of their parts, in the order of a step; call it within :func:`style.styled`."""
    layers = []
    for place, part in enumerate(in_order(finding)):
        number = ORDER.index(part.name) if part.name in ORDER else place
        look = None if part.name == REST else number
        layers.append(stacks.Layer(part.name, (part.base * 1e3, part.head * 1e3), look))
    title = labels.to_one_line(labels.whole_case(finding.compared.case))[:70]
    return stacks.figure(title, SIDES, layers, "Time per step (ms)", size=11)


def in_order(finding: Finding) -> list[Part]:
    """Return the parts in the order in which they run in a step, the rest last."""
    places = {name: place for place, name in enumerate((*ORDER, "", REST))}
    return sorted(finding.parts, key=lambda part: places.get(part.name, len(ORDER)))


def _finished(
    key: str,
    title: str,
    figure: Callable[[], Figure],
    alt: str,
    caption: str,
    columns: Sequence[str],
    rows: Sequence[tuple[str, ...]],
) -> Plot:
    data = (tuple(columns), tuple(rows))
    return make_plot(key, title, figure, labels.to_one_line(alt), caption, data)
