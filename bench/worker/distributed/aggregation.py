"""Results of all ranks as one: a step lasts until the slowest rank has ended it."""

from __future__ import annotations

import dataclasses
import itertools
import os
from typing import Any

from ..protocol import Measured
from .process_group import ProcessGroup

SUMMED = ("process", "private", "data", "loaders")
"""Memory figures of the machine, of which all ranks take their part; the others are of one card each."""


def groups(team: ProcessGroup, own: int) -> set[int]:
    """Return the process groups of the ranks on this machine."""
    machine = os.environ.get("GROUP_RANK", "0")
    return {group for where, group in team.all_gather((machine, own)) if where == machine}


def aggregate_ranks(ranks: list[Measured], kind: str) -> Measured:
    """Return the results of all ranks as one.

    Args:
        ranks: result of each, rank 0 first; their windows began at one moment and have the same steps.
        kind: of device.

    Returns:
        Steps as :func:`steps` makes them; memory of the machine summed, that of cards as the fullest one has it; losses
        averaged; the phases of a step of rank 0; ``extra["ranks"]`` with what each rank had.
    """
    first = ranks[0]
    count = f"{len(ranks)} ranks"
    memory = {
        name: aggregate_memory_figure(name, [one.memory.get(name, figure) for one in ranks], count)
        for name, figure in first.memory.items()
    }
    before = {
        name: aggregate_memory_figure(name, [one.memory_before.get(name, figure) for one in ranks], count)
        for name, figure in first.memory_before.items()
    }
    phrases = [phrase for one in ranks for phrase in one.window["interference"]]
    epoch_overhead = dict(first.epoch_overhead)
    if "epoch_gap_seconds" in epoch_overhead:
        epoch_overhead["epoch_gap_seconds"] = max(one.epoch_overhead.get("epoch_gap_seconds", 0.0) for one in ranks)
    return dataclasses.replace(
        first,
        steps=steps([one.steps for one in ranks]),
        phases={**first.phases, "method": f"{first.phases['method']}, rank 0"},
        memory=memory,
        memory_before=before,
        checks={**first.checks, **averaged([one.checks for one in ranks])},
        epoch_overhead=epoch_overhead,
        window={
            **first.window,
            "cpu_seconds": round(sum(one.window["cpu_seconds"] for one in ranks), 6),
            "interference": list(dict.fromkeys(phrases)),
        },
        energy=joules([one.energy for one in ranks]),
        worth_retrying=any(one.worth_retrying for one in ranks),
        extra={**first.extra, "ranks": [summarize_rank(number, one) for number, one in enumerate(ranks)]},
    )


def steps(ranks: list[dict[str, Any]]) -> dict[str, Any]:
    """Readings of several ranks as one: a step lasts from when the last rank had ended the one before until the last
    one has ended it, and its images are those of all ranks.
    """
    first = ranks[0]
    start, count = first["warmup"], len(first["seconds"])
    warming = [max(one["seconds"][index] for one in ranks) for index in range(start)]
    ends = [list(itertools.accumulate(one["seconds"][start:])) for one in ranks]
    last = [max(moments) for moments in zip(*ends)]
    window = [round(end - before, 6) for before, end in zip([0.0, *last], last)]
    images = [sum(each) for each in zip(*(_listed(one["images"], count) for one in ranks))]
    seconds = [*warming, *window]
    waits = [max(one["data_wait"][index] for one in ranks) for index in range(count)]
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
    counted = [one for one in ranks if one is not None and one["joules"] is not None]
    images = sum(one["images"] for one in counted)
    if len(counted) < len(ranks):
        why = next(one["method"] for one in ranks if one is not None and one["joules"] is None)
        return {**first, "joules": None, "idle_watts": None, "method": f"one rank could not count: {why}"}
    if first["scope"] == "machine":
        return {**first, "images": images}
    idle = [one["idle_watts"] for one in counted]
    return {
        **first,
        "joules": round(sum(one["joules"] for one in counted), 3),
        "images": images,
        "idle_watts": None if None in idle else round(sum(idle), 3),
        "method": f"{first['method']}; sum of {len(counted)} ranks",
    }


def _listed(images: Any, count: int) -> list[int]:
    return images if isinstance(images, list) else [images] * count


def aggregate_memory_figure(name: str, figures: list[dict[str, Any]], count: str) -> dict[str, Any]:
    """A memory figure of all ranks; None where one of them has none."""
    sizes = [figure["bytes"] for figure in figures]
    if None in sizes:
        return figures[sizes.index(None)]
    word, size = ("sum", sum(sizes)) if name in SUMMED else ("largest", max(sizes))
    return {"bytes": size, "method": f"{figures[0]['method']}; {word} of {count}"}


def averaged(checks: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean losses over ranks, each of which has seen its own part of a batch."""
    found = {}
    for name in ("loss", "mean_loss"):
        every = [one.get(name) or {} for one in checks]
        found[name] = {item: round(sum(one[item] for one in every) / len(every), 4) for item in every[0]}
    return found


def summarize_rank(number: int, measured: Measured) -> dict[str, Any]:
    """Return what is kept of one rank: mean seconds of a step and of its data wait, images, memory, losses."""
    one = measured.steps
    start, count = one["warmup"], len(one["seconds"])
    length = count - start
    return {
        "rank": number,
        "step_seconds": round(sum(one["seconds"][start:]) / length, 6),
        "data_wait": round(sum(one["data_wait"][start:]) / length, 6),
        "images": sum(_listed(one["images"], count)[start:]),
        "memory": {name: figure["bytes"] for name, figure in measured.memory.items() if figure["bytes"] is not None},
        "loss": measured.checks.get("loss"),
    }
