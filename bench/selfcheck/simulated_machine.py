"""A simulated machine for a search of settings: cells of known speed, noise, drift, and settings that do not run."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from bench.cases import Case
from bench.compare.verdict import Decision, interim_decision, judge, significant_cases
from bench.compare.verdict import confirm as confirmation
from bench.records.outcome import Outcome, Status
from bench.records.tune import changes
from bench.tune.proof import reserve
from bench.tune.search import Search
from bench.tune.space import Space
from bench.tune.trials import Trial

PRESENT = Case(mode="train", model="yolov8n", device="0", amp="on", batch=16, imgsz=640)

DECODING = Space(
    PRESENT,
    {"cache": ["ram", "disk"], "workers": [0, 2, 4], "channels_last": ["on"], "compile": ["on"]},
)
"""48 cells with the present one: more than a short budget measures."""

SETUP = 6.0
"""Seconds of a simulated measurement besides its window."""

WINDOW_IMAGES = 200

PAIR_NOISE = 0.6
"""Noise of a pair over that of two processes: a pair is interleaved."""


def decoding_seconds(changed: Mapping[str, Any]) -> float:
    """Seconds per image where decoding is the bottleneck: a cache helps most, and loaders only without one."""
    workers, cache = changed.get("workers", 8), changed.get("cache", "off")
    decode = {"off": 0.200, "disk": 0.030, "ram": 0.004}[str(cache)] / max(int(workers), 1) * 1.15
    compute = 0.020 * (0.93 if changed.get("channels_last") == "on" else 1.0) * (0.9 if "compile" in changed else 1.0)
    waiting = decode if int(workers) else 8 * decode
    return max(compute, waiting) + 0.1 * min(compute, waiting) if int(workers) else compute + waiting


def small_seconds(changed: Mapping[str, Any]) -> float:
    """Seconds per image of a small set where the defaults are the best: every change costs a little."""
    penalty = {"cache": 1.0, "workers": 1.04, "channels_last": 1.02, "compile": 1.01}
    return 0.02 * math.prod(penalty[name] for name in changed)


class SimulatedMachine(msgspec.Struct):
    """Measures by a formula; its clock moves with every measurement.

    Attributes:
        seconds: seconds per image by changed settings.
        draw: source of its noise.
        noise: standard deviation of the logarithm between processes.
        drift: standard deviation of the change of its speed from one measurement to the next; it adds up.
        step: change of the logarithm of its times after half an hour of its clock, as by a fan that fails.
        substituted: settings that do not run.
        now: its clock.
    """

    seconds: Callable[[Mapping[str, Any]], float]
    draw: random.Random
    noise: float = 0.02
    drift: float = 0.01
    step: float = 0.0
    substituted: tuple[tuple[str, Any], ...] = ()
    now: float = 0.0
    shift: float = 0.0
    measured: list[Case] = []

    def true_seconds(self, case: Case) -> float:
        """Return the seconds per image without noise; infinite for settings that do not run."""
        changed = changes(PRESENT, case)
        runs = not any(changed.get(name) == value for name, value in self.substituted)
        return self.seconds(changed) if runs else math.inf

    def measure(self, case: Case, block: str) -> Trial:
        """Measure settings with noise."""
        self.measured.append(case)
        changed = changes(PRESENT, case)
        if refused := next(((name, value) for name, value in self.substituted if changed.get(name) == value), None):
            self.now += SETUP
            reason = f"{refused[0]} {refused[1]} requested, {refused[0]} 0 would run."
            return Trial(
                case=case,
                block=block,
                outcome=Outcome(Status.SUBSTITUTED, reason),
                cost=SETUP,
                effective={refused[0]: 0},
            )
        self.shift += self.draw.gauss(0, self.drift)
        seconds = self.true_seconds(case) * math.exp(self.draw.gauss(0, self.noise) + self.speed())
        cost = SETUP + WINDOW_IMAGES * seconds
        self.now += cost
        return Trial(case=case, block=block, outcome=Outcome(Status.MEASURED), seconds=seconds, cost=cost)

    def measure_pair(self, case: Case, other: Case, block: str) -> list[Trial]:
        """Measure a pair with noise."""
        began, first = self.now, self.true_seconds(case) * math.exp(self.speed())
        seconds = first, first * math.exp(self.pair(case, other))
        self.measured += [case, other]
        return [
            Trial(
                case=own,
                block=block,
                outcome=Outcome(Status.MEASURED),
                seconds=value,
                cost=(self.now - began) / 2,
                paired=True,
            )
            for own, value in zip((case, other), seconds, strict=True)
        ]

    def speed(self) -> float:
        """Return by how much the logarithm of its times is shifted now."""
        return self.shift + (self.step if self.now > 300 else 0.0)

    def why_not(self, case: Case) -> str:
        """Predict nothing."""
        return ""

    def clock(self) -> float:
        """Return its time."""
        return self.now

    def pair(self, base: Case, head: Case) -> float:
        """Return the logarithm of the ratio of a pair."""
        self.now += 2 * (SETUP + WINDOW_IMAGES * (self.true_seconds(base) + self.true_seconds(head)) / 2)
        truth = math.log(self.true_seconds(head) / self.true_seconds(base))
        return truth + self.draw.gauss(0, PAIR_NOISE * math.sqrt(2) * self.noise)


class Simulation(msgspec.Struct, frozen=True):
    """What a simulated search came to.

    Attributes:
        behind: true time of the answer over the best of all cells, less 1.
        share: seconds of search and proof over those of the exhaustive grid.
        search_share: seconds of the search alone over those of the grid.
        keeps: whether the answer is to keep the present settings.
        decision: of the proof; None without one.
        search: the search.
    """

    behind: float
    share: float
    search_share: float
    keeps: bool
    decision: Decision | None
    search: Search


def simulate(
    machine: SimulatedMachine, space: Space, seed: str, *, budget: float, margin: float = 0.03, processes: int = 3
) -> Simulation:
    """Search and prove on a simulated machine.

    Args:
        machine: the machine.
        space: the settings.
        seed: of the search.
        budget: seconds.
        margin: equivalence margin, a share.
        processes: of each cell of the exhaustive grid that the time is compared with.
    """
    search = Search(space, machine, budget=budget, reserve=reserve, noise=0.025, margin=margin, seed=seed)
    search.run()
    searched, winner, decision = machine.now, search.winner(), None
    if winner != space.present:
        decision = prove(lambda: machine.pair(space.present, winner), margin)
    faster = decision is not None and decision.verdict.value == "faster"
    answer = winner if faster else space.present
    cells = [space.present, *space.product()]
    times = [machine.true_seconds(cell) for cell in cells]
    grid = sum(SETUP + (WINDOW_IMAGES * time if math.isfinite(time) else 0.0) for time in times) * processes
    return Simulation(
        behind=machine.true_seconds(answer) / min(times) - 1,
        share=machine.now / grid,
        search_share=searched / grid,
        keeps=answer == space.present,
        decision=decision,
        search=search,
    )


def grid_behind(machine: SimulatedMachine, space: Space, processes: int) -> float:
    """Return how far the best cell of an exhaustive grid is behind the true best, where the lowest mean is taken.

    Each round measures all cells in random order.
    """
    cells = [cell for cell in (space.present, *space.product()) if math.isfinite(machine.true_seconds(cell))]
    logs: dict[Case, float] = dict.fromkeys(cells, 0.0)
    for _ in range(processes):
        for cell in machine.draw.sample(cells, len(cells)):
            trial = machine.measure(cell, "grid")
            logs[cell] += math.log(trial.seconds or math.inf)
    chosen = min(logs, key=logs.__getitem__)
    return machine.true_seconds(chosen) / min(map(machine.true_seconds, cells)) - 1


def prove(pair: Callable[[], float], margin: float) -> Decision:
    """Judge by pairs as a live comparison does: interim looks, then fresh pairs."""
    interim: list[float] = []
    while (word := interim_decision(interim, margin, "x" in significant_cases({"x": interim}, margin))) is None:
        interim.append(pair())
    fresh: list[float] = []
    while word[0].alarm and confirmation(word[0], fresh, margin) is None:
        fresh.append(pair())
    decision = judge(interim, fresh, margin, "x" in significant_cases({"x": interim}, margin))
    assert decision is not None, "there are pairs"
    return decision
