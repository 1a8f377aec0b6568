"""Probe batches for the largest that trains: each in a fresh process, under a memory limit that spares the machine."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable
from typing import Any

import msgspec
import psutil

from bench.cases.case import Case
from bench.cases.device_kinds import DeviceKind, device_names, kind_of
from bench.cases.plan import PlannedRun
from bench.cases.recipe import Recipe, overrides_for
from bench.ceiling.batch_search import Search
from bench.ceiling.findings import attempts
from bench.ceiling.probe_limits import RESERVE, AllocatorLimit, Limit, limited
from bench.environments.interpreter import Interpreter
from bench.machine.fingerprint import card_bytes
from bench.machine.limits import memory_bytes, memory_left, memory_limit
from bench.machine.try_read import try_read
from bench.records.ceiling import Probe
from bench.records.outcome import Outcome, Status
from bench.records.record import Memory
from bench.runner.jobs import FEW_STEPS, probe_job
from bench.runner.launchers.local import Launcher, SpawnLauncher, scratch_folder
from bench.runner.measure import WorkerResult, find_data, run_job
from bench.worker.workloads.base import family_of, own_name

SWAPPED = 256 * 2**20
"""Bytes by which the machine's swap may grow before a batch counts as one that does not fit."""

PROBE_LIMIT = 600.0
"""Seconds that a probe may take to warm up, and for its window."""


class SearchRequest(msgspec.Struct, frozen=True):
    """A request for the largest batch of a case.

    Attributes:
        case: its batch is ignored.
        granularity: batches are multiples of it.
        max_batch: the largest batch to try.
        limit: bytes that a probe may take; None for the device's own memory.
        threads: see :class:`bench.cases.recipe.Recipe`.
        network: whether weights or data were named that may have to be fetched.
    """

    case: Case
    granularity: int = 1
    max_batch: int = 1024
    limit: int | None = None
    threads: int = 0
    network: bool = False


def recipe(request: SearchRequest) -> Recipe:
    """Return the recipe of the probes of a request."""
    workload = family_of(request.case.model)
    return Recipe(
        warmup_seconds=0.0,
        window_steps=FEW_STEPS.window_steps,
        window_seconds=0.0,
        overrides=overrides_for("train", request.case.arguments, request.case.model),
        threads=request.threads,
        data=workload.data_for(own_name(request.case.model), request.case.imgsz, dense=True),
        data_steps=1,
    )


class SearchResult(msgspec.Struct):
    """Results of a search so far.

    Attributes:
        probes: in the order in which they were tried.
        limit_method: how their memory was limited.
        effective: effective settings.
        failed: outcome of the last probe, where it neither trained nor ran out of memory.
    """

    probes: list[Probe] = []
    limit_method: str = ""
    effective: dict[str, Any] = {}
    failed: Outcome | None = None


def provide_data(request: SearchRequest, launcher: Launcher) -> dict[str, Any]:
    """Make the data set of all probes, as long as the largest batch.

    The launcher is closed: what it has preloaded would take memory away from the probes.

    Raises:
        DatasetUnavailable: where it cannot be made.
    """
    case = msgspec.structs.replace(request.case, mode="train", batch=request.max_batch)
    try:
        return find_data(launcher, PlannedRun(case, recipe(request)))
    finally:
        launcher.close()


def search_largest_batch(
    request: SearchRequest,
    search: Search,
    data: dict[str, Any],
    interpreter: Interpreter,
    result: SearchResult,
    on_probe: Callable[[Probe], None],
) -> None:
    """Try one batch after another, until the largest is known or a probe fails.

    Args:
        request: the case and its limit.
        search: chooses the batches.
        data: from :func:`provide_data`.
        interpreter: the one that is measured.
        result: extended with every probe, so that nothing is lost at Ctrl-C.
        on_probe: called after every probe.
    """
    case = msgspec.structs.replace(request.case, mode="train")
    while result.failed is None and (batch := search.next(attempts(result.probes))) is not None:
        planned = PlannedRun(msgspec.structs.replace(case, batch=batch), recipe(request))
        with memory_limit_of(kind_of(case.device), request.limit) as limit:
            result.limit_method = limit.method
            probe, effective = run_probe(
                planned,
                data,
                SpawnLauncher(interpreter, request.network, limit.apply, fixed_layout=True),
                limit,
                result.probes,
            )
        result.effective = effective or result.effective
        result.probes.append(probe)
        if not probe.fits and not probe.stop_reason:
            result.failed = probe.outcome
        on_probe(probe)


def available_memory(case: Case) -> int | None:
    """Return the bytes that a probe may take by default; on a GPU its own memory, which only guides the search."""
    kind = kind_of(case.device)
    if kind.own_memory:
        sizes = [card_bytes(name) for name in device_names(case.device)]
        return min((size for size in sizes if size is not None), default=None)
    if kind.memory_share is not None:
        return int(kind.memory_share * memory_bytes()) or None
    available = try_read(lambda: int(psutil.virtual_memory().available))
    free = [size for size in (available, try_read(memory_left)) if size is not None]
    return int((1 - RESERVE) * min(free)) if free else None


def most_allowed(case: Case) -> int | None:
    """Return the largest limit that has an effect on a probe; None where only the worker knows."""
    kind = kind_of(case.device)
    if kind.own_memory:
        return available_memory(case)
    total = memory_bytes() or None
    if kind.memory_share is not None:  # what Metal recommends is known to the worker alone, which refuses more
        return total
    # Not the memory that is free now, which cached files may fill: the system kills the probe first where it runs out.
    known = [size for size in (total, try_read(memory_limit)) if size is not None]
    return min(known, default=None)


def memory_limit_of(kind: DeviceKind, limit: int | None) -> contextlib.AbstractContextManager[Limit]:
    """Return the context in which a probe has its memory limit."""
    if kind.on_host and limit is not None:
        return limited(limit)
    return contextlib.nullcontext(AllocatorLimit(limit))


def run_probe(
    planned: PlannedRun, data: dict[str, Any], launcher: Launcher, limit: Limit, before: list[Probe]
) -> tuple[Probe, dict[str, Any]]:
    """Try one batch; return the probe and its effective settings."""
    began, swap = time.monotonic(), swap_used()
    with scratch_folder() as scratch:
        result = run_job(launcher, dataclasses.replace(probe_job(planned, data, scratch), **limit.job()), PROBE_LIMIT)
    grown = max(swap_used() - swap, 0)
    memory = {name: msgspec.convert(figure, Memory) for name, figure in result.measured.get("memory", {}).items()}
    rate = images_per_second(result)
    return (
        Probe(
            batch=planned.case.batch,
            outcome=result.outcome,
            stop_reason=stop_reason(result, limit, grown, rate, before, planned.case),
            peak=memory[limit.figure].bytes if limit.figure in memory and not allocator_retried(result) else None,
            baseline_bytes=(result.measured.get("memory_before", {}).get(limit.figure) or {}).get("bytes"),
            memory=memory,
            images_per_second=rate,
            swap_bytes=grown,
            seconds=round(time.monotonic() - began, 3),
        ),
        result.effective,
    )


def swap_used() -> int:
    """Return the bytes in swap; 0 where unknown, so that no growth is seen."""
    return try_read(lambda: int(psutil.swap_memory().used)) or 0


def images_per_second(result: WorkerResult) -> float | None:
    """Return the rate of the fastest step of the window; the last step of an epoch may have fewer images."""
    steps = result.measured.get("steps")
    if not steps:
        return None
    count = len(steps["seconds"])
    images = steps["images"] if isinstance(steps["images"], list) else [steps["images"]] * count
    rates: list[float] = [images[step] / steps["seconds"][step] for step in range(steps["warmup"], count)]
    return round(max(rates), 3)


def allocator_retried(result: WorkerResult) -> bool:
    """Whether the allocator of a card had to empty its cache: its peak is then that of the limit."""
    return bool(result.measured.get("device", {}).get("allocator_retries"))


def stop_reason(
    result: WorkerResult, limit: Limit, grown: int, rate: float | None, before: list[Probe], case: Case
) -> str:
    """Return why a batch does not fit; empty where it fits, and where something else went wrong."""
    smaller = [probe for probe in before if probe.fits and probe.batch < case.batch]
    if result.outcome.status is Status.OUT_OF_MEMORY or limit.killed():
        return "out of memory"
    # Not every library checks whether an allocation failed. Without the limit they load, as making the data showed.
    if result.outcome.status is Status.FAILED and limit.figure == "data" and (smaller or result.died == "setup"):
        return "out of memory"
    if result.outcome.status is Status.TIMED_OUT and smaller:
        return "time"
    if result.outcome.status is not Status.MEASURED:
        return ""
    if grown > SWAPPED:
        return "swap"
    best = max((probe.images_per_second or 0.0 for probe in smaller), default=0.0)
    if rate is not None and rate < kind_of(case.device).collapse * best:
        return "collapse"
    return ""
