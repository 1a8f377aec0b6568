"""The registry of metrics: tables, plots, checks and verdicts read titles, units and directions here."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Literal

import msgspec

from bench.analysis.flags import data_wait_share, phase_seconds
from bench.analysis.latency import number_in_extra
from bench.errors import UsageError
from bench.formatting import format_bytes, format_duration, format_number, format_percent
from bench.records.record import Record


def format_joules(joules: float) -> str:
    """``12.5 J``."""
    return f"{format_number(joules)} J"


def format_images_per_joule(images: float) -> str:
    """``12.5 images/J``."""
    return f"{format_number(images)} images/J"


def format_watts(watts: float) -> str:
    """``12.5 W``."""
    return f"{format_number(watts)} W"


def format_ratio(ratio: float) -> str:
    """``1.25×``."""
    return f"{format_number(ratio)}×"


class Unit(msgspec.Struct, frozen=True):
    """A unit: its symbol for axes, and how a value is shown in a table.

    ``show`` is a function of a module, not a lambda: drawings travel to other processes.
    """

    symbol: str
    show: Callable[[float], str]


RATE = Unit("images/s", format_number)
SECONDS = Unit("s", format_duration)
BYTES = Unit("bytes", format_bytes)
SHARE = Unit("%", format_percent)
JOULES = Unit("J", format_joules)
PER_JOULE = Unit("images/J", format_images_per_joule)
WATTS = Unit("W", format_watts)
RATIO = Unit("×", format_ratio)


class Metric(msgspec.Struct, frozen=True):
    """One quantity of a case.

    Attributes:
        key: its column in the table.
        title: heading.
        unit: how it is shown.
        better: direction that is better.
        read: reads it from the record of one measured process, None where the record does not have it; the table has
            the mean over processes. None for a column that :mod:`bench.analysis.table` works out in another way.
    """

    key: str
    title: str
    unit: Unit
    better: Literal["lower", "higher"]
    read: Callable[[Record], float | None] | None = None


METRICS: dict[str, Metric] = {}
"""All metrics by their keys."""


def register(metric: Metric) -> None:
    """Add a metric; with ``read``, the table gets a column for it.

    Raises:
        UsageError: where there is a metric of that key.
    """
    if metric.key in METRICS:
        raise UsageError(f"metric {metric.key!r} is registered already: give yours another key.")
    METRICS[metric.key] = metric


def unregister(key: str) -> None:
    """Remove a metric."""
    del METRICS[key]


def _phase_share(phase: str, record: Record) -> float | None:
    """Share of a phase in the mean step of training."""
    seconds = phase_seconds(record, phase)
    if seconds is None or record.steps is None or record.case.mode != "train":
        return None
    return seconds / record.steps.step_seconds


PHASES = {
    "preprocess": "copying and preprocessing the batch",
    "forward": "in the forward pass and the loss",
    "backward": "in the backward pass",
    "optimizer": "in the optimizer",
}
"""Phases of a training step whose shares are in the table, by their keys in :attr:`Record.phases`."""

for _metric in (
    Metric("images_per_second", "Throughput", RATE, "higher"),
    Metric("seconds_per_epoch", "Time per epoch", SECONDS, "lower"),
    Metric("step_seconds", "Time per step", SECONDS, "lower"),
    Metric("forward_images_per_second", "Throughput of the forward pass alone", RATE, "higher"),
    Metric("latency_p50_seconds", "Latency of a call, median", SECONDS, "lower"),
    Metric("latency_p90_seconds", "Latency of a call, 90th percentile", SECONDS, "lower"),
    Metric("latency_p99_seconds", "Latency of a call, 99th percentile", SECONDS, "lower"),
    Metric(
        "load_seconds",
        "Time to load the model",
        SECONDS,
        "lower",
        functools.partial(number_in_extra, "load_seconds"),
    ),
    Metric(
        "first_call_seconds",
        "Time of the first call",
        SECONDS,
        "lower",
        functools.partial(number_in_extra, "first_call_seconds"),
    ),
    Metric("data_wait_share", "Share of the step spent waiting for data", SHARE, "lower", data_wait_share),
    *(
        Metric(
            f"{_phase}_share",
            f"Share of the step spent {_what}",
            SHARE,
            "lower",
            functools.partial(_phase_share, _phase),
        )
        for _phase, _what in PHASES.items()
    ),
    Metric("process_stdev", "Standard deviation between processes", SHARE, "lower"),
    Metric(
        "epoch_gap_seconds",
        "Time between two epochs",
        SECONDS,
        "lower",
        operator.attrgetter("epoch_overhead.epoch_gap_seconds"),
    ),
    Metric(
        "validation_seconds", "Time of a validation", SECONDS, "lower", operator.attrgetter("epoch_overhead.validation")
    ),
    Metric(
        "checkpoint_seconds",
        "Time of saving a checkpoint",
        SECONDS,
        "lower",
        operator.attrgetter("epoch_overhead.checkpoint"),
    ),
    Metric("peak_memory_bytes", "Peak memory", BYTES, "lower"),
    Metric("validation_memory_bytes", "Peak memory of validation", BYTES, "lower"),
    Metric("loaders_memory_bytes", "Memory of data loader processes", BYTES, "lower"),
    Metric("images_per_joule", "Images for each joule", PER_JOULE, "higher"),
    Metric("joules_per_image", "Energy of an image", JOULES, "lower"),
    Metric("idle_watts", "Idle power", WATTS, "lower"),
):
    register(_metric)
