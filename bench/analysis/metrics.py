"""The one registry of metrics: tables, plots, checks and verdicts read titles, units and directions here.

A new metric is one entry in :data:`METRICS` and one column of :func:`bench.analysis.table.frame`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import msgspec


def significant(value: float, digits: int = 3) -> str:
    """A number to so many significant digits, without an exponent where that stays readable.

    Whole digits are never rounded away, and nothing but 0 is shown as 0.

    >>> significant(1234.5), significant(0.01234), significant(0.0)
    ('1,235', '0.0123', '0')
    """
    if value == 0:
        return "0"
    places = digits - 1 - math.floor(math.log10(abs(value)))
    if places > 9:
        return f"{value:.{digits - 1}e}"
    return f"{value:,.{max(places, 0)}f}"


def show_duration(seconds: float) -> str:
    """``1 h 02 min``, ``3 min 20 s``, ``12.3 s``, ``4.56 ms``."""
    if seconds >= 3600:
        minutes = round(seconds / 60)
        return f"{minutes // 60:,} h {minutes % 60:02d} min"
    if seconds >= 60:
        whole = round(seconds)
        return f"{whole // 60} min {whole % 60:02d} s" if whole < 3600 else "1 h 00 min"
    if seconds >= 1 or seconds == 0:
        return f"{significant(seconds)} s"
    return f"{significant(seconds * 1e3)} ms"


def show_bytes(number: float) -> str:
    """``640 MiB``, ``12.3 GiB``."""
    for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if number >= size:
            return f"{significant(number / size)} {unit}"
    return f"{significant(number)} B"


class Unit(msgspec.Struct, frozen=True):
    """A unit: its symbol for axes, and how a value is shown in a table."""

    symbol: str
    show: Callable[[float], str]


RATE = Unit("images/s", significant)
SECONDS = Unit("s", show_duration)
BYTES = Unit("bytes", show_bytes)
SHARE = Unit("%", lambda share: f"{significant(share * 100)} %")
JOULES = Unit("J", lambda joules: f"{significant(joules)} J")
PER_JOULE = Unit("images/J", lambda images: f"{significant(images)} images/J")
WATTS = Unit("W", lambda watts: f"{significant(watts)} W")
RATIO = Unit("×", lambda ratio: f"{significant(ratio)}×")


class Metric(msgspec.Struct, frozen=True):
    """One quantity of a record.

    Attributes:
        key: its column in the table.
        title: heading.
        unit: how it is shown.
        better: which way is better.
    """

    key: str
    title: str
    unit: Unit
    better: Literal["lower", "higher"]


METRICS = {
    metric.key: metric
    for metric in (
        Metric("images_per_second", "Throughput", RATE, "higher"),
        Metric("seconds_per_epoch", "Time per epoch", SECONDS, "lower"),
        Metric("step_seconds", "Time per step", SECONDS, "lower"),
        Metric("forward_images_per_second", "Throughput of the forward pass alone", RATE, "higher"),
        Metric("data_wait_share", "Share of the step spent waiting for data", SHARE, "lower"),
        Metric("preprocess_share", "Share of the step spent copying and preprocessing the batch", SHARE, "lower"),
        Metric("forward_share", "Share of the step spent in the forward pass and the loss", SHARE, "lower"),
        Metric("backward_share", "Share of the step spent in the backward pass", SHARE, "lower"),
        Metric("optimizer_share", "Share of the step spent in the optimizer", SHARE, "lower"),
        Metric("process_stdev", "Standard deviation between processes", SHARE, "lower"),
        Metric("epoch_gap_seconds", "Time between two epochs", SECONDS, "lower"),
        Metric("validation_seconds", "Time of a validation", SECONDS, "lower"),
        Metric("checkpoint_seconds", "Time of saving a checkpoint", SECONDS, "lower"),
        Metric("peak_memory_bytes", "Peak memory", BYTES, "lower"),
        Metric("validation_memory_bytes", "Peak memory of validation", BYTES, "lower"),
        Metric("loaders_memory_bytes", "Memory of data loader processes", BYTES, "lower"),
        Metric("images_per_joule", "Images for each joule", PER_JOULE, "higher"),
        Metric("joules_per_image", "Energy of an image", JOULES, "lower"),
        Metric("idle_watts", "Idle power", WATTS, "lower"),
    )
}
