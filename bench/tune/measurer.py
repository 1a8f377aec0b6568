"""Measure settings as cases of a run, and predict which are not worth a try."""

from __future__ import annotations

import math
import random
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from bench.cases import Case
from bench.cases.axes import find_axis, fixed_axes
from bench.cases.device_kinds import HOST, kind_of, ranks
from bench.cases.plan import PlannedRun, Profile, ProfileTiming, expand_grid
from bench.ceiling.search import available_memory
from bench.compare import pairs
from bench.compare.lockstep import WorkerFailed
from bench.compare.pairs import InsufficientMemory, PairInputs
from bench.formatting import format_bytes, format_rough_duration
from bench.machine.limits import usable_processors
from bench.records.ceiling import Ceiling
from bench.records.comparison import SIDES, Pair
from bench.records.outcome import Outcome, Status
from bench.records.record import Record
from bench.records.tune import RivalPair
from bench.runner.measure import DatasetUnavailable
from bench.runner.run import Run
from bench.tune.space import Space
from bench.tune.trials import Trial
from bench.worker.workloads.base import is_made

TIMING = ProfileTiming(
    warmup_seconds={HOST: 1.0, "accelerator": 5.0},
    window_steps=8,
    window_seconds={HOST: 1.0, "accelerator": 2.0},
)
"""Short windows: many settings are measured, and the best ones again in fresh processes."""

MEMORY_SHARE = 0.9
"""Share of the free memory that a larger batch may be predicted to need."""

PATIENCE = 5.0
"""Warm-up and window of settings end after so many times those of the present settings: they are slower by far."""

LEAST_PATIENCE = 20.0
"""Least seconds of this limit."""

CACHE_SHARE = 0.25
"""Share of the time budget that the filling of a cache may be predicted to take."""


class Planner(msgspec.Struct, frozen=True):
    """Makes planned runs of settings; all have the recipe of short windows.

    Attributes:
        data: the user's own data set; empty for a made one.
        threads: see :class:`bench.cases.recipe.Recipe`.
        images: length of a made training set, the same for all batches.
        searched: names of the axes that are searched: an axis may decide on the recipe of all its values.
    """

    data: str
    threads: int
    images: int
    searched: tuple[str, ...] = ()

    @classmethod
    def for_space(cls, space: Space, data: str, threads: int) -> Planner:
        """Return the planner for the settings of a search."""
        images = space.present.batch * kind_of(space.present.device).data_steps
        return cls(data, threads, images, tuple(space.values))

    def plan(self, case: Case, process: int = 1) -> PlannedRun:
        """Return the planned run of a case.

        Raises:
            UsageError: for a mode, an axis or data that the workload does not take.
        """
        unset = {name: getattr(find_axis(name), "absent", None) for name in self.searched}
        values: dict[str, list[Any]] = {name: [value] for name, value in unset.items() if value is not None}
        values |= {name: [value] for name, value in case.values.items()}
        profile = Profile(about="tune", recipe=TIMING, cases={"all": {}})
        [planned] = expand_grid(profile, [case.device], values, self.data, self.threads)
        recipe = planned.recipe
        if is_made(recipe.data) and case.mode == "train":
            recipe = msgspec.structs.replace(recipe, data_steps=max(math.ceil(self.images / case.batch), 1))
        return PlannedRun(planned.case, recipe, process)


class CaseMeasurer:
    """Measures settings in fresh processes, as records of a run.

    Attributes:
        records: of this search, in order.
        blocks: names of the records of each block.
        pairs: of this search, in order.
    """

    def __init__(
        self, run: Run, planner: Planner, taken: Sequence[Record], ceilings: Sequence[Ceiling], budget: float
    ) -> None:
        """Start nothing.

        Args:
            run: stores the records.
            planner: makes the planned runs.
            taken: records that the run has already.
            ceilings: searches for the largest batch on this machine, in this environment.
            budget: seconds of the whole search.
        """
        self.records: list[Record] = []
        self.blocks: dict[int, list[str]] = {}
        self.pairs: list[RivalPair] = []
        self._run, self._planner, self._ceilings, self._budget = run, planner, ceilings, budget
        self._sequential: set[frozenset[Case]] = set()
        self._processes: Counter[Case] = Counter()
        for record in taken:
            self._processes[record.case] = max(self._processes[record.case], record.process)

    def measure(self, case: Case, block: str) -> Trial:
        """Measure settings in a fresh process.

        Raises:
            KeyboardInterrupt: at Ctrl-C, after the record was saved.
        """
        self._processes[case] += 1
        if self.records and (first := self.records[0]).steps is not None:
            timed = first.durations.total - (first.durations.setup or 0.0)
            larger = max(case.batch / first.case.batch, 1.0)
            self._run.phase_limit = max(PATIENCE * timed * larger, LEAST_PATIENCE)
        record = self._run.measure(self._planner.plan(case, self._processes[case]))
        self.records.append(record)
        self.blocks.setdefault(int(block), []).append(record.name)
        return to_trial(record, block)

    def measure_pair(self, case: Case, other: Case, block: str) -> list[Trial]:
        """Measure two settings in a pair: interleaved, or one after the other where they cannot run at once.

        Returns:
            A trial of each, or only that of one that failed; none where it is unknown which one did.

        Raises:
            KeyboardInterrupt: at Ctrl-C.
        """
        began = time.monotonic()
        planned, data = [self._planner.plan(side) for side in (case, other)], []
        for side, plan in zip((case, other), planned, strict=True):
            try:
                data.append(self._run.data_for(plan))
            except DatasetUnavailable as error:
                return [Trial(case=side, block=block, outcome=error.outcome, paired=True)]
        self._run.watch(planned[0], f"in a pair with {planned[1].name}")
        launchers = self._run.launcher, self._run.launcher
        number = sum({known.base, known.head} == {case, other} for known in self.pairs)
        first = sorted((case, other), key=lambda side: side.id)[number % 2]  # each of them in half of their pairs
        try:
            measured = self._pair(PairInputs(launchers, planned[0], (data[0], data[1]), planned[1]), first == other)
        except WorkerFailed as end:
            cost = time.monotonic() - began
            return [
                Trial(case=side, block=block, outcome=end.outcome, cost=cost, paired=True)
                for name, side in zip(SIDES, (case, other), strict=True)
                if str(end).startswith(f"{name}:")
            ]
        self.pairs.append(RivalPair(block=int(block), base=case, head=other, pair=measured))
        return pair_trials(self.pairs[-1], block)

    def _pair(self, inputs: PairInputs, head_first: bool) -> Pair:
        sides = frozenset(inputs.side(number).case for number in range(len(SIDES)))
        if sides not in self._sequential and ranks(inputs.planned.case.device) == 1:
            try:
                return pairs.run_interleaved(inputs, head_first, random.Random(len(self.pairs)), None).pair
            except InsufficientMemory:
                self._sequential.add(sides)
            except WorkerFailed as end:  # a device may serve a single process
                if end.outcome.status in (Status.SUBSTITUTED, Status.TIMED_OUT):
                    raise
        return pairs.run_sequential(inputs, head_first).pair

    def clock(self) -> float:
        """Return the current time in seconds."""
        return time.monotonic()

    def why_not(self, case: Case) -> str:
        """Say why settings are predicted not to run here, or to take too long to set up; empty where they are not."""
        return self._above_ceiling(case) or self._too_large(case) or self._slow_cache(case)

    def _above_ceiling(self, case: Case) -> str:
        if case.mode != "train":
            return ""
        for ceiling in self._ceilings:
            known = ceiling.case
            alike = all(known.value(axis) == case.value(axis) for axis in fixed_axes() if axis not in ("mode", "batch"))
            own_limit = ceiling.limit_requested and ceiling.limit_bytes is not None  # of a smaller machine
            if alike and not own_limit and ceiling.stop_reason not in ("", "max") and 0 < known.batch < case.batch:
                return f"batch {case.batch} is above {known.batch}, the largest that trains here"
        return ""

    def _too_large(self, case: Case) -> str:
        """Predict the memory of a larger batch from the largest one that was measured, in proportion."""
        smaller = [record for record in self.records if record.steps is not None and record.case.batch < case.batch]
        if any(record.steps is not None and record.case.batch >= case.batch for record in self.records) or not smaller:
            return ""
        record = max(smaller, key=lambda record: record.case.batch)
        peak = next((m.bytes for name in ("allocated", "process") if (m := record.memory.get(name)) and m.bytes), None)
        free = available_memory(case)
        if peak is None or not free:
            return ""
        needed = int(peak * case.batch / record.case.batch)
        if needed <= MEMORY_SHARE * free:
            return ""
        return f"batch {case.batch} is predicted to need {format_bytes(needed)}, and {format_bytes(free)} are there"

    def _slow_cache(self, case: Case) -> str:
        """Predict how long the images of a data set take to decode, from the time that steps waited for images."""
        record = next((record for record in self.records if record.steps is not None and record.data), None)
        if case.value("cache") not in ("ram", "disk") or record is None:
            return ""
        if any(own.steps is not None and own.case.value("cache") == case.value("cache") for own in self.records):
            return ""
        steps, images = record.steps, record.data.images if record.data else 0
        assert steps is not None, "a measured record has steps"
        waited = sum(steps.data_wait[steps.warmup :]) / max(steps.window_images, 1)
        seconds = images * waited / max(min(usable_processors() - 1, 8), 1)
        if seconds <= CACHE_SHARE * self._budget:
            return ""
        return f"filling the cache is predicted to take {format_rough_duration(seconds)}"


def to_trial(record: Record, block: str, earlier: bool = False) -> Trial:
    """Return the trial of a record."""
    measured = record.outcome.status is Status.MEASURED and record.steps is not None
    return Trial(
        case=record.case,
        block=block,
        outcome=record.outcome,
        seconds=1 / record.steps.images_per_second if measured and record.steps is not None else None,
        cost=record.durations.total,
        effective=record.effective,
        name=record.id,
        earlier=earlier,
    )


def pair_trials(measured: RivalPair, block: str, earlier: bool = False) -> list[Trial]:
    """Return the trials of a pair."""
    return [
        Trial(
            case=case,
            block=block,
            outcome=Outcome(Status.MEASURED),
            seconds=1 / side.steps.images_per_second,
            cost=measured.pair.seconds / 2,
            earlier=earlier,
            paired=True,
        )
        for case, side in ((measured.base, measured.pair.base), (measured.head, measured.pair.head))
    ]


def noise_of(record: Record | None, device: str) -> float:
    """Return the known noise between processes: of the calibration, else a usual one."""
    if record is not None and record.calibration is not None:
        return max(record.calibration.stdev, 0.003)
    return HOST_NOISE if kind_of(device).on_host else ACCELERATOR_NOISE


HOST_NOISE, ACCELERATOR_NOISE = 0.025, 0.01
"""Standard deviation of the logarithm of a speed between processes, where no calibration says otherwise."""
