"""Search for the largest batch of a case, record it, and describe it: shared by the command and the pytest plugin."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from bench.cases.axes import find_axis, value_label
from bench.cases.case import Case
from bench.cases.device_kinds import kind_of, named_twice, ranks
from bench.cases.model_labels import show_together
from bench.errors import UsageError
from bench.formatting import format_rough_bytes, format_rough_duration
from bench.worker.workloads.base import family_of, own_name

if TYPE_CHECKING:  # --help does without what these import
    from bench.ceiling.batch_search import Search
    from bench.ceiling.search import SearchRequest, SearchResult
    from bench.records.ceiling import Ceiling, Probe
    from bench.records.outcome import Outcome
    from bench.records.store import Store
    from bench.runner.launchers.local import Launcher

CEILING = "ceiling"
"""The mode of a search."""

DEFAULT_MAX_BATCH = 1024
"""The largest batch to try by default."""


def search_cases(values: dict[str, list[Any]]) -> list[Case]:
    """Return the cases of mode ``ceiling`` for values of all axes but batch.

    Without sizes, a model's own size, else those of the device.

    Raises:
        UsageError: for an axis that training does not take.
    """
    show_together(values["model"])
    further = [name for name in values if not find_axis(name).fixed]
    for name in further:
        find_axis(name).check_mode(CEILING)
    others = ["model", "amp", *further]
    return [
        Case.of({"mode": CEILING, "device": device, "batch": 0, "imgsz": size, **dict(zip(others, point, strict=True))})
        for device in values["device"]
        for point in itertools.product(*(values[name] for name in others))
        for size in values.get("imgsz") or natural_sizes(point[0]) or default_sizes(device)
    ]


def is_known(ceiling: Ceiling) -> bool:
    """Whether the largest batch is known."""
    return ceiling.outcome.status.value == "measured"


def granularity_for(granularity: int, case: Case) -> int:
    """Return the granularity for a case: 1 becomes the number of devices, so that each gets the same share.

    Raises:
        UsageError: where the devices cannot share it alike.
    """
    count = ranks(case.device)
    if not kind_of(case.device).backend or named_twice(case.device):  # refused, for a better reason
        return granularity
    if granularity == 1:
        return count
    if granularity % count:
        raise UsageError(
            f"--multiple-of {granularity} cannot be shared equally by the {count} devices of {case.device}: "
            f"use a multiple of {count}."
        )
    return granularity


def check_limit(limit: int, case: Case) -> None:
    """Raise :class:`UsageError` for a memory limit that cannot be enforced."""
    from bench.ceiling.probe_limits import enforced
    from bench.ceiling.search import most_allowed

    if kind_of(case.device).on_host and not enforced():
        raise UsageError("memory-limit: this system keeps no such limit on the CPU; leave it out, or use Linux.")
    there = most_allowed(case)
    if there is not None and limit > there:
        raise UsageError(
            f"memory-limit {format_rough_bytes(limit)} is more than device {case.device} has: at most "
            f"{format_rough_bytes(there)}."
        )


def hard_limit(case: Case) -> bool:
    """Whether a batch whose peak would lie above the limit cannot train.

    The peak of a GPU includes memory that the allocator caches, and releases where memory runs out.
    """
    from bench.ceiling import probe_limits

    return kind_of(case.device).on_host and probe_limits.enforced()


def unsupported(request: SearchRequest) -> Outcome | None:
    """Return why a request cannot be run, before data is made for it; None where it can."""
    from bench.runner.launchers.torchrun import unsupported_reason

    if ranks(request.case.device) == 1:
        return None
    return unsupported_reason({**request.case.values, "mode": "train", "batch": request.granularity})


def natural_sizes(model: str) -> list[int]:
    """Return a model's own sizes; empty where it has none."""
    return family_of(model).natural_values(own_name(model)).get("imgsz", [])


def default_sizes(device: str) -> list[int]:
    """Return the image sizes of a device where the user names none."""
    return list(kind_of(device).ceiling_sizes)


def available_sizes(sizes: Sequence[int], case: Case) -> list[int]:
    """Return those memory sizes that the device has."""
    from bench.ceiling.search import available_memory

    available = available_memory(case)
    return [size for size in sizes if available is None or size <= available]


def search_one(
    request: SearchRequest, launcher: Launcher, store: Store, ceilings: list[Ceiling], say: Callable[[str], None]
) -> None:
    """Search for one ceiling and save it, also where Ctrl-C stops the search.

    Args:
        request: the case and its limit.
        launcher: of the measured environment.
        store: of the run.
        ceilings: extended with the result.
        say: called with a line per probe, and with a sentence where the ceiling cannot be written.

    Raises:
        KeyboardInterrupt: at Ctrl-C, after the result was saved.
    """
    from bench.ceiling.batch_search import Search
    from bench.ceiling.search import SearchResult, available_memory, provide_data, search_largest_batch
    from bench.records.outcome import Outcome, Status
    from bench.runner.measure import DatasetUnavailable

    result, started = SearchResult(), datetime.now(UTC).isoformat(timespec="seconds")
    search, stop, requested = Search(request.granularity, request.max_batch), None, request.limit is not None
    say(f"{title(request.case)}: searching ...")
    try:
        result.failed = unsupported(request)
        data = {} if result.failed else provide_data(request, launcher)
        available = available_memory(request.case)
        if not requested and kind_of(request.case.device).on_host:
            request = msgspec.structs.replace(request, limit=available)
        search = Search(request.granularity, request.max_batch, request.limit or available, hard_limit(request.case))
        search_largest_batch(
            request, search, data, launcher.interpreter, result, lambda probe: say(describe_probe(probe))
        )
    except DatasetUnavailable as error:
        result.failed = Outcome(Status.FAILED, error.outcome.reason)
    except KeyboardInterrupt as pressed:
        result.failed, stop = Outcome(Status.INTERRUPTED, "Stopped while searching."), pressed
    ceiling = to_record(request, search, result, launcher, started, store.run, requested)
    ceilings.append(ceiling)
    if problem := store.save(ceiling):
        say(problem)
    if stop is not None:
        raise stop


def to_record(
    request: SearchRequest,
    search: Search,
    result: SearchResult,
    launcher: Launcher,
    started: str,
    run: str,
    requested: bool,
) -> Ceiling:
    """Return the record of a search; ``requested`` says whether its limit was."""
    from bench.ceiling.findings import edge, fit_memory_line
    from bench.ceiling.search import recipe
    from bench.machine.conditions import conditions
    from bench.machine.fingerprint import machine
    from bench.records.ceiling import Ceiling
    from bench.records.outcome import Outcome, Status

    batch, stop_reason = edge(search, result.probes)
    return Ceiling(
        run=run,
        started=started,
        case=msgspec.structs.replace(request.case, batch=batch),
        recipe=recipe(request),
        outcome=result.failed or Outcome(Status.MEASURED),
        stop_reason="" if result.failed else stop_reason,
        machine=machine(),
        environment=launcher.interpreter.environment,
        conditions=conditions(launcher.interpreter.variables),
        effective=result.effective,
        granularity=request.granularity,
        max_batch=request.max_batch,
        limit_bytes=request.limit,
        limit_method=result.limit_method,
        limit_requested=requested or request.limit is None,
        memory_fit=fit_memory_line(result.probes),
        probes=result.probes,
    )


def title(case: Case) -> str:
    """``yolov8n on cpu, AMP off, 160 px``, and the further axes."""
    further = [value_label(*axis_value) for axis_value in case.further]
    size = f"{case.imgsz} {_units(case)['size_unit']}"
    return ", ".join([f"{case.model_label} on {case.device}, AMP {case.amp}, {size}", *further])


def _units(case: Case) -> dict[str, Any]:
    """Return what batches and sizes of a case count."""
    return family_of(case.model).units(own_name(case.model), case.imgsz)


def describe_probe(probe: Probe) -> str:
    """Describe a probe in a line."""
    result = "trains" if probe.fits else probe.stop_reason or f"{probe.outcome.status.value}: {probe.outcome.reason}"
    peak = f", peak {format_rough_bytes(probe.peak)}" if probe.peak else ""
    return f"  batch {probe.batch}: {result}{peak}  [{format_rough_duration(probe.seconds)}]"


def describe(ceiling: Ceiling, sizes: Sequence[int]) -> list[str]:
    """Describe a ceiling in a few lines.

    Args:
        ceiling: the result of a search.
        sizes: further memory limits, in bytes, to predict the largest batch of.
    """
    from bench.analysis.ceilings import format_stop_reason
    from bench.ceiling.findings import memory_model

    within = (
        f" within {format_rough_bytes(ceiling.limit_bytes)} ({ceiling.limit_method})" if ceiling.limit_bytes else ""
    )
    if not is_known(ceiling):
        largest = f" batch {ceiling.case.batch} trains{within}, but" if ceiling.case.batch else ""
        status = ceiling.outcome.status.value.replace("_", " ")
        return [f"{title(ceiling.case)}:{largest} {status}: {ceiling.outcome.reason}"]
    if not ceiling.case.batch:
        return [f"{title(ceiling.case)}: not even batch {ceiling.granularity} trains{within}"]
    seconds = sum(probe.seconds for probe in ceiling.probes)
    count = len(ceiling.probes)
    lines = [
        f"{title(ceiling.case)}: batch {ceiling.case.batch} trains{within}; {format_stop_reason(ceiling)}; "
        f"{count} probe{'s' if count > 1 else ''} in {format_rough_duration(seconds)}"
    ]
    if ceiling.memory_fit:
        memory = ceiling.memory_fit
        unit = _units(ceiling.case)["unit"]
        base, slope, residual = map(format_rough_bytes, (memory.base, memory.slope, memory.residual))
        lines.append(f"  memory of training itself: {base} and {slope} per {unit}, within {residual}")
    if (model := memory_model(ceiling)) is not None:
        others = [size for size in sizes if size != ceiling.limit_bytes]
        fits = [f"{model.largest(size, ceiling.granularity)} in {format_rough_bytes(size)}" for size in others]
        if fits:
            lines.append(f"  predicted: {', '.join(fits)}")
    return lines
