"""One pair: a process of base and a process of head, taking turns where memory holds both, else one after the other."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import psutil

from bench.cases.device_kinds import kind_of
from bench.cases.plan import PlannedRun
from bench.compare.background_load import BackgroundLoadMonitor
from bench.compare.cpu_affinity import set_cpu_affinity
from bench.compare.lockstep import LockstepPeer, WorkerFailed, balanced_turns
from bench.machine.try_read import try_read
from bench.records.comparison import SIDES, Measurement, Pair, StepPlan
from bench.records.outcome import Status
from bench.records.record import Memory, Steps
from bench.runner.launchers.local import Launcher, scratch_folder
from bench.runner.measure import build_phases, case_job, oom_kills, run_job

PHASE_LIMIT = 600.0
"""Seconds that warm-up and window of a process by itself may take each."""

WHOLE = 1_000_000
"""More steps than a window has: a turn is a whole window."""

ROOM = 1.2
"""Memory that has to be free for the second process, over what the first one has when it is warm."""


class InsufficientMemory(Exception):
    """Memory does not hold both processes; the text says what was seen."""


class PairInputs(msgspec.Struct, frozen=True):
    """What the two processes of a pair are started with, base first.

    Attributes:
        launchers: of both environments.
        planned: the case.
        data: what :func:`bench.runner.measure.find_data` gave for each.
    """

    launchers: tuple[Launcher, Launcher]
    planned: PlannedRun
    data: tuple[dict[str, Any], dict[str, Any]]


class PairRun(msgspec.Struct, frozen=True):
    """A pair and the settings that ran, base first.

    Attributes:
        mendable: whether measuring it again may spare what disturbed it.
        plan: what its processes did, where they took turns.
    """

    pair: Pair
    effective: tuple[dict[str, Any], dict[str, Any]]
    mendable: bool
    plan: StepPlan | None = None


def run_interleaved(pairing: PairInputs, head_first: bool, draw: random.Random, plan: StepPlan | None) -> PairRun:
    """Two live processes that take turns.

    Args:
        pairing: what is started.
        head_first: whether head is started first.
        draw: settles the order of turns.
        plan: what both do; they warm up at once. None where that is not known: the first one then warms up by time, and
            the second one does what the first one settled, when memory is seen to hold both.

    Raises:
        NoRoom: where memory does not hold both.
        Ended: where a process ended in any other way than measured; its text begins with the side.
    """
    began, started, kills = time.monotonic(), now(), oom_kills()
    kind = kind_of(pairing.planned.case.device)
    turn_steps = kind.turn_steps or WHOLE
    sides: dict[int, LockstepPeer] = {}
    with contextlib.ExitStack() as stack:

        def start(number: int, plan: StepPlan | None) -> None:
            scratch = stack.enter_context(scratch_folder())
            job = {**case_job(pairing.planned, pairing.data[number], scratch), "block": turn_steps}
            job["within"] = not kind.asynchronous
            if plan:
                job["window"] = {
                    "warmup_steps": plan.warmup_steps,
                    "warmup_seconds": 0.0,
                    "same_cycle": plan.timed_accumulation_steps,
                    "window_steps": plan.window_steps,
                    "window_seconds": 0.0,
                }
            sides[number] = LockstepPeer(pairing.launchers[number].start(job))
            stack.callback(sides[number].worker.end, 1.0)

        first, second = (1, 0) if head_first else (0, 1)

        def warm_up(number: int) -> None:
            with tag_side(number, kills):
                sides[number].warm_up()

        start(first, plan)
        if not plan:
            warm_up(first)
            check_memory(sides[first])
            warmed = sides[first]
            plan = StepPlan(
                warmup_steps=warmed.warmed, timed_accumulation_steps=warmed.cycle, window_steps=warmed.planned
            )
            start(second, plan)
        else:
            start(second, plan)
            warm_up(first)
        warm_up(second)
        threads = max(side.effective["threads"] for side in sides.values())
        own = set_cpu_affinity([side.worker.pid for side in sides.values()], threads, draw) if kind.on_host else []
        crowd = BackgroundLoadMonitor()
        # A turn that is a whole window is the only one: who was started first has it first, in half of the pairs each.
        order = (first, second) if turn_steps == WHOLE else balanced_turns((sides[0], sides[1]), draw)
        for number in order:
            with tag_side(number, kills):
                sides[number].turn(sides[1 - number])
        used = sum(side.measured["window"]["cpu_seconds"] or 0.0 for side in sides.values())
        seen = crowd.interference(used) if kind.on_host else []
    events = [sides[number].measured for number in (0, 1)]
    told = [phrase for event in events for phrase in event["window"]["interference"]]
    pair = Pair(
        started=started,
        head_first=head_first,
        base=measured(events[0]),
        head=measured(events[1]),
        processors=own,
        interference=list(dict.fromkeys([*seen, *told])),
        block_steps=kind.turn_steps or 0,
        interleaved_within_steps=not kind.asynchronous,
        seconds=round(time.monotonic() - began, 3),
    )
    mendable = bool(seen) or any(event["mendable"] for event in events)
    return PairRun(pair, (sides[0].effective, sides[1].effective), mendable, plan)


def run_sequential(pairing: PairInputs, head_first: bool) -> PairRun:
    """Two fresh processes, one after the other, each measured as a case of a run is.

    Raises:
        Ended: where one was not measured; its text begins with the side.
    """
    began, started = time.monotonic(), now()
    found: dict[int, Any] = {}
    for number in (1, 0) if head_first else (0, 1):
        found[number] = run_single(pairing, number)
        outcome = found[number].outcome
        if outcome.status is not Status.MEASURED:
            raise WorkerFailed(f"{SIDES[number]}: {outcome.reason}", outcome.status, outcome.reason)
    events = [found[number].measured for number in (0, 1)]
    pair = Pair(
        started=started,
        head_first=head_first,
        base=measured(events[0]),
        head=measured(events[1]),
        lockstep=False,
        interference=list(dict.fromkeys(phrase for event in events for phrase in event["window"]["interference"])),
        seconds=round(time.monotonic() - began, 3),
    )
    # A window that was disturbed was measured again within its own process.
    return PairRun(pair, (found[0].effective, found[1].effective), mendable=False)


def run_single(pairing: PairInputs, number: int) -> Any:
    """One side by itself: what came out of its worker, as :func:`bench.runner.measure.run_job` gives it."""
    with scratch_folder() as scratch:
        job = case_job(pairing.planned, pairing.data[number], scratch)
        return run_job(pairing.launchers[number], job, PHASE_LIMIT)


@contextlib.contextmanager
def tag_side(number: int, kills: int) -> Any:
    """Say which side it was that ended, and whether the system killed it for want of memory."""
    try:
        yield
    except WorkerFailed as end:
        reason, status = end.outcome.reason, end.outcome.status
        if end.died and oom_kills() > kills:
            status, reason = Status.OUT_OF_MEMORY, "The system ran out of memory and killed the worker."
        raise WorkerFailed(f"{SIDES[number]}: {reason}", status, reason, end.died) from end


def check_memory(side: LockstepPeer) -> None:
    """Raise :class:`InsufficientMemory` where the free memory does not hold a second process as large as this one.

    Where the system does not tell what is free, there is nothing to say against it.
    """
    needed, free = ROOM * footprint(side.worker.pid), try_read(lambda: int(psutil.virtual_memory().available))
    if free is not None and needed > free:
        gib = 2**30
        raise InsufficientMemory(
            f"one process needs {needed / ROOM / gib:.1f} GiB, and {free / gib:.1f} GiB were free beside it"
        )


def footprint(pid: int) -> int:
    """Bytes that a process and what it started have for themselves; 0 where it has ended or does not tell."""
    total = 0
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        for one in [process, *process.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                total += own_bytes(one)
    return total


def own_bytes(process: psutil.Process) -> int:
    """Bytes that a process has for itself; with what it shares where the system keeps the rest secret (macOS)."""
    try:
        return int(process.memory_full_info().uss)
    except psutil.AccessDenied:
        return int(process.memory_info().rss)


def measured(event: dict[str, Any]) -> Measurement:
    """What a worker's ``measured`` event says.

    Raises:
        Ended: where it cannot be read.
    """
    try:
        steps = msgspec.convert(event["steps"], Steps)
        return Measurement(
            steps=trimmed(steps),
            phases=build_phases(event["phases"], steps),
            memory=msgspec.convert(event["memory"], dict[str, Memory]),
            cpu_seconds=event["window"]["cpu_seconds"],
        )
    except (msgspec.MsgspecError, ValueError, KeyError) as error:
        raise WorkerFailed(f"what a worker reported cannot be read: {error}", Status.FAILED) from error


def trimmed(steps: Steps) -> Steps:
    """Steps without their warm-up but for its last one, which settles of what kind the first step of the window is."""
    start = max(steps.warmup - 1, 0)
    images: int | Sequence[int] = steps.images
    return msgspec.structs.replace(
        steps,
        warmup=steps.warmup - start,
        warmup_discarded=steps.warmup_discarded + start,
        seconds=steps.seconds[start:],
        data_wait=steps.data_wait[start:],
        images=images if isinstance(images, int) else list(images[start:]),
        optimizer=[index - start for index in steps.optimizer if index >= start],
    )


def now() -> str:
    """This moment, as records have it."""
    return datetime.now(UTC).isoformat(timespec="seconds")
