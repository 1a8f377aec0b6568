"""The one registry of metrics: tables, plots, checks and verdicts read titles, units and directions here.

A new metric is one entry in :data:`METRICS` and one column of :func:`bench.analysis.table.frame`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from bench.formatting import format_bytes, format_duration, format_number, format_percent


class Unit(msgspec.Struct, frozen=True):
    """A unit: its symbol for axes, and how a value is shown in a table."""

    symbol: str
    show: Callable[[float], str]


RATE = Unit("images/s", format_number)
SECONDS = Unit("s", format_duration)
BYTES = Unit("bytes", format_bytes)
SHARE = Unit("%", format_percent)
JOULES = Unit("J", lambda joules: f"{format_number(joules)} J")
PER_JOULE = Unit("images/J", lambda images: f"{format_number(images)} images/J")
WATTS = Unit("W", lambda watts: f"{format_number(watts)} W")
RATIO = Unit("×", lambda ratio: f"{format_number(ratio)}×")


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
