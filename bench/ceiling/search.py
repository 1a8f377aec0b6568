"""The largest batch that trains: one fresh process after another, each held to a limit that spares the machine."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

import msgspec
import psutil

from bench.cases.case import Case
from bench.cases.device_kinds import DeviceKind, device_names, kind_of
from bench.cases.plan import PlannedRun
from bench.cases.recipe import Recipe, overrides_for
from bench.ceiling.memory_limits import RESERVE, AllocatorLimit, Limit, limited
from bench.environments.interpreter import Interpreter
from bench.machine.fingerprint import card_bytes
from bench.machine.limits import memory_bytes, memory_left, memory_limit
from bench.machine.reading import try_read as asked
from bench.records.ceiling import Probe
from bench.records.outcome import Outcome, Status
from bench.records.record import Memory
from bench.runner.launchers.local import Launcher, SpawnLauncher, scratch_folder
from bench.runner.measure import FEW_STEPS, MADE_DENSE, WorkerResult, find_data, probe_job, run_job

SWAPPED = 256 * 2**20
"""Bytes by which the machine's swap may grow before a batch counts as one that does not fit."""

PROBE_LIMIT = 600.0
"""Seconds that a probe may take to warm up, and for its window."""

Told = Callable[[Probe], None]

Upcoming = Callable[[list[Probe]], int | None]
"""The batch to try next, after what was tried; None where enough is known."""


class SearchRequest(msgspec.Struct, frozen=True):
    """What is asked.

    Attributes:
        case: its batch counts for nothing.
        granularity: batches are multiples of it.
        most: the largest batch that is tried.
        limit: bytes that a probe may take; None for what the device has.
        threads: see :class:`bench.cases.recipe.Recipe`.
        network: whether something was named that may have to be fetched.
    """

    case: Case
    granularity: int = 1
    max_batch: int = 1024
    limit: int | None = None
    threads: int = 0
    network: bool = False


def recipe(question: SearchRequest) -> Recipe:
    """How its probes are run."""
    return Recipe(
        warmup_seconds=0.0,
        window_steps=int(FEW_STEPS["window_steps"]),
        window_seconds=0.0,
        overrides=overrides_for("train", question.case.arguments),
        threads=question.threads,
        data=MADE_DENSE,
        data_steps=1,
    )


class SearchResult(msgspec.Struct):
    """What came of the probes so far.

    Attributes:
        probes: in the order in which they were tried.
        limit_method: what held them to the limit.
        effective: settings that ran.
        failed: how the last one ended, where it neither trained nor ran out of memory.
    """

    probes: list[Probe] = []
    limit_method: str = ""
    effective: dict[str, Any] = {}
    failed: Outcome | None = None


def provide_data(question: SearchRequest, launcher: Launcher) -> dict[str, Any]:
    """The data set of all probes: as long as the largest batch, so that it is made once.

    The launcher is closed: what it has preloaded would take memory away from the probes.

    Raises:
        NoData: where it cannot be made.
    """
    case = msgspec.structs.replace(question.case, mode="train", batch=question.max_batch)
    try:
        return find_data(launcher, PlannedRun(case, recipe(question)))
    finally:
        launcher.close()


def search_largest_batch(
    question: SearchRequest,
    data: dict[str, Any],
    interpreter: Interpreter,
    upcoming: Upcoming,
    told: Told,
    found: SearchResult,
) -> None:
    """Try one batch after another.

    Args:
        question: what is asked.
        data: as :func:`provide_data` gave it.
        interpreter: that is measured.
        upcoming: says which batch is next.
        told: hears of every probe.
        found: is added to, so that nothing is lost where Ctrl-C comes.
    """
    case = msgspec.structs.replace(question.case, mode="train")
    while found.failed is None and (batch := upcoming(found.probes)) is not None:
        planned = PlannedRun(msgspec.structs.replace(case, batch=batch), recipe(question))
        with held(kind_of(case.device), question.limit) as hold:
            found.limit_method = hold.method
            probe, effective = run_probe(
                planned, data, SpawnLauncher(interpreter, question.network, hold.hold, alike=True), hold, found.probes
            )
        found.effective = effective or found.effective
        found.probes.append(probe)
        if not probe.fits and not probe.stop_reason:
            found.failed = probe.outcome
        told(probe)


def available_memory(case: Case) -> int | None:
    """Bytes that a probe may take where nobody says; on a GPU what it has, which only guides the search."""
    kind = kind_of(case.device)
    if kind.own_memory:
        sizes = [card_bytes(name) for name in device_names(case.device)]
        return min((size for size in sizes if size is not None), default=None)
    if kind.memory_share is not None:
        return int(kind.memory_share * memory_bytes()) or None
    available = asked(lambda: int(psutil.virtual_memory().available))
    free = [size for size in (available, asked(memory_left)) if size is not None]
    return int((1 - RESERVE) * min(free)) if free else None


def most_allowed(case: Case) -> int | None:
    """The largest limit that would hold a probe to anything; None where only the worker can tell."""
    kind = kind_of(case.device)
    if kind.own_memory:
        return available_memory(case)
    total = memory_bytes() or None
    if kind.memory_share is not None:  # what Metal recommends is known to the worker alone, which refuses more
        return total
    # Not what is free now, which files that were read may fill: the probe goes first where that is too little.
    known = [size for size in (total, asked(memory_limit)) if size is not None]
    return min(known, default=None)


def held(kind: DeviceKind, limit: int | None) -> contextlib.AbstractContextManager[Limit]:
    """What holds a probe to its limit."""
    if kind.on_host and limit is not None:
        return limited(limit)
    return contextlib.nullcontext(AllocatorLimit(limit))


def run_probe(
    planned: PlannedRun, data: dict[str, Any], launcher: Launcher, hold: Limit, before: list[Probe]
) -> tuple[Probe, dict[str, Any]]:
    """Try one batch; the settings that ran beside it."""
    began, swap = time.monotonic(), swap_used()
    with scratch_folder() as scratch:
        seen = run_job(launcher, {**probe_job(planned, data, scratch), **hold.job()}, PROBE_LIMIT)
    grown = max(swap_used() - swap, 0)
    memory = {name: msgspec.convert(figure, Memory) for name, figure in seen.measured.get("memory", {}).items()}
    rate = images_per_second(seen)
    return (
        Probe(
            batch=planned.case.batch,
            outcome=seen.outcome,
            stop_reason=stop_reason(seen, hold, grown, rate, before, planned.case),
            peak=memory[hold.figure].bytes if hold.figure in memory and not allocator_retried(seen) else None,
            baseline_bytes=(seen.measured.get("memory_before", {}).get(hold.figure) or {}).get("bytes"),
            memory=memory,
            images_per_second=rate,
            swap_bytes=grown,
            seconds=round(time.monotonic() - began, 3),
        ),
        seen.effective,
    )


def swap_used() -> int:
    """Bytes that lie in swap; 0 where the system does not tell, so that nothing is seen to grow."""
    return asked(lambda: int(psutil.swap_memory().used)) or 0


def images_per_second(seen: WorkerResult) -> float | None:
    """Of the fastest step of the window; the last step of an epoch may have fewer images."""
    steps = seen.measured.get("steps")
    if not steps:
        return None
    count = len(steps["seconds"])
    images = steps["images"] if isinstance(steps["images"], list) else [steps["images"]] * count
    rates: list[float] = [images[step] / steps["seconds"][step] for step in range(steps["warmup"], count)]
    return round(max(rates), 3)


def allocator_retried(seen: WorkerResult) -> bool:
    """Whether the allocator of a card had to give back its cache to go on: its peak is then that of the limit."""
    return bool(seen.measured.get("device", {}).get("allocator_retries"))


def stop_reason(
    seen: WorkerResult, hold: Limit, grown: int, rate: float | None, before: list[Probe], case: Case
) -> str:
    """Why a batch does not fit; empty where it does, and where something else went wrong."""
    smaller = [probe for probe in before if probe.fits and probe.batch < case.batch]
    if seen.outcome.status is Status.OUT_OF_MEMORY or hold.killed():
        return "out of memory"
    # Not every library asks whether it got what it asked for. Without the limit they load, as making the data showed.
    if seen.outcome.status is Status.FAILED and hold.figure == "data" and (smaller or seen.died == "setup"):
        return "out of memory"
    if seen.outcome.status is Status.TIMED_OUT and smaller:
        return "time"
    if seen.outcome.status is not Status.MEASURED:
        return ""
    if grown > SWAPPED:
        return "swap"
    best = max((probe.images_per_second or 0.0 for probe in smaller), default=0.0)
    if rate is not None and rate < kind_of(case.device).collapse * best:
        return "collapse"
    return ""
