"""The largest batch that trains: what both faces share, from what is asked to what is said of it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from bench.cases.axes import find_axis
from bench.cases.case import Case
from bench.cases.device_kinds import kind_of, named_twice, ranks
from bench.cases.model_labels import show_together
from bench.durations import about
from bench.errors import UsageError
from bench.sizes import shown

if TYPE_CHECKING:  # --help does without what these import
    from bench.ceiling.batch_search import Search
    from bench.ceiling.search import SearchRequest, SearchResult
    from bench.records.ceiling import Ceiling, Probe
    from bench.records.outcome import Outcome
    from bench.records.store import Store
    from bench.runner.launchers.local import Launcher

CEILING = "ceiling"
"""The mode of a search."""

MOST = 1024
"""The largest batch that is tried where nobody says."""


def points(values: dict[str, list[Any]]) -> list[Case]:
    """The cases of mode ``ceiling`` for values of all axes but batch; the usual sizes of a device without any.

    Raises:
        WrongUse: for an axis that training does not take.
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
        for size in values.get("imgsz") or usual_sizes(device)
    ]


def known(found: Ceiling) -> bool:
    """Whether the largest batch is known."""
    return found.outcome.status.value == "measured"


def granularity_for(granularity: int, case: Case) -> int:
    """What batches of a case are multiples of: of 1, every batch that its devices can share alike.

    Raises:
        WrongUse: where they cannot share it.
    """
    count = ranks(case.device)
    if not kind_of(case.device).backend or named_twice(case.device):  # refused, for a better reason
        return granularity
    if granularity == 1:
        return count
    if granularity % count:
        raise UsageError(
            f"granularity {granularity} cannot be shared alike by the {count} devices of {case.device}: "
            f"use a multiple of {count}."
        )
    return granularity


def check_limit(limit: int, case: Case) -> None:
    """Raise :class:`UsageError` for a limit that nothing would hold a process to."""
    from bench.ceiling.memory_limits import enforced
    from bench.ceiling.search import most_allowed

    if kind_of(case.device).on_host and not enforced():
        raise UsageError("memory-limit: this system keeps no such limit on the CPU; leave it out, or use Linux.")
    there = most_allowed(case)
    if there is not None and limit > there:
        raise UsageError(f"memory-limit {shown(limit)} is more than device {case.device} has: at most {shown(there)}.")


def firm(case: Case) -> bool:
    """Whether a batch whose peak would lie above the limit cannot train.

    Of a GPU the peak holds what the allocator keeps, which it gives back where memory runs out.
    """
    from bench.ceiling import memory_limits

    return kind_of(case.device).on_host and memory_limits.enforced()


def refused(question: SearchRequest) -> Outcome | None:
    """Why nothing can be tried, before a data set is made for it; None where nothing speaks against it."""
    from bench.runner.launchers.torchrun import unsupported_reason

    if ranks(question.case.device) == 1:
        return None
    return unsupported_reason({**question.case.values, "mode": "train", "batch": question.granularity})


def usual_sizes(device: str) -> list[int]:
    """Return the image sizes of a device where the user names none."""
    return list(kind_of(device).ceiling_sizes)


def fitting(sizes: Sequence[int], case: Case) -> list[int]:
    """Those of some limits that the device has."""
    from bench.ceiling.search import available_memory

    there = available_memory(case)
    return [size for size in sizes if there is None or size <= there]


def search_one(
    question: SearchRequest, launcher: Launcher, store: Store, found: list[Ceiling], tell: Callable[[str], None]
) -> None:
    """Search for one ceiling, and write it; one that Ctrl-C stops is written as far as it came.

    Args:
        question: what is asked.
        launcher: of the environment.
        store: of the run.
        found: is added to.
        tell: hears of every probe, and where the ceiling could not be written.

    Raises:
        KeyboardInterrupt: after that.
    """
    from bench.ceiling.batch_search import Search
    from bench.ceiling.findings import attempts
    from bench.ceiling.search import SearchResult, available_memory, provide_data, search_largest_batch
    from bench.records.outcome import Outcome, Status
    from bench.runner.measure import DatasetUnavailable

    seen, started = SearchResult(), datetime.now(UTC).isoformat(timespec="seconds")
    search, stop, asked = Search(question.granularity, question.max_batch), None, question.limit is not None
    tell(f"{title(question.case)}: searching ...")
    try:
        seen.failed = refused(question)
        data = {} if seen.failed else provide_data(question, launcher)
        there = available_memory(question.case)
        if not asked and kind_of(question.case.device).on_host:
            question = msgspec.structs.replace(question, limit=there)
        search = Search(question.granularity, question.max_batch, question.limit or there, firm(question.case))
        search_largest_batch(
            question,
            data,
            launcher.interpreter,
            lambda probes: search.next(attempts(probes)),
            lambda probe: tell(line(probe)),
            seen,
        )
    except DatasetUnavailable as error:
        seen.failed = Outcome(Status.FAILED, error.outcome.reason)
    except KeyboardInterrupt as pressed:
        seen.failed, stop = Outcome(Status.INTERRUPTED, "Stopped while searching."), pressed
    ceiling = summed(question, search, seen, launcher, started, store.run, asked)
    found.append(ceiling)
    if trouble := store.save(ceiling):
        tell(trouble)
    if stop is not None:
        raise stop


def summed(
    question: SearchRequest, search: Search, seen: SearchResult, launcher: Launcher, started: str, run: str, asked: bool
) -> Ceiling:
    """A ceiling, from its probes; ``asked`` says whether its limit was asked for."""
    from bench.ceiling.findings import edge, fit_memory_line
    from bench.ceiling.search import recipe
    from bench.machine.conditions import conditions
    from bench.machine.fingerprint import machine
    from bench.records.ceiling import Ceiling
    from bench.records.outcome import Outcome, Status

    batch, stop_reason = edge(search, seen.probes)
    return Ceiling(
        run=run,
        started=started,
        case=msgspec.structs.replace(question.case, batch=batch),
        recipe=recipe(question),
        outcome=seen.failed or Outcome(Status.MEASURED),
        stop_reason="" if seen.failed else stop_reason,
        machine=machine(),
        environment=launcher.interpreter.environment,
        conditions=conditions(launcher.interpreter.variables),
        effective=seen.effective,
        granularity=question.granularity,
        max_batch=question.max_batch,
        limit_bytes=question.limit,
        limit_method=seen.limit_method,
        limit_requested=asked or question.limit is None,
        memory_fit=fit_memory_line(seen.probes),
        probes=seen.probes,
    )


def title(case: Case) -> str:
    """``yolov8n on cpu, AMP off, 160 px``."""
    return f"{case.model_label} on {case.device}, AMP {case.amp}, {case.imgsz} px"


def line(probe: Probe) -> str:
    """One probe in a line."""
    said = "trains" if probe.fits else probe.stop_reason or f"{probe.outcome.status.value}: {probe.outcome.reason}"
    peak = f", peak {shown(probe.peak)}" if probe.peak else ""
    return f"  batch {probe.batch}: {said}{peak}  [{about(probe.seconds)}]"


def told(found: Ceiling, sizes: Sequence[int]) -> list[str]:
    """What was found, in a few lines."""
    from bench.analysis.ceilings import format_stop_reason
    from bench.ceiling.findings import memory_model

    within = f" within {shown(found.limit_bytes)} ({found.limit_method})" if found.limit_bytes else ""
    if not known(found):
        largest = f" batch {found.case.batch} trains{within}, but" if found.case.batch else ""
        status = found.outcome.status.value.replace("_", " ")
        return [f"{title(found.case)}:{largest} {status}: {found.outcome.reason}"]
    if not found.case.batch:
        return [f"{title(found.case)}: not even batch {found.granularity} trains{within}"]
    seconds = sum(probe.seconds for probe in found.probes)
    count = len(found.probes)
    said = [
        f"{title(found.case)}: batch {found.case.batch} trains{within}; {format_stop_reason(found)}; "
        f"{count} probe{'s' if count > 1 else ''} in {about(seconds)}"
    ]
    if found.memory_fit:
        memory = found.memory_fit
        an_image = f"{shown(memory.base)} and {shown(memory.slope)} an image, within {shown(memory.residual)}"
        said.append(f"  memory of training itself: {an_image}")
    if (grows := memory_model(found)) is not None:
        others = [size for size in sizes if size != found.limit_bytes]
        fits = [f"{grows.largest(size, found.granularity)} in {shown(size)}" for size in others]
        if fits:
            said.append(f"  foretold: {', '.join(fits)}")
    return said
