"""How long a case will take: from what was seen on this machine where there is something, else from a guess."""

from __future__ import annotations

import math
import re
import statistics
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from bench.cases import Case
from bench.cases.device_kinds import kind_of
from bench.cases.plan import PlannedRun
from bench.machine.fingerprint import machine
from bench.records import store
from bench.records.record import Record

SETUP = 0.6
"""Seconds from the request to the first step, and from the last to the record."""

WORK = {"n": 1.0, "t": 0.9, "s": 3.3, "m": 9.1, "l": 19.0, "x": 30.0}
"""Operations of a YOLO scale over those of scale n (8.7 GFLOPs at 640 for yolov8n, 28.6, 78.9, 165, 258)."""

NBS = 64
"""Ultralytics' nominal batch: gradients are accumulated until so many images have been seen."""


def work(case: Case) -> float:
    """Units of work of one step, in pixels times the model's size."""
    scale = re.search(r"\d([ntsmlx])(?![a-z])", case.model_name)
    return case.batch * case.imgsz**2 * WORK.get(scale.group(1) if scale else "n", 1.0)


SHORT_CYCLE, SLACK = 6, 4 / 3
"""As in ``bench/worker/timing/stopwatch.py``: how windows are kept short where accumulation is long."""

HISTORY_RUNS = 5
"""How many of the newest runs are looked at."""


class Estimator:
    """Learns from records, past and present."""

    def __init__(self, history: Iterable[Record] = ()) -> None:
        self._seen: dict[tuple[Case, str], float] = {}
        self._rates: dict[tuple[str, str, str], list[float]] = defaultdict(list)
        for record in history:
            self.learn(record)

    def learn(self, record: Record) -> None:
        """Take in how long a case took; one that never ran, since another one settled it, says nothing of that."""
        if record.outcome.status.value == "interrupted" or not record.durations.total:
            return
        case = record.case
        self._seen[case, record.recipe.fingerprint] = record.durations.total
        if record.steps is not None and record.steps.window:
            self._rates[case.mode, case.device, case.amp].append(record.steps.step_seconds / work(case))

    def knows(self, planned: PlannedRun) -> bool:
        """Whether this very case was seen."""
        return (planned.case, planned.recipe.fingerprint) in self._seen

    def seconds(self, planned: PlannedRun) -> float:
        """Seconds that a case will take."""
        case, recipe = planned.case, planned.recipe
        if self.knows(planned):
            return self._seen[case, recipe.fingerprint]
        rates = self._rates.get((case.mode, case.device, case.amp))
        kind = kind_of(case.device)
        guess = kind.seconds_per_pixel / (1 if case.mode == "train" else 3)  # prediction is a third of training
        step = (statistics.median(rates) if rates else guess) * work(case)
        cycle = max(round(NBS / case.batch), 1) if case.mode == "train" else 1
        short = min(cycle, SHORT_CYCLE)
        warmup = max(recipe.warmup_seconds, (short + 2) * step)
        least = max(recipe.window_steps, recipe.window_seconds / step)
        steps = math.ceil(least / cycle) * cycle
        if kind.weighs_steps and steps > SLACK * least:
            steps = math.ceil(least / short) * short
        return SETUP + warmup + steps * step


def from_history(results: Path) -> Estimator:
    """An estimator that knows what the newest runs under a results folder took on this machine."""
    newest = store.runs(results, machine().fingerprint)[-HISTORY_RUNS:]
    return Estimator(store.read([results / run for run in newest])[0])
