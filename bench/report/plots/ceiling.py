"""Peak memory against batch: the probes, the memory model and the limit."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import msgspec
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.analysis.metrics import BYTES, METRICS
from bench.cases.case import FIXED
from bench.ceiling.findings import memory_model
from bench.formatting import format_bytes
from bench.records.ceiling import Ceiling
from bench.report import labels
from bench.report.plots import facets, line_by_batch, scale, style
from bench.report.plots.plot import Plot, make_plot

HEIGHT = 320
CURVE = 40
"""Number of segments of a curve, which is slightly bent."""

TITLE = "Memory against batch, up to where it ends"
"""Title of all panels. Values of :func:`versions_of` are added to the names of lines if they differ."""

MARKS = (
    "A point is a batch that trained a few steps. The curve is fitted to the points (on a CPU also to the memory "
    "before the first step, and separately for batches whose gradients wait for the optimizer). A cross is a batch "
    "that did not train (at the height that the curve predicted, else at the top). The horizontal line is the limit."
)


class Series(msgspec.Struct, frozen=True):
    """One line: its axes as texts, and its ceiling."""

    words: dict[str, str]
    ceiling: Ceiling

    @property
    def points(self) -> list[tuple[int, int]]:
        """Batch and peak of each probe that trained, by rising batch."""
        return sorted((probe.batch, probe.peak) for probe in self.ceiling.probes if probe.fits and probe.peak)

    @property
    def crosses(self) -> list[int]:
        """Batches that did not train."""
        return sorted({probe.batch for probe in self.ceiling.probes if not probe.fits})


def series(ceiling: Ceiling) -> Series:
    """Return the line of a ceiling."""
    return Series(words(ceiling), ceiling)


def words(ceiling: Ceiling) -> dict[str, str]:
    """Return the axes of a ceiling as texts, by name."""
    case = ceiling.case
    values = labels.case_values(case)
    values_of = {axis: labels.axis_value(axis, values[axis]) for axis in FIXED if axis not in ("mode", "batch")}
    within = f"within {limit(ceiling)}" if ceiling.limit_bytes else "within what is there"
    further = " · ".join(labels.axis_value(axis, value) for axis, value in case.further)
    return {**values_of, "further": further, "within": within, **versions_of(ceiling)}


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


def limit(ceiling: Ceiling) -> str:
    """Format a limit: ``8 GiB``; ``15.3 GiB, what was free`` if none was requested; empty without a limit."""
    if not ceiling.limit_bytes:
        return ""
    return show_limit(ceiling.limit_bytes) + ("" if ceiling.limit_requested else ", what was free")


def show_limit(size: int) -> str:
    """Format a limit without needless digits: ``8 GiB``."""
    gib = size / 2**30
    return f"{gib:g} GiB" if gib == round(gib, 1) else format_bytes(size)


def plots(ceilings: Sequence[Ceiling]) -> list[Plot]:
    """Return one panel per model and device with known peaks; more panels if there are too many lines."""
    groups: dict[tuple[str, str], list[Series]] = {}
    for ceiling in ceilings:
        line = series(ceiling)
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
                    figure=functools.partial(figure, chunk),
                    alt=alt(chunk),
                    caption=f"{MARKS} {_how(chunk)}",
                    data=(
                        ("Case", "Batch", "Peak memory", "How it ended"),
                        tuple(row for line in chunk for row in _rows(line)),
                    ),
                )
            )
    return panels


def _how(lines: Sequence[Series]) -> str:
    held = labels.listing(dict.fromkeys(line.ceiling.limit_method for line in lines if line.ceiling.limit_method))
    return f"Memory was limited by: {held}." if held else ""


def _rows(line: Series) -> list[tuple[str, ...]]:
    name = " · ".join(filter(None, line.words.values()))
    return [
        (
            name,
            str(probe.batch),
            format_bytes(probe.peak) if probe.peak else labels.NONE,
            "trained" if probe.fits else probe.stop_reason or labels.status(probe.outcome.status.value),
        )
        for probe in sorted(line.ceiling.probes, key=lambda probe: probe.batch)
    ]


def figure(lines: Sequence[Series]) -> Figure:
    """Draw the panel of some ceilings; call it within :func:`style.styled`."""
    peaks = [peak for line in lines for _, peak in line.points]
    limits = [line.ceiling.limit_bytes for line in lines if line.ceiling.limit_bytes]
    metric = METRICS["peak_memory_bytes"]
    divisor, symbol = scale.unit(metric, [*peaks, *limits])
    drawn, axes = style.canvas(HEIGHT)
    axes.set_title(" · ".join(_shared(lines)))
    axes.set_xlabel("Batch (images per step)")
    axes.set_ylabel(scale.title(metric, symbol))
    widest = max(batch for line in lines for batch in [*(b for b, _ in line.points), *line.crosses])
    axes.set_xlim(0, widest * 1.06)
    axes.set_ylim(0, max([*peaks, *limits]) / divisor * 1.1)
    scale.round_ticks(axes.xaxis)
    scale.round_ticks(axes.yaxis)
    axes.grid(axis="y")
    for limit in sorted(set(limits)):
        axes.axhline(limit / divisor, color=style.INK, linewidth=1, linestyle=(0, (2, 2)), alpha=0.6, zorder=1)
        axes.text(widest * 0.01, limit / divisor, f" limit {show_limit(limit)}", va="bottom", fontsize=9)
    for place, line in enumerate(lines):
        _draw(axes, line, place, divisor)
    top = axes.get_ylim()[1]
    if len(lines) > 1:
        names = [" · ".join(filter(None, (line.words[key] for key in _varying(lines)))) for line in lines]
        line_by_batch.name_lines(axes, names, [line.points[-1][1] / divisor / top for line in lines])
    return drawn


def _draw(axes: Axes, line: Series, place: int, divisor: float) -> None:
    colour, marker = style.COLOURS[place], style.MARKERS[place]
    batches = [batch for batch, _ in line.points]
    axes.plot(
        batches, [peak / divisor for _, peak in line.points], color=colour, marker=marker, linestyle="none", zorder=3
    )
    fit = memory_model(line.ceiling)
    if fit is not None:
        end = max([*batches, *line.crosses])
        reach = [end * step / CURVE for step in range(CURVE + 1)]
        axes.plot(reach, [fit.peak(b) / divisor for b in reach], color=colour, linestyle=style.DASHES[place], zorder=2)
    top = axes.get_ylim()[1]
    for batch in line.crosses:
        height = top if fit is None else min(fit.peak(batch) / divisor, top)
        axes.plot([batch], [height], color=colour, marker="x", markersize=8, markeredgewidth=2, zorder=4, clip_on=False)


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
        grows = f", {BYTES.show(line.ceiling.memory_fit.slope)} per image" if line.ceiling.memory_fit else ""
        ended = line.ceiling.stop_reason
        least = "at least " if ended in ("", "limit") else ""
        texts.append(f"{name} up to {least}batch {line.ceiling.case.batch}{grows}".strip())
    return f"{TITLE}, {' · '.join(_shared(lines))}: {'; '.join(texts)}."
