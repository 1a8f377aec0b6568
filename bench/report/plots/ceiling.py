"""Peak memory against batch: the probes, the memory model and the limit."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import msgspec
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.analysis.metrics import BYTES, METRICS
from bench.analysis.units import shared_unit, units_of_case
from bench.cases.case import FIXED
from bench.ceiling.findings import memory_model
from bench.formatting import format_bytes
from bench.records.ceiling import Ceiling
from bench.report import labels
from bench.report.plots import facets, line_by_batch, palette, scale, style
from bench.report.plots.plot import Plot, make_plot

HEIGHT = 320
CURVE = 40
"""Number of segments of a curve, which is slightly bent."""

TITLE = "Memory against batch"
"""Title of all panels. Values of :func:`versions_of` are added to the names of lines if they differ."""

MARKS = (
    "A point is a batch that trained, a cross one that did not, a dashed line a memory limit. The curve is the memory "
    "model, fitted to the points."
)


LIMIT = palette.Look(palette.INK, "None", (0, (2, 2)))
"""Look of a memory limit."""


class Series(msgspec.Struct, frozen=True):
    """One line: its axes as texts, and its ceilings, which differ in their memory limit alone."""

    words: dict[str, str]
    ceilings: tuple[Ceiling, ...]

    @property
    def ceiling(self) -> Ceiling:
        """The ceiling with the largest batch, whose memory model is drawn."""
        return max(self.ceilings, key=lambda ceiling: (ceiling.memory_fit is not None, ceiling.case.batch))

    @property
    def points(self) -> list[tuple[int, int]]:
        """Batch and peak of each probe that trained, by rising batch."""
        return sorted(
            {
                (probe.batch, probe.peak)
                for ceiling in self.ceilings
                for probe in ceiling.probes
                if probe.fits and probe.peak
            }
        )

    @property
    def crosses(self) -> list[int]:
        """Batches that did not train."""
        return sorted({probe.batch for ceiling in self.ceilings for probe in ceiling.probes if not probe.fits})


def lines_of(ceilings: Sequence[Ceiling]) -> list[Series]:
    """Return one line for all ceilings that differ in their memory limit alone."""
    groups: dict[tuple[tuple[str, str], ...], list[Ceiling]] = {}
    for ceiling in ceilings:
        groups.setdefault(tuple(words(ceiling).items()), []).append(ceiling)
    return [Series(dict(key), tuple(members)) for key, members in groups.items()]


def words(ceiling: Ceiling) -> dict[str, str]:
    """Return the axes of a ceiling as texts, by name."""
    case = ceiling.case
    values = labels.case_values(case)
    values_of = {axis: labels.point(values, [axis]) for axis in FIXED if axis not in ("mode", "batch")}
    further = " · ".join(labels.axis_value(axis, value) for axis, value in case.further)
    return {**values_of, "further": further, **versions_of(ceiling)}


def versions_of(ceiling: Ceiling) -> dict[str, str]:
    """Return the other differences that two ceilings may have, as texts: versions, granularity, and the recipe."""
    software = ceiling.environment
    return {
        "software": labels.to_one_line(
            f"torch {software.label('torch')}, Ultralytics {software.label('ultralytics')}", 200
        ),
        "granularity": f"steps of {ceiling.granularity}",
        "recipe": f"recipe {ceiling.recipe.fingerprint[:8]}",
    }


def unit_of(ceilings: Sequence[Ceiling]) -> str:
    """Return what the batches of ceilings consist of, in the singular: ``image``; ``item`` where they differ."""
    return shared_unit([units_of_case(ceiling.case) for ceiling in ceilings])


def limit(ceiling: Ceiling) -> str:
    """Format a limit: ``8 GiB``; ``15.3 GiB, what was free`` if none was requested; empty without a limit."""
    if not ceiling.limit_bytes:
        return ""
    return show_limit(ceiling.limit_bytes) + ("" if ceiling.limit_requested else ", what was free")


def show_limit(size: int) -> str:
    """Format a limit without needless digits: ``8 GiB``."""
    gib = size / 2**30
    return f"{gib:g} GiB" if gib == round(gib, 1) else format_bytes(size)


def plots(ceilings: Sequence[Ceiling], models: Sequence[str] = ()) -> list[Plot]:
    """Return one panel per model and device with known peaks; more panels if there are too many lines.

    Args:
        ceilings: of one machine.
        models: all models of the page: each has its hue.
    """
    groups: dict[tuple[str, str], list[Series]] = {}
    for line in lines_of(ceilings):
        if line.points:
            groups.setdefault((line.words["model"], line.words["device"]), []).append(line)
    panels = []
    for (model, device), lines in groups.items():
        for start in range(0, len(lines), style.SERIES):
            chunk = lines[start : start + style.SERIES]
            number = [str(start // style.SERIES + 1)] * (len(lines) > style.SERIES)
            panels.append(
                make_plot(
                    key=facets.slug("ceiling", model, device, *number),
                    title=TITLE,
                    figure=functools.partial(figure, chunk, models),
                    alt=alt(chunk),
                    caption=MARKS,
                    data=(
                        ("Case", "Limit", "Batch", "Peak memory", "Outcome"),
                        tuple(row for line in chunk for row in _rows(line, _varying(chunk))),
                    ),
                )
            )
    return panels


def _rows(line: Series, varying: Sequence[str]) -> list[tuple[str, ...]]:
    name = " · ".join(filter(None, (line.words[key] for key in varying))) or line.words["imgsz"]
    return [
        (
            name,
            limit(ceiling) or labels.NONE,
            f"{probe.batch:,}",
            format_bytes(probe.peak) if probe.peak else labels.NONE,
            "trained" if probe.fits else probe.stop_reason or labels.status(probe.outcome.status.value),
        )
        for ceiling in line.ceilings
        for probe in sorted(ceiling.probes, key=lambda probe: probe.batch)
    ]


def figure(lines: Sequence[Series], models: Sequence[str] = ()) -> Figure:
    """Draw the panel of some lines; call it within :func:`style.styled`."""
    peaks = [peak for line in lines for _, peak in line.points]
    limits = sorted({each.limit_bytes for line in lines for each in line.ceilings if each.limit_bytes})
    metric = METRICS["peak_memory_bytes"]
    divisor, symbol = scale.unit(metric, [*peaks, *limits])
    drawn, axes = style.canvas(HEIGHT)
    axes.set_title(" · ".join(_shared(lines)))
    axes.set_xlabel(f"Batch ({unit_of([line.ceiling for line in lines])}s per step)")
    axes.set_ylabel(scale.title(metric, symbol))
    widest = max(batch for line in lines for batch in [*(b for b, _ in line.points), *line.crosses])
    axes.set_xlim(0, widest * 1.06)
    axes.set_ylim(0, max([*peaks, *limits]) / divisor * 1.1)
    scale.round_ticks(axes.xaxis)
    scale.round_ticks(axes.yaxis)
    axes.grid(axis="y")
    looks = palette.looks([line.words["model"] for line in lines], models)
    for limit_bytes in limits:
        height = limit_bytes / divisor
        axes.axhline(height, color=palette.INK, linewidth=1, linestyle=LIMIT.dash, alpha=0.6, zorder=1)
    for look, line in zip(looks, lines, strict=True):
        _draw(axes, line, look, divisor)
    top = axes.get_ylim()[1] * divisor
    named = [*zip(lines, looks, strict=True)] if len(lines) > 1 else []
    names = [" · ".join(filter(None, (line.words[key] for key in _varying(lines)))) for line, _ in named]
    line_by_batch.name_lines(
        axes,
        [*names, *(f"limit {show_limit(limit_bytes)}" for limit_bytes in limits)],
        [*(look for _, look in named), *[LIMIT] * len(limits)],
        [*(line.points[-1][1] / top for line, _ in named), *(limit_bytes / top for limit_bytes in limits)],
    )
    return drawn


def _draw(axes: Axes, line: Series, look: palette.Look, divisor: float) -> None:
    batches = [batch for batch, _ in line.points]
    heights = [peak / divisor for _, peak in line.points]
    axes.plot(batches, heights, color=look.colour, marker=look.marker, linestyle="none", zorder=3)
    fit = memory_model(line.ceiling)
    if fit is not None:
        end = max([*batches, *line.crosses])
        reach = [end * step / CURVE for step in range(CURVE + 1)]
        axes.plot(reach, [fit.peak(b) / divisor for b in reach], color=look.colour, linestyle=look.dash, zorder=2)
    top = axes.get_ylim()[1]
    for batch in line.crosses:
        height = top if fit is None else min(fit.peak(batch) / divisor, top)
        axes.plot(
            [batch], [height], color=look.colour, marker="x", markersize=8, markeredgewidth=2, zorder=4, clip_on=False
        )


def _shared(lines: Sequence[Series]) -> list[str]:
    apart = {*_varying(lines), *versions_of(lines[0].ceiling)}
    return [word for key, word in lines[0].words.items() if word and key not in apart]


def _varying(lines: Sequence[Series]) -> list[str]:
    return [key for key in lines[0].words if len({line.words[key] for line in lines}) > 1]


def alt(lines: Sequence[Series]) -> str:
    """Return one sentence: for each line the largest batch that trains, and the memory per image."""
    texts = []
    for line in lines:
        name = " · ".join(filter(None, (line.words[key] for key in _varying(lines))))
        fit = line.ceiling.memory_fit
        grows = f", {BYTES.show(fit.slope)} per {unit_of(line.ceilings)}" if fit else ""
        ends = []
        for ceiling in line.ceilings:
            least = "at least " if ceiling.stop_reason in ("", "limit") else ""
            within = f" within {limit(ceiling)}" if ceiling.limit_bytes else ""
            ends.append(f"up to {least}batch {ceiling.case.batch}{within}")
        texts.append(f"{name} {labels.listing(ends)}{grows}".strip())
    return f"{TITLE}, {' · '.join(_shared(lines))}: {'; '.join(texts)}."
