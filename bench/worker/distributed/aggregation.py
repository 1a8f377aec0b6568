"""Aggregate the results of all ranks: a step lasts until the slowest rank has ended it."""

from __future__ import annotations

import dataclasses
import itertools
import os
from typing import Any

from ..protocol import Measured
from .process_group import ProcessGroup

SUMMED = ("process", "private", "data", "loaders")
"""Memory figures of which each rank has its part on the machine; the other figures are per card."""


def groups(process_group: ProcessGroup, own: int) -> set[int]:
    """Return the process groups of the ranks on this machine."""
    machine = os.environ.get("GROUP_RANK", "0")
    return {group for where, group in process_group.all_gather((machine, own)) if where == machine}


def aggregate_ranks(ranks: list[Measured], kind: str) -> Measured:
    """Return the results of all ranks as one.

    Args:
        ranks: results of all ranks, rank 0 first; their windows began at one moment and have the same steps.
        kind: kind of device.

    Returns:
        Steps by :func:`steps`; summed memory of the machine; memory of the fullest card; mean losses; phases of rank 0;
        and ``extra["ranks"]`` with the figures of each rank.
    """
    first = ranks[0]
    count = f"{len(ranks)} ranks"
    memory = {
        name: aggregate_memory_figure(name, [rank.memory.get(name, figure) for rank in ranks], count)
        for name, figure in first.memory.items()
    }
    before = {
        name: aggregate_memory_figure(name, [rank.memory_before.get(name, figure) for rank in ranks], count)
        for name, figure in first.memory_before.items()
    }
    phrases = [phrase for rank in ranks for phrase in rank.window["interference"]]
    epoch_overhead = dict(first.epoch_overhead)
    if "epoch_gap_seconds" in epoch_overhead:
        epoch_overhead["epoch_gap_seconds"] = max(rank.epoch_overhead.get("epoch_gap_seconds", 0.0) for rank in ranks)
    return dataclasses.replace(
        first,
        steps=steps([rank.steps for rank in ranks]),
        phases={**first.phases, "method": f"{first.phases['method']}, rank 0"},
        memory=memory,
        memory_before=before,
        checks={**first.checks, **averaged([rank.checks for rank in ranks])},
        epoch_overhead=epoch_overhead,
        window={
            **first.window,
            "cpu_seconds": round(sum(rank.window["cpu_seconds"] for rank in ranks), 6),
            "interference": list(dict.fromkeys(phrases)),
        },
        energy=joules([rank.energy for rank in ranks]),
        worth_retrying=any(rank.worth_retrying for rank in ranks),
        extra={**first.extra, "ranks": [summarize_rank(number, rank) for number, rank in enumerate(ranks)]},
    )


def steps(ranks: list[dict[str, Any]]) -> dict[str, Any]:
    """Combine the readings of several ranks.

    A step begins when the last rank has ended the previous step, and ends when the last rank has ended it. Its images
    are those of all ranks.
    """
    first = ranks[0]
    start, count = first["warmup"], len(first["seconds"])
    warming = [max(rank["seconds"][index] for rank in ranks) for index in range(start)]
    ends = [list(itertools.accumulate(rank["seconds"][start:])) for rank in ranks]
    last = [max(moments) for moments in zip(*ends)]
    window = [round(end - before, 6) for before, end in zip([0.0, *last], last)]
    images = [sum(each) for each in zip(*(_listed(rank["images"], count) for rank in ranks))]
    seconds = [*warming, *window]
    waits = [max(rank["data_wait"][index] for rank in ranks) for index in range(count)]
    return {
        **first,
        "seconds": seconds,
        "data_wait": [min(wait, whole) for wait, whole in zip(waits, seconds)],
        "images": images[0] if len(set(images)) == 1 else images,
    }


def joules(ranks: list[dict[str, Any] | None]) -> dict[str, Any] | None:
    """Sum the energy of all cards; a counter of the machine already covers every rank."""
    first = ranks[0]
    if first is None or first["joules"] is None:
        return first
    counted = [rank for rank in ranks if rank is not None and rank["joules"] is not None]
    images = sum(rank["images"] for rank in counted)
    if len(counted) < len(ranks):
        why = next(rank["method"] for rank in ranks if rank is not None and rank["joules"] is None)
        return {**first, "joules": None, "idle_watts": None, "method": f"one rank could not count: {why}"}
    if first["scope"] == "machine":
        return {**first, "images": images}
    idle = [rank["idle_watts"] for rank in counted]
    return {
        **first,
        "joules": round(sum(rank["joules"] for rank in counted), 3),
        "images": images,
        "idle_watts": None if None in idle else round(sum(idle), 3),
        "method": f"{first['method']}; sum of {len(counted)} ranks",
    }


def _listed(images: Any, count: int) -> list[int]:
    return images if isinstance(images, list) else [images] * count


def aggregate_memory_figure(name: str, figures: list[dict[str, Any]], count: str) -> dict[str, Any]:
    """Return a memory figure of all ranks; without a value (None) where one rank has no value."""
    sizes = [figure["bytes"] for figure in figures]
    if None in sizes:
        return figures[sizes.index(None)]
    word, size = ("sum", sum(sizes)) if name in SUMMED else ("largest", max(sizes))
    return {"bytes": size, "method": f"{figures[0]['method']}; {word} of {count}"}


def averaged(checks: list[dict[str, Any]]) -> dict[str, Any]:
    """Return losses averaged over ranks, because each rank trains on its own part of a batch."""
    means = {}
    for name in ("loss", "mean_loss"):
        every = [rank_checks.get(name) or {} for rank_checks in checks]
        means[name] = {item: round(sum(losses[item] for losses in every) / len(every), 4) for item in every[0]}
    return means


def summarize_rank(number: int, measured: Measured) -> dict[str, Any]:
    """Return the figures of one rank: mean seconds of a step and of its data wait, images, memory, losses."""
    reading = measured.steps
    start, count = reading["warmup"], len(reading["seconds"])
    length = count - start
    return {
        "rank": number,
        "step_seconds": round(sum(reading["seconds"][start:]) / length, 6),
        "data_wait": round(sum(reading["data_wait"][start:]) / length, 6),
        "images": sum(_listed(reading["images"], count)[start:]),
        "memory": {name: figure["bytes"] for name, figure in measured.memory.items() if figure["bytes"] is not None},
        "loss": measured.checks.get("loss"),
    }
