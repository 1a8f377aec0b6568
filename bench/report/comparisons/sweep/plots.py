"""The plots of a sweep: throughput over releases with error bars, one plot per case."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.analysis.metrics import METRICS
from bench.compare.sweep import Point, Series, Sweep
from bench.compare.verdict import Verdict
from bench.formatting import format_share
from bench.report import labels
from bench.report.comparisons.regress.plots import SIGNS, Row, limits
from bench.report.comparisons.sweep.conclusion import FIRST, package_name
from bench.report.comparisons.sweep.context import point_verdict, shown_point
from bench.report.labels import to_one_line
from bench.report.plots import palette, scale, style
from bench.report.plots.plot import Plot, make_plot

TITLE = "Throughput over releases"
RATE = METRICS["images_per_second"]

HEIGHT = 300
TURNED = 66
"""Additional height for versions that are written upright."""

LEVEL = 7
"""Maximum number of releases with horizontal versions; above it, versions are written upright."""

MOST = 28
"""Maximum number of upright versions; above it, some are left out."""

UP = {Verdict.SLOWER: "v", Verdict.FASTER: "^"}
"""Markers that point in the direction of throughput; other verdicts keep the markers of a comparison."""


def draw(sweep: Sweep) -> list[Plot]:
    """Return one plot per case that has any pair."""
    every = sweep.series
    return [
        _drawn(series, sweep, "throughput" if len(every) == 1 else f"throughput-{number}")
        for number, series in enumerate(every, 1)
    ]


def _drawn(series: Series, sweep: Sweep, key: str) -> Plot:
    rows = [(sweep.base, FIRST, labels.rate(series.level), labels.NONE, labels.NONE)]
    for point in series.points:
        shown = shown_point(point)
        rate, ends = (shown[key] or labels.NONE for key in ("rate", "ends"))
        rows.append((point.release, point_verdict(point, sweep), rate, ends, shown["change"]))
    return make_plot(
        key=key,
        title=TITLE,
        figure=functools.partial(figure, series, sweep),
        alt=to_one_line(_alt(series, sweep)),
        caption=_caption(series, sweep),
        data=(("Release", "Verdict", RATE.title, "Interval", "Time per step"), tuple(rows)),
    )


def _alt(series: Series, sweep: Sweep) -> str:
    points = [
        f"{point.release} {labels.rate(point.rate)}, {point_verdict(point, sweep)}"
        for point in series.points
        if point.rate is not None
    ]
    first = f"{sweep.base} {labels.rate(series.level)}"
    return f"{TITLE} of {sweep.package}, {series.case.id}: {'; '.join([first, *points])}."


def _caption(series: Series, sweep: Sweep) -> str:
    """Explain how to read the plot of a case."""
    margin = format_share(sweep.comparisons[0].comparison.margin)
    text = (
        f"Bars are intervals of the ratio to {sweep.base}, times its level: the geometric mean over its "
        f"{labels.count(series.pairs, 'pair')} in all comparisons; the margin of {margin} is shaded, and the axis does "
        "not begin at 0. A triangle points up for faster and down for slower; a dot is the same, a hollow square "
        "inconclusive."
    )
    if any(point.rate is None for point in series.points):
        text += " A cross stands for a release without a figure."
    if any(point.rate is not None and point.low is None for point in series.points):
        text += " A single pair gives no interval."
    return text


def figure(series: Series, sweep: Sweep) -> Figure:
    """Draw the plot of a case; call it within :func:`style.styled`."""
    names = [sweep.base, *(point.release for point in series.points)]
    upright = len(names) > LEVEL
    drawn, axes = style.canvas(HEIGHT + TURNED * upright)
    axes.set_title(to_one_line(labels.whole_case(series.case))[:70], fontsize=11)
    axes.set_ylabel(scale.title(RATE, RATE.unit.symbol))
    axes.set_xlabel(package_name(sweep))
    axes.set_xlim(-0.5, len(names) - 0.5)
    _versions(axes, names, upright)
    margin = math.log1p(sweep.comparisons[0].comparison.margin)
    rows = [
        Row(point.release, point.verdict, point.estimate) for point in series.points if point.verdict and point.estimate
    ]
    longest, shortest = limits(rows, margin)[::-1]
    axes.set_ylim(series.level * math.exp(-longest), series.level * math.exp(-shortest))
    scale.round_ticks(axes.yaxis)
    axes.grid(axis="y")
    band = series.level * math.exp(-margin), series.level * math.exp(margin)
    axes.axhspan(*band, facecolor=palette.INK, alpha=0.08, linewidth=0)
    axes.axhline(series.level, color=palette.INK, linewidth=1.2)
    known = [(0, series.level), *((place, point.rate) for place, point in _placed(series) if point.rate is not None)]
    axes.plot(*zip(*known, strict=True), color=palette.INK, linewidth=1, alpha=0.45, zorder=2)
    axes.plot([0], [series.level], marker="D", markersize=7.5, color=palette.INK, linestyle="none", zorder=4)
    for place, point in _placed(series):
        _mark(axes, place, point)
    return drawn


def _placed(series: Series) -> list[tuple[int, Point]]:
    """Return the points with their places on the axis; the first release is at 0."""
    return list(enumerate(series.points, 1))


def _versions(axes: Axes, names: Sequence[str], upright: bool) -> None:
    """Label the axis with versions; if there are too many, with the last and every second, third and so on."""
    every = math.ceil(len(names) / MOST)
    places = [place for place in range(len(names)) if (len(names) - 1 - place) % every == 0]
    scale.set_ticks(axes.xaxis, places, [to_one_line(names[place]) for place in places])
    if upright:
        axes.tick_params(axis="x", rotation=90)


def _mark(axes: Axes, place: int, point: Point) -> None:
    """Draw a release with its interval, and an arrow where it goes beyond the axis; a cross without a figure."""
    low, high = axes.get_ylim()
    if point.rate is None or point.verdict is None:
        axes.plot(
            [place], [0.04], marker="x", markersize=8, markeredgewidth=2, color=palette.INK, alpha=0.7,
            transform=axes.get_xaxis_transform(), linestyle="none", zorder=4,
        )  # fmt: skip
        return
    colour, marker = SIGNS[point.verdict]
    if point.low is not None and point.high is not None:
        ends = max(point.low, low), min(point.high, high)
        axes.plot([place] * 2, ends, color=colour, linewidth=2.2, solid_capstyle="butt", zorder=3)
        for end, edge, beyond, sign in ((point.low, low, -1, 7), (point.high, high, 1, 6)):
            if (end - edge) * beyond > 0:
                axes.plot([place], [edge], marker=sign, markersize=6, color=colour, clip_on=False)
            else:
                axes.plot([place], [end], marker="_", markersize=6, markeredgewidth=1.6, color=colour, zorder=3)
    axes.plot(
        [place],
        [point.rate],
        marker=UP.get(point.verdict, marker),
        markersize=8.5,
        markerfacecolor="none" if point.verdict is Verdict.INCONCLUSIVE else colour,
        markeredgecolor=colour,
        markeredgewidth=1.6,
        zorder=4,
    )
