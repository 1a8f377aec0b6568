"""Measure one pair: a process of base and one of head, interleaved where memory holds both, else in sequence."""

from __future__ import annotations

import contextlib
import dataclasses
import random
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import psutil

from bench.cases.axes import FORCED
from bench.cases.device_kinds import kind_of
from bench.cases.plan import PlannedRun
from bench.compare.background_load import BackgroundLoadMonitor
from bench.compare.cpu_affinity import set_cpu_affinity
from bench.compare.lockstep import LockstepPeer, WorkerFailed, balanced_turns, whole_windows
from bench.machine.try_read import try_read
from bench.records.comparison import SIDES, Measurement, Pair, StepPlan
from bench.records.outcome import Status
from bench.records.record import Memory
from bench.records.steps import Steps
from bench.runner.jobs import case_job, oom_kills
from bench.runner.launchers.local import Launcher, scratch_folder
from bench.runner.measure import build_phases, run_job
from bench.worker.protocol import Window

PHASE_LIMIT = 600.0
"""Seconds that warm-up and window of a single process may take each."""

WHOLE_WINDOW = 1_000_000
"""More steps than a window has: a turn is a whole window."""

MEMORY_FACTOR = 1.2
"""Free memory that a second process needs, over the memory of the first one when it is warm."""


class InsufficientMemory(Exception):
    """Memory does not hold both processes; the text has the figures."""


class PairInputs(msgspec.Struct, frozen=True):
    """Inputs of the two processes of a pair, base first.

    Attributes:
        launchers: launchers of both environments.
        planned: the case.
        data: data sets from :func:`bench.runner.measure.find_data`.
        head: the case of head, where the sides differ in settings; None where both run the same case.
    """

    launchers: tuple[Launcher, Launcher]
    planned: PlannedRun
    data: tuple[dict[str, Any], dict[str, Any]]
    head: PlannedRun | None = None

    def side(self, number: int) -> PlannedRun:
        """Return the case of one side by its number: 0 is base, 1 is head."""
        return self.head if number and self.head is not None else self.planned

    @property
    def alike(self) -> bool:
        """Whether both sides run the same steps, so that turns may end within a step.

        Sides with different batches, or with processes that load images, take turns of a whole window. Such processes
        go on loading while their worker waits.
        """
        return self.head is None or _step_shape(self.head) == _step_shape(self.planned)


def _step_shape(planned: PlannedRun) -> tuple[Any, ...]:
    """Return what has to be equal on both sides for turns that end within a step."""
    case = planned.case
    loaders = [case.value(name) for name in LOADERS] if kind_of(case.device).on_host else []
    return case.batch, planned.recipe.overrides.get("nbs"), *(case.value(name) for name in ("nbs", "compile")), loaders


LOADERS = ("workers", f"{FORCED}_workers")
"""Axes that start processes which load images."""


class PairRun(msgspec.Struct, frozen=True):
    """A pair with the effective settings of its processes, base first.

    Attributes:
        worth_retrying: whether a retry may avoid the interference.
        plan: the steps of both processes, where they took turns.
    """

    pair: Pair
    effective: tuple[dict[str, Any], dict[str, Any]]
    worth_retrying: bool
    plan: StepPlan | None = None


class _LivePair:
    """Two live workers of a pair, by number: 0 is base, 1 is head.

    Attributes:
        peers: the workers that were started.
        plan: the steps of both; set once the first worker is warm, where it was not given.
    """

    def __init__(self, inputs: PairInputs, plan: StepPlan | None, stack: contextlib.ExitStack) -> None:
        self.peers: dict[int, LockstepPeer] = {}
        self.plan = plan
        self._inputs = inputs
        self._kind = kind_of(inputs.planned.case.device)
        self._stack = stack
        self._kills = oom_kills()

    def start_and_warm_up(self, first: int, second: int) -> None:
        """Start both workers; at once where their steps are planned, else the second when the first one is warm."""
        self._start(first)
        if self.plan:
            self._start(second)
        with tag_side(first, self._kills):
            self.peers[first].warm_up()
        if not self.plan:
            peer = self.peers[first]
            check_memory(peer)
            if self._inputs.alike:  # else each side warms up by time, and has its own number of steps
                self.plan = StepPlan(
                    warmup_steps=peer.warmup_steps,
                    timed_accumulation_steps=peer.accumulation_steps,
                    window_steps=peer.window_steps,
                )
            self._start(second)
        with tag_side(second, self._kills):
            self.peers[second].warm_up()

    def _start(self, number: int) -> None:
        scratch = self._stack.enter_context(scratch_folder())
        job = case_job(self._inputs.side(number), self._inputs.data[number], scratch)
        block = turn_steps(self._inputs) or WHOLE_WINDOW
        job = dataclasses.replace(job, block=block, within=ends_within_steps(self._inputs))
        if self.plan:
            window = Window(
                warmup_seconds=0.0,
                warmup_steps=self.plan.warmup_steps,
                shared_accumulation_steps=self.plan.timed_accumulation_steps,
                window_steps=self.plan.window_steps,
                window_seconds=0.0,
            )
            job = dataclasses.replace(job, window=window)
        self.peers[number] = LockstepPeer(self._inputs.launchers[number].start(job))
        self._stack.callback(self.peers[number].worker.end, 1.0)

    def share_cpus(self, draw: random.Random) -> list[int]:
        """Bind both workers to the same CPUs, and return those."""
        threads = max(peer.effective["threads"] for peer in self.peers.values())
        return set_cpu_affinity([peer.worker.pid for peer in self.peers.values()], threads, draw)

    def take_turn(self, number: int) -> None:
        """Let one worker run until its turn ends."""
        with tag_side(number, self._kills):
            self.peers[number].take_turn(self.peers[1 - number])

    def cpu_seconds(self) -> float:
        """CPU time that both windows used."""
        return sum(peer.measured["window"]["cpu_seconds"] or 0.0 for peer in self.peers.values())


def run_interleaved(inputs: PairInputs, head_first: bool, draw: random.Random, plan: StepPlan | None) -> PairRun:
    """Measure two live processes that take turns.

    Args:
        inputs: environments, case and data.
        head_first: whether head is started first.
        draw: decides the order of turns.
        plan: the steps of both, which then warm up at once. None where unknown: the first process warms up by time, and
            the second one repeats its steps, if memory holds both.

    Raises:
        InsufficientMemory: where memory does not hold both.
        WorkerFailed: where a process ended in any other way than measured; its text begins with the side.
    """
    began, started = time.monotonic(), now()
    kind = kind_of(inputs.planned.case.device)
    first, second = (1, 0) if head_first else (0, 1)
    with contextlib.ExitStack() as stack:
        live = _LivePair(inputs, plan, stack)
        live.start_and_warm_up(first, second)
        # Settings may be about how many CPUs are used, so that sides with different ones keep them all.
        cpus = live.share_cpus(draw) if kind.on_host and inputs.head is None else []
        background = BackgroundLoadMonitor()
        # Where a turn is a whole window, each side has one turn. The side that was started first takes it first:
        # each side in half of the pairs.
        slices = turn_steps(inputs)
        sides = live.peers[0], live.peers[1]
        order = balanced_turns(sides, draw) if slices else whole_windows(sides, (first, second))
        for number in order:
            live.take_turn(number)
        load = background.interference(live.cpu_seconds()) if kind.on_host else []
    base, head = live.peers[0], live.peers[1]
    pair = _to_pair(
        (base.measured, head.measured),
        started,
        head_first,
        began,
        load,
        processors=cpus,
        block_steps=slices or 0,
        interleaved_within_steps=ends_within_steps(inputs),
    )
    worth_retrying = bool(load) or any(peer.measured["worth_retrying"] for peer in (base, head))
    return PairRun(pair, (base.effective, head.effective), worth_retrying, live.plan)


def turn_steps(inputs: PairInputs) -> int | None:
    """Return the steps of a turn; None for a whole window."""
    return kind_of(inputs.planned.case.device).turn_steps if inputs.alike else None


def ends_within_steps(inputs: PairInputs) -> bool:
    """Whether turns may end within a step."""
    return inputs.alike and not kind_of(inputs.planned.case.device).asynchronous


def run_sequential(inputs: PairInputs, head_first: bool) -> PairRun:
    """Measure two fresh processes one after the other, each like a case of a run.

    Raises:
        WorkerFailed: where one was not measured; its text begins with the side.
    """
    began, started = time.monotonic(), now()
    results: dict[int, Any] = {}
    for number in (1, 0) if head_first else (0, 1):
        results[number] = run_single(inputs, number)
        outcome = results[number].outcome
        if outcome.status is not Status.MEASURED:
            raise WorkerFailed(f"{SIDES[number]}: {outcome.reason}", outcome.status, outcome.reason)
    pair = _to_pair((results[0].measured, results[1].measured), started, head_first, began, lockstep=False)
    # A window with interference was measured again within its own process.
    return PairRun(pair, (results[0].effective, results[1].effective), worth_retrying=False)


def _to_pair(
    events: tuple[dict[str, Any], dict[str, Any]],
    started: str,
    head_first: bool,
    began: float,
    load: Sequence[str] = (),
    **fields: Any,
) -> Pair:
    """Return the record of a pair from the ``measured`` events of its processes."""
    phrases = [*load, *(phrase for event in events for phrase in event["window"]["interference"])]
    return Pair(
        started=started,
        head_first=head_first,
        base=measured(events[0]),
        head=measured(events[1]),
        interference=list(dict.fromkeys(phrases)),
        seconds=round(time.monotonic() - began, 3),
        **fields,
    )


def run_single(inputs: PairInputs, number: int) -> Any:
    """Measure one side alone, and return the result of :func:`bench.runner.measure.run_job`."""
    with scratch_folder() as scratch:
        job = case_job(inputs.side(number), inputs.data[number], scratch)
        return run_job(inputs.launchers[number], job, PHASE_LIMIT)


@contextlib.contextmanager
def tag_side(number: int, kills: int) -> Any:
    """Name the side in a :class:`WorkerFailed`, and turn a kill for memory into its status."""
    try:
        yield
    except WorkerFailed as end:
        reason, status = end.outcome.reason, end.outcome.status
        if end.died and oom_kills() > kills:
            status, reason = Status.OUT_OF_MEMORY, "The system ran out of memory and killed the worker."
        raise WorkerFailed(f"{SIDES[number]}: {reason}", status, reason, end.died) from end


def check_memory(side: LockstepPeer) -> None:
    """Raise :class:`InsufficientMemory` where free memory does not hold a second process of this size.

    Where free memory is unknown, both are tried.
    """
    needed, free = MEMORY_FACTOR * footprint(side.worker.pid), try_read(lambda: int(psutil.virtual_memory().available))
    if free is not None and needed > free:
        gib = 2**30
        raise InsufficientMemory(
            f"one process needs {needed / MEMORY_FACTOR / gib:.1f} GiB, and {free / gib:.1f} GiB were free"
        )


def footprint(pid: int) -> int:
    """Return the private bytes of a process and its children; 0 where it has ended or they are unknown."""
    total = 0
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        for member in [process, *process.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                total += private_bytes(member)
    return total


def private_bytes(process: psutil.Process) -> int:
    """Return the private bytes of a process; on macOS, which hides them, with shared ones."""
    try:
        return int(process.memory_full_info().uss)
    except psutil.AccessDenied:
        return int(process.memory_info().rss)


def measured(event: dict[str, Any]) -> Measurement:
    """Return the measurement in a worker's ``measured`` event.

    Raises:
        WorkerFailed: where it cannot be read.
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
    """Return the steps without their warm-up, except its last one: it decides the kind of the window's first step."""
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
    """Return the current time in the format of records."""
    return datetime.now(UTC).isoformat(timespec="seconds")
