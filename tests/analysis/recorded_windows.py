"""Cut windows out of recorded steps: how often they include the mean of their series, and how wide they are.

``python -m tests.analysis.recorded_windows RESULTS ...`` prints the table of docs/validation.md, from records whose
window has 100 steps and more.
"""

from __future__ import annotations

import math
import statistics
import sys
from pathlib import Path

import msgspec

from bench.analysis.intervals import HOST_DRIFT, relative_half_width, t_quantile
from bench.records.record import Record
from bench.records.steps import Steps
from bench.records.store import read
from bench.worker.timing.stopwatch import MOST_EXTENDED, PRECISE

LENGTHS = (6, 12, 24, 48)
LEAST = 100
WIDE = 0.1


def part(steps: Steps, first: int, count: int) -> Steps:
    """Return the steps of a window as a record of that window alone."""
    start = steps.warmup + first
    end = start + count
    images = steps.images if isinstance(steps.images, int) else steps.images[start:end]
    return msgspec.structs.replace(
        steps,
        warmup=0,
        seconds=steps.seconds[start:end],
        data_wait=steps.data_wait[start:end],
        images=images,
        optimizer=[index - start for index in steps.optimizer if start <= index < end],
        latency=[],
    )


def window(steps: Steps, first: int, count: int, extends: bool) -> Steps:
    """Return a window of so many steps, which goes on as a stopwatch lets it where ``extends``."""
    cycle = steps.timed_accumulation_steps or steps.accumulation_steps
    length = count
    cut = part(steps, first, length)
    while extends and length < MOST_EXTENDED * count and (relative_half_width(cut) or 0.0) > PRECISE:
        length += cycle
        cut = part(steps, first, length)
    return cut


def line(series: list[Steps], count: int, extends: bool) -> str:
    """Return a row of the table: for windows of so many steps, cut at every second step."""
    widths, included = [], 0
    for steps in series:
        mean, longest = steps.step_seconds, MOST_EXTENDED * count if extends else count
        cycle = steps.timed_accumulation_steps or steps.accumulation_steps
        for first in range(0, len(steps.window) - longest - cycle, 2 * cycle):
            cut = window(steps, first, count, extends)
            width = math.hypot(relative_half_width(cut) or 0.0, t_quantile(math.inf) * HOST_DRIFT)
            widths.append(width)
            included += abs(mean / cut.step_seconds - 1) <= width
    if len(widths) < 20:
        return f"| {count} | | | |"
    most = statistics.quantiles(widths, n=20)[-1]
    wide = sum(width > WIDE for width in widths)
    return (
        f"| {count} | {included / len(widths):.0%} | {statistics.median(widths):.1%}; {most:.1%}; {max(widths):.1%} | "
        f"{wide} of {len(widths)} |"
    )


def long_windows(records: list[Record]) -> list[Steps]:
    """Return the windows that have all their steps, and enough of them."""
    windows = [record.steps for record in records if record.steps is not None]
    return [steps for steps in windows if steps.whole is msgspec.UNSET and len(steps.window) >= LEAST]


def main(sources: list[str]) -> None:
    """Print the table without and with windows that go on."""
    series = long_windows(read(list(map(Path, sources)))[0])
    print(f"{len(series)} series of {min(len(s.window) for s in series)} to {max(len(s.window) for s in series)} steps")
    for extends in (False, True):
        print(f"\n{'windows that go on' if extends else 'windows of a fixed length'}")
        print(
            "| steps | include the mean of the series | half the width (median; 95 of 100; widest) | wider than 10 % |"
        )
        for count in LENGTHS:
            print(line(series, count, extends))


if __name__ == "__main__":
    main(sys.argv[1:])
