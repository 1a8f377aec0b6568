"""Figures of the suite against plain Ultralytics training: fresh processes that take turns on one machine."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import random
import statistics
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import msgspec

from bench.cases.device_kinds import HOST
from bench.cases.plan import PlannedRun, expand_grid, profile
from bench.compare.lockstep import LockstepPeer, round_robin
from bench.records.steps import Steps
from bench.runner.jobs import case_job
from bench.runner.launchers.local import Launcher, scratch_folder
from bench.runner.measure import find_data
from bench.selfcheck.check import Check, Mean, mean_of
from bench.worker.protocol import Job, PlainJob, Window

WARMUP_SECONDS = 3.0
FEW_STEPS = 23
"""Steps of the window that predicts. Rounded up to a multiple of the accumulation steps, shortened or full, it has 24
at most."""

CASES: tuple[tuple[str, int, int, bool], ...] = (
    ("yolov8n", 2, 160, True),
    ("yolov8n", 4, 160, True),
    ("yolov8n", 16, 64, True),
    ("yolov8n", 8, 96, False),
    ("yolo11n", 4, 96, False),
    ("yolo11n", 2, 160, True),
)
"""Model, batch, size in pixels, and whether training is deterministic."""

NBS = 64

EPOCH = 64
"""Batches of the data set, and so steps of plain training from a step of one epoch to the same step of the next. They
include the epoch gap exactly once."""

TURN = 2
"""Steps per turn: interference comes and goes within seconds.

The first step after another process ran is slower, since caches are cold. So all have turns of one length, and none
has two in a row: where plain training had, our steps came out 1.1 % slower over 36 pairs."""

PLAIN = 0
"""The number of plain training among the processes of a group; ours follow."""

PLAIN_WARMUP_STEPS = 20
"""Minimum steps of plain training before the first timed one."""

OURS = 3
"""Processes that predict, for each that trains an epoch: their 72 steps lie between its 64."""


def plan(model: str, batch: int, imgsz: int, deterministic: bool) -> PlannedRun:
    """Return a training case on the CPU."""
    values: dict[str, list[Any]] = {
        "mode": ["train"],
        "model": [model],
        "amp": ["off"],
        "batch": [batch],
        "imgsz": [imgsz],
    }
    [planned] = expand_grid(profile("quick"), [HOST], values)
    overrides = {**planned.recipe.overrides, "deterministic": deterministic}
    return msgspec.structs.replace(planned, recipe=msgspec.structs.replace(planned.recipe, overrides=overrides))


class Group(msgspec.Struct, frozen=True):
    """Processes that took turns: the measured steps of each of ours, and the mean step of plain training.

    Attributes:
        ours: steps of each process of ours.
        plain: seconds of the mean step of plain training, the epoch gap included.
    """

    ours: tuple[Steps, ...]
    plain: float

    @property
    def log(self) -> float:
        """``ln(ours / plain)``, the mean over ours: what our mean step predicts for an epoch, over the epoch."""
        return statistics.mean(math.log(steps.step_seconds / self.plain) for steps in self.ours)

    @property
    def log_of_same(self) -> float:
        """``ln(ours / plain)`` with the epoch gap on both sides, for windows that are an epoch long."""
        whole = [(sum(steps.window) + sum(steps.epoch_gaps)) / len(steps.window) for steps in self.ours]
        return statistics.mean(math.log(seconds / self.plain) for seconds in whole)


def group(
    launcher: Launcher,
    planned: PlannedRun,
    window: Window,
    ours: int,
    seed: int,
    steps: int = EPOCH,
    turn: int = TURN,
    warmup_steps: int = PLAIN_WARMUP_STEPS,
) -> Group:
    """Measure one process of plain training and some of ours; the order of their starts and turns is random.

    Args:
        launcher: of the environment.
        planned: the case.
        window: of our processes.
        ours: number of our processes.
        seed: seed of the random order.
        steps: timed steps of plain training.
        turn: steps per turn.
        warmup_steps: minimum steps of the warm-up of plain training.
    """
    draw = random.Random(seed)
    data = find_data(launcher, planned)
    with contextlib.ExitStack() as stack:
        jobs: list[tuple[int, Job]] = []
        for number in range(ours + 1):
            case = case_job(planned, data, stack.enter_context(scratch_folder()))
            job: Job = dataclasses.replace(case, block=turn, window=window)
            if number == PLAIN:
                job = PlainJob(
                    workload=case.workload,
                    case=case.case,
                    overrides=case.overrides,
                    threads=case.threads,
                    data=case.data,
                    scratch=case.scratch,
                    steps=steps,
                    block=turn,
                    warmup_steps=warmup_steps,
                    warmup_seconds=window.warmup_seconds,
                )
            jobs.append((number, job))
        sides: dict[int, LockstepPeer] = {}
        for number, started in draw.sample(jobs, len(jobs)):
            side = sides[number] = LockstepPeer(launcher.start(started))
            stack.callback(side.worker.end, 1.0)
            side.warm_up()
        for number in order(ours, math.ceil(window.window_steps / turn), steps // turn, draw):
            if not sides[number].ended:
                sides[number].take_turn()
        while not all(side.ended for side in sides.values()):
            round_robin(list(sides.values()), 1, draw)
    plain = sides.pop(PLAIN)
    timed = [msgspec.convert(side.measured["steps"], Steps) for _, side in sorted(sides.items())]
    return Group(tuple(timed), plain.seconds / plain.steps)


def order(ours: int, turns: int, plain: int, draw: random.Random) -> list[int]:
    """Return who has each turn, none twice in a row: each of ours ``turns`` in rounds, plain training between them.

    Raises:
        ValueError: for more turns of plain training than fit between.
    """
    rounds: list[int] = []
    for _ in range(turns):
        following = draw.sample(range(1, ours + 1), ours)
        if rounds and following[0] == rounds[-1]:
            following.reverse()
        rounds += following
    apart = {gap for gap, (earlier, later) in enumerate(pairwise(rounds), 1) if earlier == later}
    free = [gap for gap in range(len(rounds) + 1) if gap not in apart]
    taken = {*apart, *draw.sample(free, plain - len(apart))}
    return [number for gap in range(len(rounds) + 1) for number in [PLAIN] * (gap in taken) + rounds[gap : gap + 1]]


def instrumented(launcher: Launcher, pairs: int, say: Callable[[str], None]) -> Iterator[Check]:
    """Compare a measured epoch with one of plain training, optimizer steps and epoch gap included."""
    planned = plan(*CASES[1])
    window = Window(WARMUP_SECONDS, window_steps=EPOCH, window_seconds=0.0)
    logs = []
    for number in range(max(pairs, 8)):
        say(f"instrumented against plain training, pair {number + 1} of {max(pairs, 8)} ...")
        logs.append(group(launcher, planned, window, 1, seed=number).log_of_same)
    yield Check(
        "Instrumented over plain training, ln ratio of the step",
        str(mean_of(logs)),
        "holds 0, within ± 1.5 %",
        f"{len(logs)} interleaved pairs of processes, {TURN} steps per turn, {EPOCH} steps each, {planned.case.id}",
    )


def bias(launcher: Launcher, pairs: int, say: Callable[[str], None]) -> Iterator[Check]:
    """Compare what at most 24 timed steps predict for an epoch with the epoch."""
    means: list[Mean] = []
    logs: list[float] = []
    for model, batch, imgsz, deterministic in CASES:
        planned = plan(model, batch, imgsz, deterministic)
        name = planned.case.id + ("" if deterministic else ", not deterministic")
        accumulation_steps = NBS // batch
        window = Window(WARMUP_SECONDS, window_steps=FEW_STEPS, window_seconds=0.0)
        groups = []
        for number in range(pairs):
            say(f"prediction against plain training, {name}, epoch {number + 1} of {pairs} ...")
            groups.append(group(launcher, planned, window, OURS, seed=number))
        logs += [result.log for result in groups]
        means.append(mean_of([result.log for result in groups]))
        timed = groups[0].ours[0]
        way = (
            f"steps by kind, weighted for {accumulation_steps}"
            if timed.modelled
            else f"a multiple of {accumulation_steps} accumulation steps"
        )
        yield Check(
            f"Predicted over plain epoch, ln ratio, {name}",
            str(means[-1]),
            "",
            f"{pairs} epochs of {EPOCH} steps, each interleaved with {OURS} processes of {len(timed.window)} ({way})",
        )
    sizes = [abs(mean.mean) for mean in means]
    yield Check(
        "Bias of the prediction, over these cases",
        f"median {statistics.median(sizes) * 100:.2f} %, worst {max(sizes) * 100:.2f} %",
        "<= 1 %, <= 2 %",
        f"absolute means of {len(means)} cases; all {len(logs)} epochs together {mean_of(logs)}",
    )
