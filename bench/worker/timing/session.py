"""What a workload sees of the harness: it says what runs, marks its steps, and is told when to stop."""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Callable
from typing import Any

from .. import effective_settings
from ..channel import Channel
from ..devices import Device
from ..devices.base import loaders_memory
from ..distributed import aggregation
from ..distributed.process_group import ProcessGroup, SingleProcess
from ..input_errors import told
from ..interpreter.memory_layout import addresses
from ..monitors.energy import Energy
from ..monitors.interference import severity, worth_retrying
from ..monitors.system import SystemMonitor
from ..monitors.system import try_read as answer
from . import phases
from .lockstep import LockstepClient
from .phases import Phases
from .stopwatch import MeasurementPlan, Stopwatch

RETRIES = 2
"""How often a window that was disturbed is measured again."""


MOST_SETTLING = 32
"""Steps that may pass untimed at the opening of a window, until batches that loaders made meanwhile are used up."""


class WindowComplete(Exception):
    """Raised out of :meth:`Session.step_ended` when there is nothing more to measure; ends the workload."""


class Session:
    """One case in one process. Knows nothing of Ultralytics.

    Attributes:
        case: ``mode, model, device, amp, batch, imgsz`` as asked.
        overrides: settings that the recipe fixes for this workload.
        data: path of the data set's yaml file.
        scratch: an empty folder that disappears with the case.
        with_val: whether validation and checkpoint are to be timed too, after the window.
        compare_losses: whether the first losses are to be compared with the CPU's.
        loss_scale: that mixed precision begins with, where it is not to be the usual one.
        epoch_overhead: seconds of what an epoch has beside its steps, by name; see ``EpochOverhead`` of the record.
        checks: what the workload was checked for, and what was found.
        extra: what else is worth keeping about what ran.
        team: the processes that run this case together; mostly this one alone.
    """

    def __init__(
        self,
        job: dict[str, Any],
        channel: Channel,
        device: Device,
        turns: LockstepClient | None = None,
        team: ProcessGroup | None = None,
    ) -> None:
        self.team = team or SingleProcess()
        self.case: dict[str, Any] = job["case"]
        self.overrides: dict[str, Any] = job["overrides"]
        self.asked: list[dict[str, Any]] = job.get("asked", [])
        self.threads: int = job["threads"]
        self.data: str = job["data"]
        self.scratch: str = job["scratch"]
        self.with_val: bool = job.get("with_val", False)
        self.compare_losses: bool = self.team.size == 1 and (
            device.compare_losses == "always"
            or (device.compare_losses == "on_request" and job.get("compare_losses", False))
        )
        self.device = device
        self.epoch_overhead: dict[str, Any] = {}
        self.checks: dict[str, Any] = {}
        self.extra: dict[str, Any] = {}
        self.loss_scale: float | None = job.get("loss_scale")
        self._separately: bool = job.get("separate_pass", True)
        self._tells_before: bool = job.get("memory_before", False)
        self._mends: bool = job.get("mend", True)
        self._rule: dict[str, Any] = job["window"]
        self._channel = channel
        self._turns = turns
        self._meter = SystemMonitor(device)
        self._energy = Energy(device.energy) if job.get("energy") else None
        self._readings: list[dict[str, Any]] = []
        self._memory: dict[str, Any] = {}
        self._memory_before: dict[str, Any] = {}
        self._phases = phases.by_events(device.event) if device.timer == "events" else phases.by_clock(OF_WINDOW)
        self._separate: Phases | None = None
        self._separate_steps: list[bool] = []
        self._block = (0, 0)
        self._stopwatch: Stopwatch | None = None
        self._settings: dict[str, Any] = {}
        self._single = False

    def set_threads(self) -> None:
        """Give torch the recipe's number of CPU threads, on every device alike.

        0 stands for Ultralytics' own number, which it sets on cpu and mps only. Call this after Ultralytics selected
        its device: that is when it overrides what OMP_NUM_THREADS says.
        """
        import torch
        from ultralytics.utils import NUM_THREADS

        torch.set_num_threads(self.threads or NUM_THREADS)
        if (
            self._turns is not None
        ):  # the runner binds it to fewer processors, from which torch would tell another number
            with contextlib.suppress(RuntimeError):  # its threads between operators run already: their number stays
                torch.set_num_interop_threads(torch.get_num_interop_threads())

    def ready(self, settings: dict[str, Any], cycle: int) -> None:
        """Set-up is over: ``settings`` run, the optimizer steps every ``cycle`` steps, the first step begins.

        Raises:
            Refused: with status ``substituted`` where ``settings`` differ from what was asked.
        """
        runs = {**settings, **effective_settings.torch_settings()}
        if self._tells_before:
            runs["addresses"] = addresses()
        self._channel.send("effective", settings=runs)
        effective_settings.compare(self.case, self.overrides, runs, self.asked)
        self._settings = runs
        gc.unfreeze()  # a forked worker collects garbage at the cost that a fresh process would have
        loaders = runs.get("workers") or 0
        self._single = runs["threads"] == 1 and not loaders
        if self._turns is not None:
            self._turns.threads = runs["threads"]
        self.team.join()
        groups = aggregation.groups(self.team, os.getpgrp())
        self._meter.prepare(1 if self._single else None, self._turns is None, groups, watch=self._mends)
        if self.device.caches_memory:
            self.device.release()  # what set-up and Ultralytics' own check of AMP left there counts in no peak
        self.device.reset_peaks()
        if self._tells_before:
            self._memory_before = answer(self.device.memory) or {}
        # Joules are not weighted: they count in the proportion in which the steps ran.
        whole = not self.device.weighs_steps or self._energy is not None
        rule = MeasurementPlan(cycle=cycle, **{"only_whole": whole, **self._rule})
        self._stopwatch = Stopwatch(
            rule,
            synchronize=self.device.synchronize,
            on_window=self._window_opens,
            block=self._turns.block if self._turns is not None else 0,
            together=self.team.size > 1,
            decide=self.team.decide,
            on_begin=self._window_begins,
            settling=max(self.team.gather(min(loaders * (runs.get("prefetch") or 1), MOST_SETTLING))),
        )
        if self._energy is not None:
            self.device.synchronize()
            self._energy.idle()
        self._channel.send("phase", name="warmup")
        self.device.warming(True)
        self._stopwatch.start()

    def still_runs(self, settings: dict[str, Any]) -> None:
        """What ``settings`` say after the window has to be what :meth:`ready` was told before it.

        Raises:
            Refused: with status ``invalid`` where something changed while it was measured.
        """
        effective_settings.check_unchanged(self._settings, {**settings, **effective_settings.torch_settings()})

    @property
    def stopwatch(self) -> Stopwatch:
        """The stopwatch, once :meth:`ready` was called."""
        assert self._stopwatch is not None, "ready() comes first"
        return self._stopwatch

    @property
    def accumulation(self) -> int:
        """How many steps the optimizer is to wait for, in the step that begins."""
        return self.stopwatch.accumulation

    @property
    def warm(self) -> bool:
        """Whether warm-up is over: from here on nothing may be done that costs time."""
        return self.stopwatch.warm

    def epoch_turned(self) -> None:
        """An epoch begins; what passed since the last step belongs to none."""
        if self._separate is None:  # the stopwatch stands still in the separate pass: steps would count as a turn
            self.stopwatch.resume()

    def batch_arrived(self) -> None:
        """The data of the step that is under way are there."""
        self.stopwatch.batch_arrived()
        if self.warm:
            (self._separate or self._phases).step_began()

    @property
    def turns_within(self) -> bool:
        """Whether another worker may have its turn in the midst of a step, so that :meth:`layer_ended` is of use."""
        return self._turns is not None and self._turns.within

    def part_ended(self, part: str) -> None:
        """A part of the step that is under way ended: ``preprocess``, ``forward``, ``backward``, ``optimizer``, ..."""
        (self._separate or self._phases).part_ended(part)
        self.device.sample_memory()
        if self._turn_ends():
            self._pause_within()

    def layer_ended(self, part: str) -> None:
        """A layer of the model has done its share of a part that goes on: another worker may have its turn here."""
        if self._turn_ends():
            (self._separate or self._phases).part_ended(part)
            self._pause_within()

    def optimizer_stepped(self) -> None:
        """The step that is under way runs the optimizer."""
        if self._separate is not None:
            self._separate_steps[-1] = True
        else:
            self.stopwatch.optimizer_stepped()

    def step_ended(self, images: int) -> None:
        """A step with ``images`` images ended; raises :class:`WindowComplete` when that was the last."""
        if self._separate is not None:
            self._separate_step_ended(self._separate)
            return
        complete = self.stopwatch.step_ended(images)
        self._phases.step_ended()
        if complete:
            self._window_closes()
        elif self._turns is not None and self.stopwatch.timed_steps:
            self._take_turns(self._turns)

    def _window_opens(self) -> None:
        watch = self.stopwatch
        self.device.warming(False)
        told = {"steps": len(watch.seconds), "cycle": watch.timed_accumulation_steps, "planned": watch.planned_steps}
        self._channel.send("phase", name="window", **told)
        if self._turns is not None:
            self._block = len(self.stopwatch.seconds), len(self.stopwatch.turns)
            self._turns.wait()
        self._meter.open()

    def _window_begins(self) -> None:
        """After the steps that pass untimed: here all ranks wait for each other, and joules begin to count."""
        self.team.meet()
        if self._energy is not None:
            self._energy.open()

    def _window_closes(self) -> None:
        if self._energy is not None:
            self._energy.close()
        self._readings.append(self._meter.close(self._turns.beside if self._turns is not None else 0))
        again = (
            self._mends
            and self._turns is None
            and any(self.team.gather(worth_retrying(self._readings[-1]["interference"])))
        )
        if again and len(self._readings) <= RETRIES:
            self.stopwatch.open()
            return
        self._memory = {**(answer(self.device.memory) or {}), "loaders": loaders_memory()}
        if not self.device.separate_pass or not self._separately:
            raise WindowComplete
        self._separate = phases.by_clock(SEPARATELY, self.device.synchronize)
        self._separate_steps.append(False)
        self.stopwatch.accumulation = self.stopwatch.rule.warmup_cycle

    def _separate_step_ended(self, separate: Phases) -> None:
        separate.step_ended()
        if len(self._separate_steps) == 1 + phases.SEPARATE_STEPS:
            raise WindowComplete
        self._separate_steps.append(False)

    def _take_turns(self, turns: LockstepClient) -> None:
        """At the end of a block: tell how long it was, and wait."""
        if not turns.step_ended():
            return
        watch = self.stopwatch
        first, turned = self._block
        first = max(first, watch.windows[0][0])  # the first block begins where the window has settled
        seconds = sum(watch.seconds[first:]) + sum(s for index, s in watch.turns[turned:] if index >= first)
        self._block = len(watch.seconds), len(watch.turns)
        turns.block_ended(seconds=seconds, steps=len(watch.seconds) - first)
        watch.pause_ended()

    def _turn_ends(self) -> bool:
        """Whether a turn ends here, in the midst of a step of a window."""
        if self._turns is None or not self._turns.within or self._stopwatch is None:
            return False
        windows = self._stopwatch.windows
        if not windows or len(windows[-1]) != 1:  # it has not begun, or is complete
            return False
        return self._turns.point_passed()

    def _pause_within(self) -> None:
        """Let the other worker have its turn; what passes meanwhile belongs to no step."""
        assert self._turns is not None
        watch = self.stopwatch
        self.device.synchronize()
        began = watch.clock()
        self._turns.part_ended()
        watch.passed(watch.clock() - began)
        self._phases.resumed()

    def give_up(self) -> None:
        """Close a window of which nothing will be reported."""
        self._meter.close()

    def report(self) -> None:
        """Send what was measured; call when :class:`WindowComplete` was raised and the workload was found to work."""
        watch = self.stopwatch
        threads, on_cpu = 1 if self._single else None, self.device.on_host
        # Of several windows the least disturbed counts, whatever its speed.
        kept = min(range(len(self._readings)), key=lambda index: severity(self._readings[index], threads, on_cpu))
        kept = self.team.decide(kept)
        turns = [seconds for _, seconds in watch.turns]
        if turns:
            self.epoch_overhead["epoch_gap_seconds"] = round(sum(turns) / len(turns), 6)
        told: dict[str, Any] = {
            "steps": watch.reading(kept),
            "phases": self._parts(*watch.span(kept)),
            "memory": self._memory,
            "memory_before": self._memory_before,
            "device": answer(self.device.facts) or {},
            "checks": self.checks,
            "extra": self.extra,
            "epoch_overhead": self.epoch_overhead,
            "window": self._readings[kept],
            "energy": self._joules(kept),
            "mendable": worth_retrying(self._readings[kept]["interference"]),
            "discarded": [
                {**reading, "steps": watch.reading(index)}
                for index, reading in enumerate(self._readings)
                if index != kept
            ],
        }
        if self.team.size > 1:
            told = aggregation.aggregate_ranks(self.team.gather(told), self.device.kind)
        if self.team.rank == 0:
            self._channel.send("measured", **told)

    def _joules(self, kept: int) -> dict[str, Any] | None:
        if self._energy is None:
            return None
        start, end = self.stopwatch.span(kept)
        return self._energy.report(kept, sum(self.stopwatch.images[start:end]))

    def report_apart(self, measure: Callable[[], dict[str, Any]]) -> None:
        """Measure what an epoch has beside its steps, and send it; what goes wrong there costs the case nothing.

        Args:
            measure: gives fields of ``EpochOverhead`` of the record, by name.
        """
        self._channel.send("phase", name="rest")
        try:
            self._channel.send("epoch_overhead", **measure())
        except Exception as error:
            self._channel.send("epoch_overhead", failed=f"{type(error).__name__}: {told(error)}")

    def _parts(self, start: int, end: int) -> dict[str, Any]:
        """Seconds of each part in each step, and which steps ran the optimizer where they are not the window's."""
        if self._separate is None:
            return {"method": self._phases.method, "seconds": self._phases.seconds(start, end), "optimizer": None}
        # The first of them may follow the optimizer step of the window: of what kind it is, nobody knows. Where it runs
        # the optimizer itself, the second is the one that allocates gradients anew, which nothing would tell of it.
        count, first = len(self._separate_steps), 2 if self._separate_steps[0] else 1
        return {
            "method": self._separate.method,
            "seconds": self._separate.seconds(first, count),
            "optimizer": [index - first for index, ran in enumerate(self._separate_steps) if ran and index >= first],
        }


OF_WINDOW = "host clock, steps of the window"
SEPARATELY = "host clock after waiting for the device, separate steps after the window"
