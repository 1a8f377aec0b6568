"""Raw step times over a run: steps before the window, the window, and its mean."""

from __future__ import annotations

import functools
import statistics
from collections.abc import Sequence

import msgspec
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.analysis.flags import INTERFERED, kinds
from bench.analysis.table import measured_only
from bench.formatting import format_duration
from bench.records.record import Record
from bench.records.steps import Steps
from bench.report import labels
from bench.report.plots import facets, palette, scale, style
from bench.report.plots.plot import Data, Plot, View, make_plot

TITLE = "Step times"

MAX_CASES = 4
"""Maximum number of cases on a page: the fastest of each mode, and those with interference."""

MAX_PROCESSES = 4
"""Maximum number of processes of a case in a figure, one below the other."""

MAX_POINTS = 320
"""Maximum number of steps drawn one by one; above it, each bar is the range of several steps."""

FIRST, FURTHER = 260, 130
"""Height of the first panel, and of each further panel."""

COLUMNS = (
    "Process",
    "Steps before the window",
    "Steps of the window",
    "Mean step",
    "Shortest",
    "Longest",
    "Optimizer steps",
    "Epoch gaps",
    "Means of discarded windows",
)


def plots(view: View) -> list[Plot]:
    """Return one figure per case: the fastest of each mode, and those with interference."""
    figures: dict[str, Plot] = {}
    for case in view.processes(chosen(view.table)):
        plot = plot_of(case)
        number = f"-{len(figures) + 1}" if plot.key in figures else ""  # file names drop characters of ids
        figures[plot.key + number] = msgspec.structs.replace(plot, key=plot.key + number)
    return list(figures.values())


def chosen(table: pd.DataFrame) -> list[int]:
    """Choose the rows of the page, by the index of the table."""
    measured = table[table["status"] == "measured"]
    fastest = measured.groupby("mode", sort=False)["images_per_second"].idxmax()
    interfered = measured.index[[INTERFERED in kinds(str(text)) for text in measured["flags"]]]
    ordered = [int(fastest[mode]) for mode in labels.order("mode", fastest.index)]
    return list(dict.fromkeys([*ordered, *map(int, interfered)]))[:MAX_CASES]


def plot_of(processes: Sequence[Record]) -> Plot:
    """Return the figure of one case.

    Args:
        processes: its records; those that were measured are drawn.
    """
    measured = measured_only(processes)
    shown = measured[:MAX_PROCESSES]
    return make_plot(
        key=facets.slug("step-times", measured[0].case.id),
        title=TITLE,
        figure=functools.partial(figure, shown),
        alt=labels.to_one_line(_alt(shown)),
        caption=_caption(shown, len(measured)),
        data=_data(measured),
        question="time",
    )


def figure(processes: Sequence[Record]) -> Figure:
    """Draw one panel per process of a case; call it within :func:`style.styled`."""
    drawn, every = style.panels(len(processes), FIRST + FURTHER * (len(processes) - 1))
    every[0].set_title(facets.folded(labels.to_one_line(labels.whole_case(processes[0].case)), 70), fontsize=11)
    low, high = _limits(processes)
    for axes, record in zip(every, processes, strict=True):
        axes.set_ylim(low, high)
        axes.set_ylabel("Step (ms)" if len(processes) == 1 else f"Process {record.process} (ms)")
        axes.grid(axis="y")
        _draw(axes, record)
        scale.round_ticks(axes.yaxis)
    scale.round_ticks(every[-1].xaxis)
    every[-1].set_xlabel("Step")
    handles, names = _legend(every)
    drawn.legend(
        handles,
        names,
        loc="outside lower left",
        ncols=3 if len(names) <= 3 else 2,  # three long ones are wider than a phone's picture
        frameon=False,
        fontsize=style.SMALL,
        columnspacing=1.4,
    )
    return drawn


def _limits(processes: Sequence[Record]) -> tuple[float, float]:
    """Return the ends of the axis in ms: the shortest step, and the longest of windows and discarded means."""
    low = min(seconds for record in processes for seconds in _steps(record).seconds) * 1e3
    tops = [seconds for record in processes for seconds in [*_steps(record).window, *_discarded(record)]]
    high = max(tops) * 1e3
    room = max(0.1 * (high - low), 0.02 * high)
    return max(low - room, 0.0), high + room


def _draw(axes: Axes, record: Record) -> None:
    steps = _steps(record)
    numbers = steps.numbers
    start, end = steps.warmup_discarded + steps.warmup + 0.5, numbers[-1] + 0.5
    axes.set_xlim(numbers[0] - 0.5, end)
    if steps.warmup:
        axes.axvspan(numbers[0] - 0.5, start, facecolor=palette.INK, alpha=0.08, linewidth=0, label="before the window")
    times = [seconds * 1e3 for seconds in steps.seconds]
    if len(times) > MAX_POINTS:
        _draw_ranges(axes, numbers, times)
    else:
        line = 0.9 if steps.window_steps == len(steps.window) else 0.0  # none from one block to the next
        axes.plot(numbers, times, color=palette.BAR, linewidth=line, marker="o", markersize=3.2, label="step")
        _draw_optimizer(axes, steps, numbers, times)
    _draw_beyond(axes, numbers, times)
    axes.plot(
        [start, end],
        [steps.step_seconds * 1e3] * 2,
        color=palette.INK,
        linewidth=1.4,
        label="mean of the window",
        zorder=4,
    )
    for other in _discarded(record):
        axes.plot(
            [numbers[0] - 0.5, start],
            [other * 1e3] * 2,
            color=palette.UNDECIDED,
            linewidth=1.4,
            linestyle=(0, (5, 2)),
            label="mean of a discarded window",
            zorder=4,
        )


def _draw_optimizer(axes: Axes, steps: Steps, numbers: Sequence[int], times: Sequence[float]) -> None:
    """Mark the steps that ran the optimizer, where not every step does."""
    if (steps.timed_accumulation_steps or steps.accumulation_steps) > 1 and steps.optimizer:
        axes.plot(
            [numbers[index] for index in steps.optimizer],
            [times[index] for index in steps.optimizer],
            marker="s",
            markersize=5.5,
            markerfacecolor="none",
            markeredgewidth=1.4,
            color=palette.FASTER,
            linestyle="none",
            label="with optimizer",
        )


def _draw_ranges(axes: Axes, numbers: Sequence[int], times: Sequence[float]) -> None:
    """Draw a long run as ranges of several steps, so that no extreme is lost."""
    size = -(-len(times) // MAX_POINTS)
    parts = [(numbers[first : first + size], times[first : first + size]) for first in range(0, len(times), size)]
    middles = [statistics.fmean(chunk) for chunk, _ in parts]
    lows, highs = [min(chunk) for _, chunk in parts], [max(chunk) for _, chunk in parts]
    axes.vlines(middles, lows, highs, color=palette.BAR, linewidth=1.1, label=f"range of {size} steps")


def _draw_beyond(axes: Axes, numbers: Sequence[int], times: Sequence[float]) -> None:
    """Mark steps before the window that are longer than the axis, at its upper edge."""
    top = axes.get_ylim()[1]
    beyond = [number for number, time in zip(numbers, times, strict=True) if time > top]
    if beyond:
        axes.plot(
            beyond,
            [top] * len(beyond),
            color=palette.BAR,
            marker="^",
            markersize=6,
            linestyle="none",
            clip_on=False,
            label="longer than the axis",
        )


def _legend(every: Sequence[Axes]) -> tuple[list[Artist], list[str]]:
    """Return the handles and labels of all panels, each label once."""
    artists: dict[str, Artist] = {}
    for axes in every:
        handles, names = axes.get_legend_handles_labels()
        artists |= dict(zip(names, handles, strict=True))
    return list(artists.values()), list(artists)


def _steps(record: Record) -> Steps:
    assert record.steps is not None, "a measured case has steps"
    return record.steps


def _discarded(record: Record) -> list[float]:
    """Return the mean steps of discarded windows, in seconds."""
    return [window.step_seconds for window in record.discarded if window.step_seconds is not None]


def _alt(processes: Sequence[Record]) -> str:
    windows = []
    for record in processes:
        steps = _steps(record)
        name = "" if len(processes) == 1 else f" of process {record.process}"
        ends = " to ".join(map(format_duration, steps.window_range))
        windows.append(f"window{name}: {steps.window_steps} steps, {ends}, mean {format_duration(steps.step_seconds)}")
    return f"{TITLE}, {labels.whole_case(processes[0].case)}: {'; '.join(windows)}."


def _caption(shown: Sequence[Record], count: int) -> str:
    """Explain the plot in two sentences: how to read it, and what is special about its steps."""
    steps = [_steps(record) for record in shown]
    special = []
    if any(record_steps.window_steps > len(record_steps.window) for record_steps in steps):
        special.append("of a long window blocks of steps are drawn, and the mean of all")
    if any(record_steps.modelled for record_steps in steps):
        special.append("the mean weights each kind of step by its frequency in training")
    gaps = [gap for record_steps in steps for gap in record_steps.epoch_gaps]
    if gaps:
        total = f"{labels.count(len(gaps), 'epoch gap')} of {format_duration(sum(gaps))} in all"
        special.append(f"{total} between steps of the window {'belongs' if len(gaps) == 1 else 'belong'} to no step")
    reasons = dict.fromkeys(phrase for record in shown for window in record.discarded for phrase in window.interference)
    if reasons:
        special.append(f"windows were discarded for: {labels.listing(map(labels.to_one_line, reasons))}")
    if count > len(shown):
        special.append(f"the first {len(shown)} of {count} processes are shown")
    text = "; ".join(special)
    return (
        "A step is from the end of one batch to the end of the next; shaded steps are before the window, and the axis "
        "does not begin at 0." + (f" {text[0].upper()}{text[1:]}." if text else "")
    )


def _data(processes: Sequence[Record]) -> Data:
    """Return one row per process."""
    rows = []
    for record in processes:
        steps = _steps(record)
        rows.append(
            (
                str(record.process),
                f"{steps.warmup_discarded + steps.warmup:,}",
                f"{steps.window_steps:,}",
                format_duration(steps.step_seconds),
                *map(format_duration, steps.window_range),
                f"{steps.window_optimizer_steps:,}" if record.case.mode == "train" else labels.NONE,
                ", ".join(map(format_duration, steps.epoch_gaps)) or labels.NONE,
                ", ".join(map(format_duration, _discarded(record))) or labels.NONE,
            )
        )
    return COLUMNS, tuple(rows)
