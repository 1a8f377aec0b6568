"""Noise of a machine: how far fresh processes of the same case differ, from a calibration."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Sequence
from datetime import datetime

import numpy as np

from bench.analysis.intervals import half_width, stdev, t_quantile
from bench.analysis.table import measured_only
from bench.cases import Case
from bench.records.calibration import ENOUGH_PAIRS, Calibration, Lockstep
from bench.records.comparison import Comparison
from bench.records.record import Record

LEAST = 3
"""Minimum number of processes for an estimate of how far processes differ."""

LOOKS = (4, 8, 12)
"""Numbers of pairs at which a comparison of two environments takes an interim look."""

LOOK_CONFIDENCE = 1 - 0.0221
"""Confidence of one interim look, so that all three together are wrong in one of twenty cases."""

DEFAULT_MARGIN = 0.03
"""Default margin of a machine without a calibration."""

LEAST_MARGIN = 0.01
"""Smallest margin, however quiet the machine: two builds of the same source differ by as much."""

MARGIN_FACTOR = 1.5
"""Margin over half the width of the interval of eight pairs: that interval then mostly lies within the margin."""


def half_width_for(pair_stdev: float, pairs: int) -> float:
    """Return half the width of the interval of pairs; a true difference of that size is found in half of all cases.

    Args:
        pair_stdev: standard deviation of the logarithm of the ratio within a pair of processes.
        pairs: number of pairs.
    """
    return t_quantile(pairs - 1, LOOK_CONFIDENCE) * pair_stdev / math.sqrt(pairs)


def calibrations(records: Sequence[Record]) -> list[Calibration]:
    """Return the noise of every case of a calibration with enough processes without interference."""
    cases = dict.fromkeys(record.case for record in measured_only(records))
    estimates = [calibration([record for record in measured_only(records) if record.case == case]) for case in cases]
    return [estimate for estimate in estimates if estimate is not None]


def calibration(processes: Sequence[Record]) -> Calibration | None:
    """Return the noise of one case; None with fewer than :data:`LEAST` processes without interference.

    Args:
        processes: its measured records, in the order in which they ran. Those whose window had interference are left
            out; speed is never a reason.
    """
    calm = [record for record in processes if record.window is None or not record.window.interference]
    if len(calm) < LEAST:
        return None
    logs = [math.log(record.steps.step_seconds) for record in calm if record.steps is not None]
    steps = np.diff(logs)
    pairs = adjacent_pairs(logs, calm[0].run)
    middle = statistics.fmean(pairs)
    half = half_width(pairs) if len(pairs) > 1 else None
    slope, slope_half = drift(calm, logs)
    return Calibration(
        device=calm[0].case.device,
        mode=calm[0].case.mode,
        case=calm[0].case.id,
        run=calm[0].run,
        calibrated=calm[-1].started,
        torch=calm[0].environment.label("torch"),
        ultralytics=calm[0].environment.label("ultralytics"),
        stdev=stdev(logs),
        processes=len(logs),
        interfered=len(processes) - len(calm),
        # From neighbours only, which leaves out a drift over the run, as a comparison by pairs does.
        pair_stdev=math.sqrt(float(steps @ steps) / len(steps)),
        pairs=len(pairs),
        median_difference=statistics.median(map(abs, pairs)),
        greatest_difference=max(map(abs, pairs)),
        difference=middle,
        difference_half=half,
        drift=slope,
        drift_half=slope_half,
    )


def adjacent_pairs(logs: Sequence[float], seed: str) -> list[float]:
    """Return log ratios within pairs of neighbours, each process in one pair, in random direction.

    These are A/A comparisons: the mean has to be 0.
    """
    draw = random.Random(seed)
    first = draw.randrange(2) if len(logs) % 2 else 0
    pairs = zip(logs[first::2], logs[first + 1 :: 2], strict=False)
    return [(b - a) * draw.choice((-1, 1)) for a, b in pairs]


def drift(processes: Sequence[Record], logs: Sequence[float]) -> tuple[float, float | None]:
    """Fit a straight line over time; return the change from the first to the last process, and its half-width.

    Returns:
        The change of the logarithm over the whole run, positive if the run became slower, and its half-width. The
        latter has no value (None) with too few processes, or without time between them.
    """
    began = datetime.fromisoformat(processes[0].started)
    times = np.array([(datetime.fromisoformat(record.started) - began).total_seconds() for record in processes])
    centred = times - times.mean()
    energy = float(centred @ centred)
    if energy == 0:
        return 0.0, None
    values = np.asarray(logs) - np.mean(logs)
    slope = float(centred @ values) / energy
    length = float(times.max() - times.min())
    free = len(values) - 2
    residual = values - slope * centred
    error = math.sqrt(float(residual @ residual) / free / energy) if free > 0 else None
    return slope * length, None if error is None else t_quantile(free) * error * length


def lockstep(comparison: Comparison) -> list[Lockstep]:
    """Return the noise of interleaved pairs, from an A/A comparison, for cases with enough pairs."""
    results = []
    for compared in comparison.cases:
        calm = [pair for pair in compared.pairs if pair.lockstep and not pair.interference]
        if len(calm) < LEAST:
            continue
        seconds = [-pair.log if pair.head_first else pair.log for pair in calm]
        results.append(
            Lockstep(
                device=compared.case.device,
                mode=compared.case.mode,
                case=compared.case.id,
                run=comparison.run,
                calibrated=calm[-1].started,
                torch=comparison.base.environment.label("torch"),
                ultralytics=comparison.base.environment.label("ultralytics"),
                stdev=stdev([pair.log for pair in calm]),
                pairs=len(calm),
                order_effect=statistics.fmean(seconds),
                order_effect_half_width=half_width(seconds),
            )
        )
    return results


def default_margin(cases: Sequence[Case], known: Sequence[Lockstep]) -> tuple[float, str]:
    """Return the default equivalence margin: the half-width of eight pairs on this machine, times a factor.

    Args:
        cases: the compared cases; the noisiest decides.
        known: noise of interleaved pairs, from a calibration.

    Returns:
        A share, in steps of 0.1 %, and where it comes from.
    """
    by_device = {(noise.device, noise.mode): noise for noise in known if noise.pairs >= ENOUGH_PAIRS}
    own = [by_device.get((case.device, case.mode)) for case in cases]
    if not own or any(noise is None for noise in own):
        return DEFAULT_MARGIN, "this machine is not calibrated for it: python -m bench calibrate"
    worst = max((noise for noise in own if noise is not None), key=lambda noise: noise.stdev)
    return margin_of(worst), f"calibrated {worst.calibrated[:10]}"


def margin_of(known: Lockstep) -> float:
    """Return the equivalence margin of a device and a mode, as a share."""
    margin = math.expm1(MARGIN_FACTOR * half_width_for(known.stdev, LOOKS[1]))
    return max(math.ceil(margin * 1000) / 1000, LEAST_MARGIN)
