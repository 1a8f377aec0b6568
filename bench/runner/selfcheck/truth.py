"""Our figures against plain Ultralytics training: pairs of fresh processes that take turns on the same machine."""

from __future__ import annotations

import contextlib
import math
import random
import statistics
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from bench.cases.matrix import Planned, expand, profile
from bench.records.record import Steps
from bench.runner.launcher import Launcher, scratch_folder
from bench.runner.lockstep import Side, alternate
from bench.runner.measure import case_job, find_data
from bench.runner.selfcheck.check import Check, Mean, mean_of

WARMUP = {"warmup_seconds": 3.0}
FEW_STEPS = 23
"""Steps of the window that predicts: rounded up to cycles, short or whole, that is 24 at most."""

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
"""Batches of the data set, and so steps of plain training between a step of one epoch and the same of the next: they
hold the turn of the epoch exactly once."""

TURN = 8
"""Steps of a turn where ours has fewer of them than plain training. The first step after a pause may be slower, since
caches are cold, so both have turns of one length: with turns of 3 and 8 steps ours came out slower in all six cases."""

SHORT_TURN = 2
"""Steps of a turn where both have equally many: what disturbs the machine comes and goes within seconds."""


def plan(model: str, batch: int, imgsz: int, deterministic: bool) -> Planned:
    """A training case on the CPU."""
    values: dict[str, list[Any]] = {
        "mode": ["train"],
        "model": [model],
        "amp": ["off"],
        "batch": [batch],
        "imgsz": [imgsz],
    }
    [planned] = expand(profile("quick"), ["cpu"], values)
    pins = {**planned.recipe.pins, "deterministic": deterministic}
    return msgspec.structs.replace(planned, recipe=msgspec.structs.replace(planned.recipe, pins=pins))


class Pair(msgspec.Struct, frozen=True):
    """Seconds of the mean step in two processes that took turns: as we measured it, and in plain training."""

    ours: float
    plain: float
    steps: Steps
    plain_steps: int

    @property
    def log(self) -> float:
        """``ln(ours / plain)``: what our mean step predicts for an epoch, over the epoch, its turn included."""
        return math.log(self.ours / self.plain)

    @property
    def log_of_same(self) -> float:
        """The same with the turn of the epoch on both sides, for windows that are an epoch long."""
        window = sum(self.steps.window) + sum(self.steps.interludes)
        return math.log(window / len(self.steps.window) / self.plain)


def pair(launcher: Launcher, planned: Planned, window: dict[str, Any], block: int, seed: int) -> Pair:
    """One pair of fresh processes; which one starts first, and where among the others' each turn lies, is random.

    Args:
        launcher: of the environment.
        planned: the case.
        window: of our process; see :class:`~bench.worker.stopwatch.Rule`.
        block: steps of a turn.
        seed: of what is random.
    """
    draw = random.Random(seed)
    data = find_data(launcher, planned)
    with scratch_folder() as first, scratch_folder() as second, contextlib.ExitStack() as stack:
        ours = {**case_job(planned, data, first), "window": window, "block": block}
        plain = {
            **case_job(planned, data, second),
            "kind": "plain",
            "block": block,
            "steps": EPOCH,
            "warmup_steps": 20,
            **WARMUP,
        }
        sides: dict[str, Side] = {}
        for name, job in draw.sample([("ours", ours), ("plain", plain)], 2):
            side = sides[name] = Side(launcher.start(job))
            stack.callback(side.worker.end, 1.0)
            side.warm_up()
        turns = math.ceil(window["window_steps"] / block)
        for name in order(turns, EPOCH // block, draw):
            if not sides[name].ended:
                sides[name].turn()
        while not all(side.ended for side in sides.values()):
            alternate(list(sides.values()), 1, draw)
    timed = msgspec.convert(sides["ours"].measured["steps"], Steps)
    done = sides["plain"]
    return Pair(timed.step_seconds, done.seconds / done.steps, timed, done.steps)


def order(ours: int, plain: int, draw: random.Random) -> list[str]:
    """Who has each turn: every turn of ours lies at random among its share of the others'."""
    shares = [plain * (turn + 1) // ours - plain * turn // ours for turn in range(ours)]
    found = []
    for share in draw.sample(shares, ours):
        turns = ["plain"] * share
        turns.insert(draw.randint(0, share), "ours")
        found += turns
    return found


def instrumented(launcher: Launcher, pairs: int, say: Callable[[str], None]) -> Iterator[Check]:
    """Our trainer against plain training, an epoch each, optimizer steps and turn and all: what does measuring cost?"""
    planned = plan(*CASES[1])
    window = {**WARMUP, "window_steps": EPOCH, "window_seconds": 0.0}
    logs = []
    for number in range(max(pairs, 8)):
        say(f"instrumented against plain training, pair {number + 1} of {max(pairs, 8)} ...")
        logs.append(pair(launcher, planned, window, SHORT_TURN, seed=number).log_of_same)
    yield Check(
        "Instrumented over plain training, ln ratio of the step",
        str(mean_of(logs)),
        "holds 0, within ± 1.5 %",
        f"{len(logs)} pairs of processes in turns of {SHORT_TURN} steps, {EPOCH} steps each, {planned.case.id}",
    )


def bias(launcher: Launcher, pairs: int, say: Callable[[str], None]) -> Iterator[Check]:
    """What at most 24 timed steps predict for an epoch, against the epoch."""
    means: list[Mean] = []
    logs: list[float] = []
    for model, batch, imgsz, deterministic in CASES:
        planned = plan(model, batch, imgsz, deterministic)
        name = planned.case.id + ("" if deterministic else ", not deterministic")
        cycle = NBS // batch
        window = {**WARMUP, "window_steps": FEW_STEPS, "window_seconds": 0.0}
        seen = []
        for number in range(pairs):
            say(f"prediction against plain training, {name}, pair {number + 1} of {pairs} ...")
            seen.append(pair(launcher, planned, window, TURN, seed=number))
        logs += [one.log for one in seen]
        means.append(mean_of([one.log for one in seen]))
        timed = seen[0].steps
        way = f"steps by kind, weighted for {cycle}" if timed.modelled else f"whole cycles of {cycle}"
        yield Check(
            f"Predicted over plain epoch, ln ratio, {name}",
            str(means[-1]),
            "",
            f"{pairs} pairs of processes in turns; {len(timed.window)} timed steps ({way}) against an epoch of {EPOCH}",
        )
    sizes = [abs(mean.mean) for mean in means]
    yield Check(
        "Bias of the prediction, over these cases",
        f"median {statistics.median(sizes) * 100:.2f} %, worst {max(sizes) * 100:.2f} %",
        "<= 1 %, <= 2 %",
        f"absolute means of {len(means)} cases; all {len(logs)} pairs together {mean_of(logs)}",
    )
