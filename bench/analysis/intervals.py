"""Confidence intervals: between processes where there are several, within a process where there is one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import StatisticsError

import msgspec
import numpy as np
from scipy.special import stdtrit

from bench.cases.device_kinds import is_on_host
from bench.records.record import CalibrationSummary, Record
from bench.records.steps import Steps
from bench.worker.timing import precision

CONFIDENCE = 0.95

HOST_DRIFT = 0.025
"""Standard deviation of the speed of a CPU from window to window, over the speed, where no calibration says otherwise.

With it, 94 to 95 % of the intervals of 12 and 24 recorded steps include the mean of their series, where 61 to 64 % did
without (``docs/validation.md``). Recorded on one virtual machine; a quieter one gets narrower intervals by
``calibrate``. No accelerator was there to be recorded, so none is widened."""


class Interval(msgspec.Struct, frozen=True):
    """A point with its interval; ``low`` and ``high`` have no value (None) with too few data."""

    point: float
    low: float | None = None
    high: float | None = None

    @property
    def relative(self) -> float:
        """Distance of the farther end from the point, as a share of the point; infinite without an interval."""
        if self.low is None or self.high is None:
            return math.inf
        return max(self.high / self.point - 1, 1 - self.low / self.point)


def half_share(low: float, high: float) -> float:
    """Return half the width of an interval as a share of its middle: the same for a rate and for its reciprocal."""
    return (high - low) / (high + low)


def t_quantile(degrees: float, confidence: float = CONFIDENCE) -> float:
    """Return the two-sided quantile of Student's t, the half-width of an interval in standard errors."""
    return float(stdtrit(degrees, 0.5 + confidence / 2))


def stdev(values: Sequence[float]) -> float:
    """Standard deviation of at least two values, with ``n - 1``."""
    return float(np.std(np.asarray(values, dtype=float), ddof=1))


def half_width(values: Sequence[float], confidence: float = CONFIDENCE) -> float:
    """Half the width of the interval of the mean of at least two independent values, by Student's t.

    Raises:
        StatisticsError: for fewer values.
    """
    if len(values) < 2:
        raise StatisticsError("an interval needs at least two values")
    return t_quantile(len(values) - 1, confidence) * stdev(values) / math.sqrt(len(values))


def log_half_width(low: float | None, high: float | None) -> float:
    """Half the width of an interval on the log scale; nan without an interval."""
    return math.nan if low is None or high is None else math.log(high / low) / 2


def ci_between_processes(figures: Sequence[float]) -> Interval:
    """Return the interval of a figure with one value per process: Student's t on the log scale.

    With two processes it has one degree of freedom, and is accordingly wide.

    Returns:
        The geometric mean of the processes; without an interval for a single process.
    """
    if len(figures) == 1:
        return Interval(float(figures[0]))
    logs = np.log(np.asarray(figures, dtype=float))
    middle = float(logs.mean())
    half = half_width(logs.tolist())
    return Interval(math.exp(middle), math.exp(middle - half), math.exp(middle + half))


def relative_half_width(steps: Steps) -> float | None:
    """Half the width of the 95 % interval of the mean step time, over the mean; within this one process.

    Returns:
        None with fewer than three steps beyond the kinds of step
        (:func:`bench.worker.timing.precision.relative_half_width`).
    """
    times = steps.window
    if isinstance(steps.images, list):
        images = steps.images[steps.warmup :]
        middle = sum(images) / len(images)
        times = [seconds / count * middle for seconds, count in zip(times, images, strict=True)]
    return precision.relative_half_width(
        times,
        steps.kinds,
        steps.weights,
        quantile=t_quantile,
        block_steps=steps.block_steps,
        window_steps=steps.window_steps,
    )


def single_process(noise: CalibrationSummary) -> float:
    """Return the relative half-width of one process around the mean of many, from a calibration and Student's t."""
    return t_quantile(noise.processes - 1) * noise.stdev


def ci_within_process(steps: Steps, further: float = 0.0) -> Interval:
    """Return the rate of one process in images per second, with its interval.

    Args:
        steps: of the process.
        further: relative half-width of what the steps do not show, such as :func:`single_process`. It widens the
            interval, by the sum of the squares. The spread of a calibration includes the noise of steps, which is thus
            counted twice: the interval is too wide rather than too narrow.
    """
    rate = steps.images_per_second
    width = relative_half_width(steps)
    if width is None:
        return Interval(rate)
    width = math.hypot(width, further)
    # A rate is the reciprocal of a time, so its interval is too; a time's lower end never goes below a tenth.
    return Interval(rate, rate / (1 + width), rate / max(1 - width, 0.1))


def rate_of(processes: Sequence[Record]) -> tuple[Interval, str | None]:
    """Images per second of a case, from the records of its measured processes (at least one).

    Returns:
        The rate, and the kind of its interval; None where there is no interval.
    """
    if len(processes) > 1:
        rates = [record.steps.images_per_second for record in processes if record.steps is not None]
        return ci_between_processes(rates), f"between {len(rates)} processes"
    [record] = processes
    assert record.steps is not None, "a measured record has steps"
    further, kind = 0.0, WITHIN
    if (noise := noise_for(record)) is not None:
        further, kind = single_process(noise), WIDENED
    elif is_on_host(record.case.device):
        further, kind = t_quantile(math.inf) * HOST_DRIFT, DRIFTING
    rate = ci_within_process(record.steps, further)
    return rate, kind if rate.low is not None else None


def noise_for(record: Record) -> CalibrationSummary | None:
    """The noise of a record's machine; None where its calibration ran other versions, or does not say which."""
    noise, ran = record.calibration, record.environment
    if noise is None or (noise.torch, noise.ultralytics) != (ran.label("torch"), ran.label("ultralytics")):
        return None
    return noise


WITHIN = "within one process"
DRIFTING = "within one process, widened for drift"
WIDENED = "within one process, widened by calibration"
BETWEEN = "between processes"


def weaker_kind(numerator_kind: object, denominator_kind: object) -> str | None:
    """Return the interval kind of a ratio: the weaker of its two figures; None where either has no interval."""
    if not isinstance(numerator_kind, str) or not isinstance(denominator_kind, str):
        return None
    return next((kind for kind in (WITHIN, DRIFTING, WIDENED) if kind in (numerator_kind, denominator_kind)), BETWEEN)
